"""Whether the server around us is shutting down, which no server tells an application.

Owns the finding out. Servers wait for their requests to end, and a live reply has no end of its
own: uvicorn would wait for ever, gunicorn for half a minute. Where the thread that serves is the
one that signals come to (an event loop, gunicorn's greenlets and sync workers), the handler is
wrapped, when the first live reply is given; it still does all that it did. Gunicorn's workers with
threads make the application in the thread of the signals, so it is wrapped there. Hypercorn sets an
event of its own, in a process that signals do not come to; from Python 3.12 on it then waits for its
connections, for ever where a reply does not end itself. Else there is only looking, once a second: whose
method handles SIGTERM is known, and gunicorn's worker and uvicorn's server say in an attribute that they
end; so does cheroot's server, which its threads know, and which waits for them for ever at Ctrl-C.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import weakref
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from runcast.readers import hub

if TYPE_CHECKING:
    import asyncio

__all__ = ["EndsWithServer", "end_with_server", "server_ends", "stopping", "wake_with_server"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_ends = threading.Event()  # a handler that we wrapped was called
_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.WeakSet[EndsWithServer]] = (
    weakref.WeakKeyDictionary()
)


_watching: set[asyncio.Task[None]] = set()  # the loop itself holds no task


class Waitable(Protocol):
    """An event of a server."""

    async def wait(self) -> None:
        """Return when it is set."""


class EndsWithServer(Protocol):
    """What gives live replies in an event loop, and can have them all end."""

    def shutdown(self) -> None:
        """Have every live reply end itself; called in the event loop."""


def stopping() -> bool:
    """Return whether this process's server is shutting down, as far as can be found out."""
    if _ends.is_set():
        return True
    for number in _SIGNALS:
        server = getattr(signal.getsignal(number), "__self__", None)
        if getattr(server, "should_exit", False) is True or getattr(server, "alive", True) is False:
            return True
    return getattr(getattr(threading.current_thread(), "server", None), "ready", True) is False  # cheroot's


def server_ends(does: bool = True) -> None:
    """Take note that this process's server is shutting down, where it tells; or that it began anew."""
    if does:
        _ends.set()
        hub().wake_all()
    else:
        _ends.clear()


def end_with_server(feeds: EndsWithServer | None = None) -> None:
    """End live replies when the server around the running event loop shuts down."""
    import asyncio

    loop = asyncio.get_running_loop()
    known = loop in _loops
    all_feeds = _loops.setdefault(loop, weakref.WeakSet())
    if feeds is not None:
        all_feeds.add(feeds)
    if not known and (event := _hypercorn_ends(loop)) is not None:
        _watching.add(task := loop.create_task(_end_with(event)))
        task.add_done_callback(_watching.discard)
    if not known and threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            _wrap(number)


def _hypercorn_ends(loop: asyncio.AbstractEventLoop) -> Waitable | None:
    """Return what hypercorn sets before it waits for its connections; None under another server.

    It is in the context of its coroutine `worker_serve`, which a task of the loop runs, or awaits.
    """
    if "hypercorn.asyncio.run" not in sys.modules:
        return None
    import asyncio

    for task in asyncio.all_tasks(loop):
        coroutine: Any = task.get_coro()
        while (frame := getattr(coroutine, "cr_frame", None)) is not None:
            if frame.f_code.co_name == "worker_serve":
                event = getattr(frame.f_locals.get("context"), "terminated", None)
                return event if hasattr(event, "wait") else None
            coroutine = coroutine.cr_await
    return None


async def _end_with(event: Waitable) -> None:
    await event.wait()
    _end_all()


def wake_with_server() -> None:
    """Have who waits in the hub look at once when gunicorn's worker around us ends, if signals come here.

    Its greenlets all are in the thread of the signals, and it looks only once a second whether it has
    to end, and then whether they have: one that ends after the check costs it another second. Its
    threads are not: there the application, which is made in the thread of the signals, does this.
    """
    for number in _SIGNALS:
        if hasattr(getattr(signal.getsignal(number), "__self__", None), "alive"):
            _wrap(number)


def _end_all() -> None:
    """Have every live reply of this process end itself."""
    server_ends()
    for loop, all_feeds in list(_loops.items()):
        for feeds in list(all_feeds):
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(feeds.shutdown)


def _wrap(number: signal.Signals) -> None:
    former = signal.getsignal(number)
    if not callable(former) or hasattr(former, "of_runcast"):  # by default a signal just kills
        return

    def handle(number: int, frame: FrameType | None) -> Any:
        _end_all()
        return former(number, frame)

    handle.of_runcast = True  # type: ignore[attr-defined]
    with contextlib.suppress(ValueError):  # not the main thread, or not the main interpreter
        signal.signal(number, handle)
        # Calls that a signal interrupts go on by themselves, as they did (PEP 475).
        signal.siginterrupt(number, False)

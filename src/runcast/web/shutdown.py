"""Whether the server around us is shutting down, which no server tells an application.

Owns the finding out. Servers wait for their requests to end, and a live reply has no end of its
own: uvicorn would wait for ever, gunicorn for half a minute. In a thread there is only looking:
whose method handles SIGTERM is known, and gunicorn's worker and uvicorn's server say in an
attribute that they end. In an event loop the handler is wrapped, when the first live reply is
given; it still does all that it did.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import weakref
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from runcast.web.feeds import Feeds

__all__ = ["end_with_server", "server_ends", "stopping"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_ends = threading.Event()  # a handler that we wrapped was called
_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.WeakSet[Feeds]] = (
    weakref.WeakKeyDictionary()
)


def stopping() -> bool:
    """Return whether this process's server is shutting down, as far as can be found out."""
    if _ends.is_set():
        return True
    for number in _SIGNALS:
        server = getattr(signal.getsignal(number), "__self__", None)
        if getattr(server, "should_exit", False) is True or getattr(server, "alive", True) is False:
            return True
    return False


def server_ends(does: bool = True) -> None:
    """Take note that this process's server is shutting down, where it tells; or that it began anew."""
    _ends.set() if does else _ends.clear()


def end_with_server(feeds: Feeds | None = None) -> None:
    """Have live replies end when the server around the running event loop is told to end."""
    import asyncio

    loop = asyncio.get_running_loop()
    known = loop in _loops
    all_feeds = _loops.setdefault(loop, weakref.WeakSet())
    if feeds is not None:
        all_feeds.add(feeds)
    if not known and threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            _wrap(number)


def _wrap(number: signal.Signals) -> None:
    former = signal.getsignal(number)
    if not callable(former) or hasattr(former, "of_runcast"):  # by default a signal just kills
        return

    def handle(number: int, frame: FrameType | None) -> Any:
        _ends.set()
        for loop, all_feeds in list(_loops.items()):
            for feeds in list(all_feeds):
                with contextlib.suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(feeds.shutdown)
        return former(number, frame)

    handle.of_runcast = True  # type: ignore[attr-defined]
    with contextlib.suppress(ValueError):  # not the main interpreter
        signal.signal(number, handle)
        # Calls that a signal interrupts go on by themselves, as they did (PEP 475).
        signal.siginterrupt(number, False)

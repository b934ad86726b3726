"""What makes threads and jobs print to the run that started them.

Tasks copy their context by themselves. A thread (or a greenlet) begins with an empty one, and an
executor's thread lives on when the run that made the executor need it is over: so it is born
outside all runs, and each job brings its own. Must not know streams.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any, Protocol

from runcast.model import Channel

__all__ = ["Sink", "current", "install", "installed", "uninstall"]


class Sink(Protocol):
    """What a run prints to; a `Printer`, or anything that can do as much."""

    def write(self, channel: Channel, text: str | bytes, /) -> bool:
        """Take text or bytes; return False where that cannot be, and it goes to the stream itself."""

    def flush(self) -> None:
        """Hold nothing back."""

    def fileno(self, channel: Channel, /) -> int:
        """Return a descriptor to write to."""


current: ContextVar[Sink | None] = ContextVar("runcast_sink", default=None)
"""What the code that runs now prints to; None outside all runs."""

_replaced: list[tuple[type, str, Any, Any, bool]] = []  # class, name, its own, ours, whether it was inherited
_seen: set[type] = set()


def installed() -> bool:
    """Whether threads and jobs follow."""
    return bool(_replaced)


def install() -> None:
    """Replace `Thread.start` and the methods that take jobs. A second call looks for what came since."""
    if not _replaced:
        # Imported here: a function's first `from concurrent.futures import …` is too late for us.
        from concurrent.futures import ThreadPoolExecutor

        _replace(threading.Thread, "start", _starting)
        _replace(ThreadPoolExecutor, "submit", _submitting)
    pool = sys.modules.get("multiprocessing.pool")
    if pool is not None and hasattr(pool, "ThreadPool") and pool.ThreadPool not in _seen:
        _seen.add(pool.ThreadPool)
        for name in ("apply_async", "_map_async", "imap", "imap_unordered"):
            _replace(pool.ThreadPool, name, _submitting)
    gevent = sys.modules.get("gevent")
    if gevent is not None and hasattr(gevent, "Greenlet"):
        gevent.Greenlet.add_spawn_callback(_spawned)  # a set: once is enough, twice is no harm


def uninstall() -> None:
    """Put back what was there, unless somebody replaced it since: then ours stays and does nothing."""
    while _replaced:
        owner, name, own, ours, inherited = _replaced.pop()
        if vars(owner).get(name) is ours:
            if inherited:
                delattr(owner, name)
            else:
                setattr(owner, name, own)
    _seen.clear()
    gevent = sys.modules.get("gevent")
    if gevent is not None and hasattr(gevent, "Greenlet"):
        gevent.Greenlet.remove_spawn_callback(_spawned)


def _spawned(greenlet: Any) -> None:
    """Have a greenlet of gevent begin in the run that it was spawned in; by itself it begins in none."""
    sink = current.get()
    if sink is not None and not greenlet.dead:
        context = greenlet.gr_context or Context()
        context.run(current.set, sink)
        greenlet.gr_context = context


def _replace(owner: type, name: str, wrap: Callable[[Any], Any]) -> None:
    own = getattr(owner, name, None)
    if own is None:
        return
    ours = wrap(own)
    ours.__name__, ours.__qualname__, ours.__doc__ = own.__name__, own.__qualname__, own.__doc__
    _replaced.append((owner, name, own, ours, name not in vars(owner)))
    setattr(owner, name, ours)


def _starting(own: Callable[..., Any]) -> Callable[..., Any]:
    def start(self: threading.Thread) -> Any:
        sink = current.get()
        if sink is not None and not self._started.is_set():  # type: ignore[attr-defined]
            self.run = _Run(self, sink)  # type: ignore[method-assign]
        return own(self)

    return start


class _Run:
    """A thread's `run`, in a run. Takes itself away when it is called."""

    def __init__(self, thread: threading.Thread, sink: Sink) -> None:
        self._thread, self._sink = thread, sink
        self._own = vars(thread).get("run")

    def __call__(self) -> None:
        thread = self._thread
        if self._own is None:
            del thread.run
        else:
            thread.run = self._own  # type: ignore[method-assign]
        current.set(self._sink)  # never reset: the context is the thread's own
        thread.run()


def _submitting(own: Callable[..., Any]) -> Callable[..., Any]:
    def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        sink = current.get()
        if sink is None:
            return own(self, fn, *args, **kwargs)
        token = current.set(None)  # a thread that is born now serves others too
        try:
            return own(self, _Job(sink, fn), *args, **kwargs)
        finally:
            current.reset(token)

    return submit


class _Job:
    """A job, in a run."""

    __slots__ = ("_fn", "_sink")

    def __init__(self, sink: Sink, fn: Callable[..., Any]) -> None:
        self._sink, self._fn = sink, fn

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        token = current.set(self._sink)
        try:
            return self._fn(*args, **kwargs)
        finally:
            current.reset(token)

"""Makes threads and jobs print to the run that started them.

Tasks copy their context. A thread (or a greenlet) begins with an empty one, so it is given the run of
its starter. A thread of an executor outlives the run that caused its start, so it starts outside all
runs, and each job carries its run. For threads that take their work from a queue, see handover.py.
Must not know streams.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextvars import Context, ContextVar, Token
from typing import TYPE_CHECKING, Any, Protocol

from runcast.loaded import loaded
from runcast.model import Channel
from runcast.sysio.forks import at_fork

if TYPE_CHECKING:
    import asyncio

__all__ = [
    "Sink",
    "current",
    "current_task",
    "enter",
    "identity",
    "install",
    "installed",
    "is_guest",
    "is_starter",
    "leave",
    "note_starter",
    "uninstall",
]


class Sink(Protocol):
    """The target of a run's prints: a `Printer`, or anything with its interface."""

    starter: Identity | None
    """The code that started the run, if it was noted."""

    def write(self, channel: Channel, text: str | bytes, /) -> bool:
        """Accept text or bytes; return False to have it written to the stream itself."""

    def flush(self) -> None:
        """Append everything that is held back."""

    def fileno(self, channel: Channel, /) -> int:
        """Return a descriptor to write to."""


current: ContextVar[Sink | None] = ContextVar("runcast_sink", default=None)
"""The target of prints of the present code; None outside all runs."""


is_guest: ContextVar[bool] = ContextVar("runcast_guest", default=False)
"""Whether the present code works for a run that did not start it: no stop is raised in it."""


class Identity:
    """Identifies code: a run's own, by its thread and task, or code that starts runs.

    Contexts are copied, so a task started by a run's own code has that code's identity in its context;
    `is_here` compares thread and task to tell them apart.
    """

    __slots__ = ("task", "thread")

    def __init__(self, thread: int = 0, task: asyncio.Task[Any] | None = None) -> None:
        self.thread = thread
        self.task = None if task is None else weakref.ref(task)

    def is_here(self) -> bool:
        """Whether this is the present code, and not a thread or task that it started."""
        return self.thread == threading.get_ident() and (self.task is None or self.task() is current_task())


identity: ContextVar[Identity | None] = ContextVar("runcast_identity", default=None)
"""The code that this context, or the one it was copied from, began with; None if it was not noted."""


def current_task() -> asyncio.Task[Any] | None:
    """Return the task that runs in this thread, if one does."""
    asyncio = loaded("asyncio")
    loop = None if asyncio is None else asyncio._get_running_loop()
    return None if loop is None else asyncio.current_task(loop)


def note_starter(sink: Sink | None = None) -> None:
    """Note that the present code starts a run, or is about to; tasks that it starts count as the same."""
    starter = identity.get()
    if starter is None:
        starter = Identity()
        identity.set(starter)
    if sink is not None:
        sink.starter = starter


def is_starter(sink: Sink) -> bool:
    """Whether the present code started that run."""
    return sink.starter is not None and sink.starter is identity.get()


def enter(sink: Sink | None) -> tuple[Token[Sink | None], Token[Identity | None]]:
    """Make the present code the own code of a run, until `leave`."""
    return current.set(sink), identity.set(Identity(threading.get_ident(), current_task()))


def leave(tokens: tuple[Token[Sink | None], Token[Identity | None]]) -> None:
    """Undo `enter`.

    Raises:
        ValueError: this is another context.
    """
    identity.reset(tokens[1])
    current.reset(tokens[0])


_replaced: list[tuple[type, str, Any, Any, bool]] = []  # class, name, original, wrapper, inherited or not
_seen: set[type] = set()


def installed() -> bool:
    """Whether threads and jobs are patched."""
    return bool(_replaced)


def _nothing() -> None: ...


_before_start: Callable[[], None] = _nothing


def install(before_start: Callable[[], None] = _nothing) -> None:
    """Wrap `Thread.start` and the methods that accept jobs. A second call covers modules imported since.

    `before_start` is called before a run's code starts a thread.
    """
    global _before_start
    _before_start = before_start
    if not _replaced:
        # Imported now: after a function's first `from concurrent.futures import …` it would be too late.
        from concurrent.futures import ThreadPoolExecutor

        _replace(threading.Thread, "start", _starting)
        _replace(ThreadPoolExecutor, "submit", _submitting)
    pool = loaded("multiprocessing.pool")
    if pool is not None and pool.ThreadPool not in _seen:
        _seen.add(pool.ThreadPool)
        for name in ("apply_async", "_map_async", "imap", "imap_unordered"):
            _replace(pool.ThreadPool, name, _submitting)
    gevent = loaded("gevent")
    if gevent is not None:
        gevent.Greenlet.add_spawn_callback(_spawned)  # a set: adding it twice does no harm


def uninstall() -> None:
    """Restore the originals. Where other code has replaced a wrapper since, it stays without effect."""
    while _replaced:
        owner, name, own, ours, inherited = _replaced.pop()
        if vars(owner).get(name) is ours:
            if inherited:
                delattr(owner, name)
            else:
                setattr(owner, name, own)
    _seen.clear()
    gevent = loaded("gevent")
    if gevent is not None:
        gevent.Greenlet.remove_spawn_callback(_spawned)


def _in_child() -> None:
    """Forget the identity in a forked child: like a thread started by a run, it is not the run itself."""
    identity.set(None)


at_fork(_in_child)


def _spawned(greenlet: Any) -> None:
    """Start a greenlet of gevent in the run that spawned it; by default it would be in none."""
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
            _before_start()
            self.run = _ThreadRun(self, sink)  # type: ignore[method-assign]
        return own(self)

    return start


class _ThreadRun:
    """A wrapper of a thread's `run` that enters a run. It removes itself when called."""

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
        token = current.set(None)  # a thread started now serves other runs, too
        try:
            return own(self, _Job(sink, fn), *args, **kwargs)
        finally:
            current.reset(token)

    return submit


class _Job:
    """A job that enters its run."""

    __slots__ = ("_fn", "_sink")

    def __init__(self, sink: Sink, fn: Callable[..., Any]) -> None:
        self._sink, self._fn = sink, fn

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        tokens = enter(self._sink)
        try:
            return self._fn(*args, **kwargs)
        finally:
            leave(tokens)

"""The run of a thread or a task that takes its work from a queue.

A line belongs to the run whose code printed it, or to none. A thread started by a run prints to that
run until it takes an item that other code put into a queue (queues.py, pickles.py). From then on it
prints to the run of that code, or to none. Whenever the run is in doubt it is none, which is always
correct: such prints go to the stream itself.

Nothing changes for a run's own function, generator or task, for a job of an executor, and for the
program's main thread, which may take items of others without working for them. Code does not work for
a run that it started itself, nor for the run of an item that it takes deep in its calls, or from a
queue to which it returns items: that is a request that waits for a result, or a pool of connections.
"""

from __future__ import annotations

import sys
import threading
import weakref
from contextvars import ContextVar
from typing import Any, NamedTuple

from runcast.sources.run_context import Sink, current, current_task, identity, is_guest, is_starter
from runcast.sysio.forks import at_fork

__all__ = ["gave", "taken"]

_DEEP = 10  # calls: a worker thread takes its items near the start of its stack


class _Taken(NamedTuple):
    """The last item that the present code took."""

    queue: int  # its `id`
    item: object  # a reference to it, itself, or its `id`
    before: Sink | None  # the run of this code until then


_last: ContextVar[_Taken | None] = ContextVar("runcast_taken", default=None)
_pools: dict[int, weakref.ref[Any]] = {}  # by id: queues to which taken items are returned
_forked = False


def gave(queue: Any, item: object, *, last_first: bool = False) -> None:
    """Note that the present code put an item into a queue; see `taken`."""
    held = _last.get()
    if held is None or held.queue != id(queue):
        return
    if held.item is not None and held.item is not item and held.item != id(item):
        if not (isinstance(held.item, weakref.ref) and held.item() is item):
            return
    _last.set(None)
    key = id(queue)
    if key not in _pools:
        _pools[key] = weakref.ref(queue, lambda _: _pools.pop(key, None))
    if last_first and not _is_fixed():
        current.set(held.before)


def taken(queue: Any, item: object, owner: Sink | None, *, last_first: bool = False) -> None:
    """Set the run of the present code, which has taken an item from a queue.

    Args:
        queue: the queue.
        item: the item.
        owner: the run whose code put it there; None for none, or if that is unknown.
        last_first: whether it is a LIFO queue, as pools of connections use them. Items of such a queue
            are not work of other runs. Code that returns an item (or a substitute for None) gets its
            earlier run back; a queue to which an item was returned once changes nothing any more.
    """
    now = current.get()
    is_pool = id(queue) in _pools
    if last_first or owner is not now:
        _last.set(_Taken(id(queue), _reference(item) if last_first else id(item), now))
    if owner is now or (last_first and is_pool) or _is_fixed():
        return
    if owner is not None and (last_first or is_pool or is_starter(owner) or not _is_worker()):
        owner = None
    if owner is not now:
        current.set(owner)
        is_guest.set(True)


def _reference(item: object) -> object:
    try:
        return weakref.ref(item)
    except TypeError:
        return item


def _is_fixed() -> bool:
    """Whether the present code is a run's own, or the program's main thread, whose run never changes."""
    own = identity.get()
    if own is not None and own.is_here():
        return True
    main = threading.main_thread().ident == threading.get_ident()
    return main and not _forked and current_task() is None


def _is_worker() -> bool:
    """Whether the present code takes its item near the start of its thread or task."""
    if _forked:  # its stack includes that of the code that forked it
        return True
    if threading.get_ident() not in threading._active:  # type: ignore[attr-defined]
        return False
    task = current_task()
    first = getattr(None if task is None else task.get_coro(), "cr_frame", None)
    frame = sys._getframe(3)  # the caller of `get`, or `get` itself
    for _ in range(_DEEP):
        if frame is first or frame.f_back is None:
            return True
        frame = frame.f_back
    return False


def _in_child() -> None:
    global _forked
    _forked = True


at_fork(_in_child)

"""Records which run puts an item into a queue of multiprocessing, across forks as well.

Such an item is a pickle in a pipe, and `pickle.loads` ignores bytes behind a pickle: so the run is
appended to it. Children forked inside a run, such as workers of a pool, know the runs of their parent;
other readers are not affected. loguru passes records to its thread by such a queue.
"""

from __future__ import annotations

import io
import itertools
import os
import sys
import weakref
from collections.abc import Callable
from typing import Any

from runcast.loaded import loaded
from runcast.sources import handover
from runcast.sources.owners import Owners
from runcast.sources.run_context import Sink, current

__all__ = ["install", "number_of", "restore"]

_MARK = b"\0runcast's owner"  # followed by the process of the run, and the run's number there
_NUMBER_BYTES = 16

_numbers: weakref.WeakKeyDictionary[Sink, bytes] = weakref.WeakKeyDictionary()
_sinks: weakref.WeakValueDictionary[bytes, Sink] = weakref.WeakValueDictionary()
_count = itertools.count(1)
_feeding = Owners()  # owners of the objects that a queue's feeder thread will pickle
_replaced: list[tuple[type, str, Any, Any]] = []  # class, name, original, wrapper
_QUEUE = io.BytesIO()  # represents all these queues: the owner comes with each item


def install() -> None:
    """Start recording, if multiprocessing is in use."""
    reduction, queues = map(loaded, ("multiprocessing.reduction", "multiprocessing.queues"))
    if _replaced or reduction is None or queues is None:
        return
    pickler = reduction.ForkingPickler
    _replace(pickler, "dumps", classmethod(_dumps))
    _replace(pickler, "loads", staticmethod(_loading(pickler.loads)))
    for owner in (queues.Queue, queues.JoinableQueue):
        _replace(owner, "put", _putting(owner.put))


def restore() -> None:
    """Restore the originals, unless other code has replaced the wrappers since."""
    while _replaced:
        owner, name, own, ours = _replaced.pop()
        if vars(owner).get(name) is ours:
            setattr(owner, name, own)


def _replace(owner: type, name: str, ours: Any) -> None:
    _replaced.append((owner, name, vars(owner)[name], ours))
    setattr(owner, name, ours)


def _dumps(cls: Any, obj: Any, protocol: int | None = None) -> memoryview:
    file = io.BytesIO()
    cls(file, protocol).dump(obj)
    sink = current.get() or _feeding.forget(obj)
    if sink is not None:
        file.write(_MARK + number_of(sink))
    return file.getbuffer()


def number_of(sink: Sink) -> bytes:
    """Return the number of a run; children forked later know it."""
    number = _numbers.get(sink)
    if number is None:
        number = b"%08x%08x" % (os.getpid() & 0xFFFFFFFF, next(_count))
        _numbers[sink] = number
        _sinks[number] = sink
    return number


def _loading(own: Callable[..., Any]) -> Callable[..., Any]:
    def loads(data: Any, /, **options: Any) -> Any:
        item = own(data, **options)
        owner = None
        if data[-_NUMBER_BYTES - len(_MARK) : -_NUMBER_BYTES] == _MARK:
            owner = _sinks.get(bytes(data[-_NUMBER_BYTES:]))
        # `recv` reads a pipe with one known sender, which does not hand over work of runs.
        if owner is not None or sys._getframe(1).f_code.co_name != "recv":
            handover.taken(_QUEUE, item, owner)
        return item

    return loads


def _putting(own: Callable[..., Any]) -> Callable[..., Any]:
    def put(self: Any, obj: Any, *args: Any, **kwargs: Any) -> Any:
        sink = current.get()
        if sink is None:
            return own(self, obj, *args, **kwargs)
        _feeding.note(obj, sink)
        token = current.set(None)  # a feeder thread started now pickles for other runs, too
        try:
            return own(self, obj, *args, **kwargs)
        finally:
            current.reset(token)

    return put

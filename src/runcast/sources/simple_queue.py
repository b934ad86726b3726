"""Records which run puts an item into a `queue.SimpleQueue`, which is written in C.

Owns the patch: the type refuses attribute assignment, so its methods are replaced in its dictionary,
and the method cache is invalidated. The type and its instances, existing ones included, stay the same
objects. Like the originals, the replacements are reentrant, for finalizers and signal handlers. Where
this is impossible (free-threaded Python, or another interpreter than CPython), nothing is replaced.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import sys
from queue import SimpleQueue
from typing import Any

from runcast.sources import handover
from runcast.sources.owners import owners_of
from runcast.sources.run_context import current

__all__ = ["install", "restore"]

_own_put, _own_get, _own_get_nowait = SimpleQueue.put, SimpleQueue.get, SimpleQueue.get_nowait


def _put(self: SimpleQueue[Any], item: Any, block: bool = True, timeout: float | None = None) -> None:
    sink = current.get()
    owners = owners_of(self, sink)
    if owners is not None:
        owners.note(item, sink)  # before another thread can take it: there is no lock
    _own_put(self, item, block, timeout)
    handover.gave(self, item)


def _put_nowait(self: SimpleQueue[Any], item: Any) -> None:
    _put(self, item)


def _get(self: SimpleQueue[Any], block: bool = True, timeout: float | None = None) -> Any:
    item = _own_get(self, block, timeout)
    owners = owners_of(self)
    handover.taken(self, item, None if owners is None else owners.forget(item))
    return item


def _get_nowait(self: SimpleQueue[Any]) -> Any:
    item = _own_get_nowait(self)
    owners = owners_of(self)
    handover.taken(self, item, None if owners is None else owners.forget(item))
    return item


_OURS = {"put": _put, "put_nowait": _put_nowait, "get": _get, "get_nowait": _get_nowait}
_own: dict[str, Any] = {}  # the originals, while they are replaced


def install() -> None:
    """Start recording."""
    methods = None if _own else _methods()
    if methods is not None:
        for name, ours in _OURS.items():
            ours.__name__, ours.__qualname__ = name, f"SimpleQueue.{name}"
            _own[name] = methods[name]
            methods[name] = ours
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(SimpleQueue))


def restore() -> None:
    """Put back its own methods."""
    methods = _methods() if _own else None
    if methods is not None:
        methods.update(_own)
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(SimpleQueue))
        _own.clear()


@functools.cache
def _methods() -> dict[str, Any] | None:
    if sys.implementation.name != "cpython" or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return None
    if SimpleQueue.__module__ != "_queue":  # replaced, for example by gevent's
        return None
    found = [one for one in gc.get_referents(vars(SimpleQueue)) if type(one) is dict and "get_nowait" in one]
    return found[0] if found else None

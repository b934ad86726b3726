"""Records which run puts an item into a queue of `queue` or `asyncio`, or of a derived class.

Owns the methods that are replaced for it, only while runs are active: those that a queue calls with
its lock held, which also covers threads that were already waiting in `get`. Must not know the
consequences of ownership (handover.py).
"""

from __future__ import annotations

import queue  # noqa: F401 - one of _MODULES
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

from runcast.loaded import loaded
from runcast.sources import handover, pickles, simple_queue
from runcast.sources.owners import forget_all, owners_of
from runcast.sources.run_context import current
from runcast.sysio.forks import at_fork

__all__ = ["install", "refresh", "restore", "uninstall"]

_Method = Callable[..., Any]

_MODULES = ("queue", "asyncio.queues")

_classes: list[tuple[weakref.ref[type], bool]] = []  # known classes, and whether they are LIFO
_bases: dict[type, Any] = {}  # classes with our `__init_subclass__`, which registers derived ones
_kept: dict[Any, Any] = {}  # wrappers by original: reused whenever a first run becomes active
_replaced: list[tuple[type, str, Any, Any]] = []  # class, name, original, wrapper
_noting = False


def install() -> None:
    """Start recording; a second call covers modules imported since."""
    global _noting
    if not _noting:
        _noting = True
        forget_all()
        simple_queue.install()
        for known, last_first in _classes:
            if (one := known()) is not None:
                _replace(one, last_first)
    pickles.install()
    for name in _MODULES:
        module = loaded(name)
        if module is not None and module.Queue not in _bases:
            _follow(module.Queue, module.LifoQueue)


def refresh() -> None:
    """Cover modules imported since, if recording: before a thread or a child uses them."""
    if _noting:
        install()


def restore() -> None:
    """Restore the queues' own methods, unless other code has replaced them since."""
    global _noting
    _noting = False
    while _replaced:
        owner, name, own, ours = _replaced.pop()
        if vars(owner).get(name) is ours:
            setattr(owner, name, own)
    simple_queue.restore()
    pickles.restore()
    forget_all()


def uninstall() -> None:
    """Restore everything, including the hook for derived classes."""
    restore()
    while _bases:
        base, ours = _bases.popitem()
        if ours is not None and vars(base).get("__init_subclass__") is ours:
            delattr(base, "__init_subclass__")
    _classes.clear()
    _kept.clear()


def _follow(base: Any, lifo: type) -> None:
    """Register a class, and all present and future derived ones."""
    if not isinstance(vars(base).get("_put"), types.FunctionType):  # gevent's, in place of Python's
        _bases[base] = None
        return
    found = [base]
    for one in found:
        found += one.__subclasses__()
    for one in dict.fromkeys(found):
        _know(one, lifo)

    def derived(cls: type, /, **options: Any) -> None:
        super(base, cls).__init_subclass__(**options)
        _know(cls, lifo)

    _bases[base] = classmethod(derived)
    base.__init_subclass__ = _bases[base]


def _know(one: type, lifo: type) -> None:
    last_first = issubclass(one, lifo)
    _classes.append((weakref.ref(one), last_first))
    if _noting:
        _replace(one, last_first)


def _replace(owner: type, last_first: bool) -> None:
    for name, wrap in (("_put", _putting), ("_get", _getting)):
        own = vars(owner).get(name)
        if isinstance(own, types.FunctionType):
            ours = _kept.get(own)
            if ours is None:
                ours = wrap(own, last_first)
                ours.__name__, ours.__qualname__, ours.__doc__ = own.__name__, own.__qualname__, own.__doc__
                if own.__module__ in _MODULES:  # other classes may be deleted
                    _kept[own] = ours
            _replaced.append((owner, name, own, ours))
            setattr(owner, name, ours)


def _putting(own: _Method, last_first: bool) -> _Method:
    def _put(self: Any, item: Any, *args: Any) -> Any:
        sink = current.get()
        owners = owners_of(self, sink)
        if owners is None:
            done = own(self, item, *args)
        elif owners.inside:
            return own(self, item, *args)
        else:
            owners.inside = True
            try:
                done = own(self, item, *args)
            finally:
                owners.inside = False
            owners.note(item, sink)
        handover.gave(self, item, last_first=last_first)
        return done

    return _put


def _getting(own: _Method, last_first: bool) -> _Method:
    def _get(self: Any, *args: Any) -> Any:
        owners = owners_of(self)
        if owners is None:
            item, owner = own(self, *args), None
        elif owners.inside:
            return own(self, *args)
        else:
            owners.inside = True
            try:
                item = own(self, *args)
            finally:
                owners.inside = False
            owner = owners.forget(item)
        if sys._getframe(1).f_code.co_name != "shutdown":  # which discards the items
            handover.taken(self, item, owner, last_first=last_first)
        return item

    return _get


def _before_fork() -> None:
    sink = current.get()
    if sink is not None:
        refresh()
        pickles.number_of(sink)


at_fork(before=_before_fork)

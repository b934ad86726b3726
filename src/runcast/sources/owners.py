"""The owners of the items of a queue: the run whose code put each item there.

A queue holds the objects that were put into it, so they are identified by `id`. If several runs put the
same object, or it was put bypassing the wrappers, the owner is unknown, which counts as none. Keeps
neither queues nor runs alive. Must not know how a queue is wrapped, nor the consequences of ownership.
"""

from __future__ import annotations

import weakref
from typing import Any

from runcast.sources.run_context import Sink

__all__ = ["Owners", "forget_all", "owners_of"]


class Owners:
    """The owners of one queue's items. Thread-safe and reentrant."""

    __slots__ = ("_items", "inside")

    def __init__(self) -> None:
        self._items: dict[int, list[weakref.ref[Sink] | None]] = {}  # by id, for each time that it was put
        self.inside = False  # whether a method of the queue runs that may call another wrapped one

    def note(self, item: object, sink: Sink | None) -> None:
        """Record the owner of an item; None is recorded only if the same object has another owner."""
        key = id(item)
        if sink is not None:
            self._items.setdefault(key, []).append(weakref.ref(sink))
        elif key in self._items:
            self._items[key].append(None)

    def forget(self, item: object) -> Sink | None:
        """Return the owner of an item that was taken out, and drop the record."""
        key = id(item)
        owners = self._items.get(key)
        if not owners:
            return None
        first = owners[0]
        same = all(owner is first for owner in owners)
        del owners[:1]
        if not owners:
            self._items.pop(key, None)  # drops a record made at this very moment, too
        return first() if same and first is not None else None


_owners: dict[int, tuple[weakref.ref[Any], Owners]] = {}  # by id of the queue, where a run put something


def owners_of(queue: Any, sink: Sink | None = None) -> Owners | None:
    """Return the owners of a queue's items; None if there are none and no `sink` to record."""
    found = _owners.get(id(queue))
    if found is not None:
        return found[1]
    if sink is None:
        return None
    key = id(queue)
    owners = Owners()
    _owners[key] = (weakref.ref(queue, lambda _: _owners.pop(key, None)), owners)
    return owners


def forget_all() -> None:
    """Drop all records."""
    _owners.clear()

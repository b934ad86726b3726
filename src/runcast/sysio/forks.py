"""What happens at a fork: locks, threads and descriptors that a child has copies of are its parent's.

Owns the only hooks of `os.register_at_fork`. Hooks run as the interpreter runs its own: those before a
fork in reverse order, the others in order. One that fails stops no other. Imports nothing of ours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import weakref

__all__ = ["Forked", "at_fork", "note_forks"]

_Hook = Callable[[], object]


class Forked(Protocol):
    """What differs in a child."""

    def in_child(self) -> None:
        """Begin anew: no other thread of the parent is here, and nobody frees the locks that they held."""


_noted: weakref.WeakSet[Forked] | None = None  # made when it is needed: a supervisor never needs it
_before: list[_Hook] = []
_in_parent: list[_Hook] = []
_in_child: list[_Hook] = []


def at_fork(
    in_child: _Hook | None = None, *, before: _Hook | None = None, in_parent: _Hook | None = None
) -> None:
    """Have functions called at each fork of this process, from now on and for good."""
    for hooks, hook in ((_before, before), (_in_parent, in_parent), (_in_child, in_child)):
        if hook is not None:
            hooks.append(hook)


def note_forks(one: Forked) -> None:
    """Have `one.in_child` called in each process that is forked from this one, while `one` lives."""
    global _noted
    if _noted is None:
        import weakref

        _noted = weakref.WeakSet()
    _noted.add(one)


def _call(hooks: Iterable[_Hook]) -> None:
    for hook in hooks:
        try:
            hook()
        except Exception:  # the others must be called all the same
            sys.excepthook(*sys.exc_info())


def _in_child_all() -> None:
    # Each line of Python that runs here costs each supervisor a page or two of memory that is its own.
    if _noted is not None:
        _call([one.in_child for one in list(_noted)])
    if _in_child:
        _call(_in_child)


os.register_at_fork(
    before=lambda: _call(reversed(_before)),
    after_in_parent=lambda: _call(_in_parent),
    after_in_child=_in_child_all,
)

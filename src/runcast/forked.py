"""What a forked process must let go of: the locks and threads of its parent's that it has copies of.

Owns being told. Whoever holds such things is noted once, and called in each child. Imports nothing
of ours.
"""

from __future__ import annotations

import os
import sys
import weakref
from typing import Protocol

__all__ = ["Forked", "note_forks"]


class Forked(Protocol):
    """What differs in a child."""

    def in_child(self) -> None:
        """Begin anew: no other thread of the parent is here, and what they held nobody frees."""


_noted: weakref.WeakSet[Forked] = weakref.WeakSet()


def note_forks(one: Forked) -> None:
    """Have `one.in_child` called in each process that is forked from this one, while `one` lives."""
    _noted.add(one)


def _in_child() -> None:
    for one in list(_noted):
        try:
            one.in_child()
        except Exception:  # the others must have theirs
            sys.excepthook(*sys.exc_info())


os.register_at_fork(after_in_child=_in_child)

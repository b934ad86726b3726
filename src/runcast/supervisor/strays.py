"""What supervisors leave that die in mid-run: it becomes the forkserver's, the next subreaper above.

So a forkserver has what is left of a lost run for its children, and by that alone knows it, whatever
was done to environment, session and parent. Owns that nothing else is taken for that: what a run
leaves that ended by itself, a daemon, is not to become the forkserver's. Its supervisor says so
before it goes. If one is killed before it could, its daemons are here for good: nothing is killed
then, and this process stops being a subreaper as long as one of them lives.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Set

from runcast.supervisor.end_hooks import is_helper
from runcast.supervisor.tree import become_subreaper, children, kill_all

__all__ = ["Strays"]

_KILL_SECONDS = 5.0


class Strays:
    """The children of a forkserver that are not its supervisors."""

    def __init__(self) -> None:
        self._going: set[int] = set()  # supervisors that end, and what they leave is to be let be
        self._kept: set[int] = set()  # came here by mistake
        become_subreaper()

    def let_go(self, supervisor: int) -> None:
        """From now on until this supervisor has ended, nothing that loses its parent comes here."""
        self._going.add(supervisor)
        become_subreaper(really=False)

    def begin_apart(self, begin: Callable[[], object]) -> None:
        """Call what starts a process and leaves it alone: it is not to become this one's."""
        become_subreaper(really=False)
        try:
            begin()
        finally:
            become_subreaper(really=not self._going and not self._kept)

    def settle(self, ended: int, supervisors: Set[int], all_lost: Callable[[], bool]) -> None:
        """A supervisor has ended: kill what it left, if its run is lost.

        Args:
            ended: its process id.
            supervisors: those of all others.
            all_lost: whether the run is lost, and so is that of each other supervisor that is dead by
                now: whose child it was does not show.
        """
        self._going.discard(ended)

        def look(zombies: set[int]) -> list[int]:
            found = _others(zombies, supervisors)
            # In this order: what dies after the first line has left nothing among them.
            return found if found and all_lost() else []

        if not self._kept:
            kill_all(look, lambda: self._reap(supervisors) or not all_lost(), _KILL_SECONDS)
        self._reap(supervisors)
        become_subreaper(really=not self._going and not self._kept)

    def _reap(self, supervisors: Set[int]) -> bool:
        """Reap those that have ended; return whether there are no others."""
        zombies: set[int] = set()
        self._kept = set(_others(zombies, supervisors))
        for pid in zombies - supervisors:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        return not self._kept


def _others(zombies: set[int], supervisors: Set[int]) -> list[int]:
    """Return our children but supervisors, and what does the hooks of runs that are over already."""
    return [pid for pid in children(zombies) if pid not in supervisors and not is_helper(pid)]

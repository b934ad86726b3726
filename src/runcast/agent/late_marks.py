"""Mirrors of runs that are over, of whose hooks something may still become: looked at while somebody looks.

Owns which mirrors these are, also after another agent of this store. Must not know the link.
"""

from __future__ import annotations

from collections.abc import Iterable

from runcast.agent.mirror_run import Mirror
from runcast.link import Look
from runcast.store.run_files import RunFiles

__all__ = ["LateMarks"]


class LateMarks:
    """The mirrors that are whole but for what becomes of their hooks."""

    def __init__(self) -> None:
        self._mirrors: dict[str, Mirror] = {}

    @property
    def ids(self) -> Iterable[str]:
        """Whose they are."""
        return self._mirrors.keys()

    def go_on(self, files: RunFiles) -> None:
        """Take a mirror that an earlier agent finished, if something may become of its hooks."""
        mirror = Mirror.finished(files)
        if mirror is not None:
            self.add(mirror)

    def add(self, mirror: Mirror) -> None:
        """Take a mirror that is whole, if something may become of its hooks."""
        if mirror.late:
            self._mirrors[mirror.id] = mirror

    def take(self, run_id: str, look: Look) -> bool:
        """Take over what the link knows of a run; return whether it is one of these.

        Raises:
            OSError: there is no room, or the mirror was removed.
        """
        mirror = self._mirrors.get(run_id)
        if mirror is None:
            return False
        mirror.take_marks(look)
        if not mirror.late:
            del self._mirrors[run_id]
        return True

    def forget(self, run_id: str) -> None:
        """Look at a mirror no more."""
        self._mirrors.pop(run_id, None)

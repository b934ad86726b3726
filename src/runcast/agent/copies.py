"""Folders of runs that came into this store by a copy, whose runs are other hosts'.

Owns what becomes of one: it is the mirror of its run. What was copied while somebody wrote to it may have
parts of different moments, bytes whose labels are missing among them; so it is made anew, unless the link
has less of the run than is here. Must not know how a mirror is brought.
"""

from __future__ import annotations

import time
from typing import Protocol

from runcast.agent.mirror_run import Mirror
from runcast.link import Look
from runcast.log.copied import copied_to
from runcast.store.contents import AGENT
from runcast.store.files import StoreFiles
from runcast.store.run_files import RunFiles

__all__ = ["WANTED_SECONDS", "Copies"]

WANTED_SECONDS = 20.0
"""Since somebody wanted a run, in which its log is brought."""


class _Mirrors(Protocol):
    """Those of the store: see `Mirrors`."""

    runs: dict[str, Mirror]

    def stop(self, mirror: Mirror) -> None:
        """Bring its log no more."""

    def want(self, run_id: str, now: float) -> None:
        """Bring it."""


class Copies:
    """Copied folders.

    Args:
        mirrors: of the store.
        files: of the store.
        lock_fd: the agent's lock.
    """

    def __init__(self, mirrors: _Mirrors, files: StoreFiles, lock_fd: int) -> None:
        self._mirrors, self._files, self._lock_fd = mirrors, files, lock_fd
        self._found: set[str] = set()

    def note(self, files: RunFiles) -> bool:
        """Return whether a mirror is a copy, and not whole: then `take` needs what the link has of it."""
        if not files.is_copied_mirror:
            return False
        state = files.state()
        if files.ended and state.get("owner") != AGENT and copied_to(files.log_path) == state.get("tail"):
            return False
        self._found.add(files.id)
        return True

    def take(self, run_id: str, look: Look) -> bool:
        """Make such a mirror anew; return False if it is none.

        Raises:
            OSError: there is no room.
        """
        if run_id not in self._found:
            return False
        self._remake(run_id, look)
        self._found.discard(run_id)
        return True

    def adopt(self, run_id: str, look: Look, whole: bool) -> None:
        """Have the copied folder of another host's run be its mirror.

        Args:
            run_id: of the run.
            look: what the link has of it.
            whole: whether that is all here.

        Raises:
            OSError: there is no room.
        """
        if whole:
            self._files.run(run_id).mark_mirror(look.host)
        else:
            self._remake(run_id, look)

    def _remake(self, run_id: str, look: Look) -> None:
        if look.first > 0 or look.tail < copied_to(self._files.run(run_id).log_path):
            return
        if (mirror := self._mirrors.runs.pop(run_id, None)) is not None:
            self._mirrors.stop(mirror)
        self._files.hide(run_id)
        made = Mirror.make(self._files, run_id, look, self._lock_fd)
        if made is None:
            return
        self._mirrors.runs[run_id] = made
        if mirror is not None and time.monotonic() - mirror.wanted < WANTED_SECONDS:
            self._mirrors.want(run_id, mirror.wanted)

"""The mirror of one run of another host: its small files, and the copy of its log.

Owns how a mirror is made, goes on and is finished, so that at every moment it is a run as far as it is
here: its log is not closed before all of it is, whatever its outcome says. Must not know the link.
"""

from __future__ import annotations

import contextlib
from typing import Any

from runcast.json_objects import parse_object
from runcast.link import Entry, Look
from runcast.log.copied import LogCopy
from runcast.store.contents import AGENT
from runcast.store.files import StoreFiles
from runcast.store.run_files import RunFiles

__all__ = ["Mirror"]


class Mirror:
    """A mirror that is not whole.

    Attributes:
        id: of the run.
        host: whose it is.
        at: where its log ends here.
        wanted: when somebody wanted it last, in monotonic seconds.
        active: whether its log is being brought.
        reading: whether a request for it is under way.
        ended: whether its outcome is here.
    """

    def __init__(self, files: RunFiles, host: str) -> None:
        self._files = files
        self.id, self.host = files.id, host
        self._copy: LogCopy | None = None
        self._state: object = None  # what the link had that the files have now
        self._progress: bytes | None = None
        self.wanted = float("-inf")
        self.active = self.reading = False
        self.ended = files.ended
        self.at = 0
        self.again = 0.0  # no request before, in monotonic seconds

    @classmethod
    def make(cls, files: StoreFiles, run_id: str, look: Look, lock_fd: int) -> Mirror | None:
        """Make the mirror of a run, without its log; None if it is whole with that.

        Raises:
            OSError: there is no room.
        """
        draft = files.draft(run_id)
        draft.discard()  # of an agent that was killed
        made = RunFiles.create_mirror(draft.path, look.request, look.host)
        made.copy_marks(_marks(look))
        made.own(AGENT, lock_fd, _state(look))
        mirror = cls(made.publish(files.run(run_id).path), look.host)
        return None if mirror.take(look) else mirror

    @classmethod
    def go_on(cls, files: RunFiles, lock_fd: int) -> Mirror | None:
        """Go on with a mirror that another agent made; None if it is whole, or is none."""
        host, state = files.mirror_of, files.state()
        if host is None or (files.ended and state.get("owner") != AGENT):
            return None
        state.pop("owner", None)
        files.own(AGENT, lock_fd, state)
        return cls(files, host)

    def take(self, look: Look, *, stub: bool = True) -> bool:
        """Take over what the link knows of the run; return whether the mirror is whole now.

        Args:
            look: what it knows.
            stub: write the outcome even where the log is not all here.

        Raises:
            OSError: there is no room, or the mirror was removed.
        """
        state = look.state, None if self.active else look.tail  # where it ends is seen, if it is brought
        if state != self._state:
            self._files.copy_marks(_marks(look))
            self._files.write_state(_state(look))
            self._state = state
        if look.progress and look.progress != self._progress:
            with contextlib.suppress(ValueError):
                self._files.write_progress(parse_object(look.progress))
            self._progress = look.progress
        if look.outcome is None:
            return False
        whole = self.tail() >= look.tail
        if not self.ended and (whole or stub):
            if self._copy is not None:
                self._copy.sync()
            self._files.copy_outcome(look.outcome)
            self.ended = True
        if whole:
            self.close()
            self._files.release()
        elif not self.active:
            self.close()
        return whole

    def tail(self) -> int:
        """Return where its log ends here.

        Raises:
            OSError: it cannot be read.
        """
        if self._copy is None:
            self._copy = LogCopy(self._files)
            self.at = self._copy.tail
        return self._copy.tail

    def watched(self) -> int:
        """Return when a viewer was there last, in nanoseconds since the epoch; 0 for never."""
        return self._files.watched()

    def append(self, entries: list[Entry], first: int) -> None:
        """Append what comes next. What the engine no longer has, nor anybody else, is a gap.

        Raises:
            OSError: there is no room, or the mirror was removed.
        """
        self.tail()
        assert self._copy is not None
        try:
            if first > self._copy.tail:
                self._copy.append(self._copy.tail, first, b"", b"")
            for entry in entries:
                self._copy.append(*entry)
        finally:
            self.at = self._copy.tail

    def close(self) -> None:
        """Release descriptors; it goes on when it is wanted again."""
        self.hand_over()
        self.active = False

    def hand_over(self) -> None:
        """Let somebody else write its log; the next call that needs that takes it back."""
        if self._copy is not None:
            self._copy.sync()
            self._copy.park()
            self._copy = None


def _state(look: Look) -> dict[str, Any]:
    """Return the state as the run has it, and where its log ends: all of that is the log's."""
    state = _parsed(look)
    state.pop("marks", None)
    return state | {"tail": look.tail}


def _marks(look: Look) -> dict[str, str]:
    """Return what stands beside the run's log."""
    marks = _parsed(look).get("marks")
    return (
        {name: text for name, text in marks.items() if isinstance(text, str)}
        if isinstance(marks, dict)
        else {}
    )


def _parsed(look: Look) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        return parse_object(look.state or b"{}")
    return {}

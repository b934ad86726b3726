"""The mirror of one run of another host: its small files, and the copy of its log.

Owns how a mirror is made, goes on and is finished, so that at every moment it is a run as far as it is
here: its log is not closed before all of it is, whatever its outcome says. Must not know the link.
"""

from __future__ import annotations

import contextlib
import time
from functools import cached_property
from typing import Any

from runcast.errors import RuncastError
from runcast.json_objects import parse_object
from runcast.link import Entry, Look
from runcast.log.copied import LogCopy
from runcast.store.contents import AGENT
from runcast.store.end_hooks import has_notes, hooks_settled, wants_hooks
from runcast.store.files import StoreFiles
from runcast.store.run_files import RunFiles

__all__ = ["Mirror"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds between looks for a run that an engine lost
_NOTE_SECONDS = 0.5  # between two notes of where the log ends at the link


class Mirror:
    """A mirror that is not whole.

    Attributes:
        id: of the run.
        host: whose it is.
        at: where its log ends here.
        wanted: when somebody wanted it last, in monotonic seconds.
        active: whether its log is being brought.
        reading: whether a request for it is under way.
        unread: whether there was news meanwhile.
        version: the link's number of when its fields were looked at, see `Stretch`.
        ended: whether its outcome is here.
        whole: whether all of its log is.
        late: whether it has ended, and something may still become of its hooks.
    """

    def __init__(self, files: RunFiles, host: str) -> None:
        self._files = files
        self.id, self.host = files.id, host
        self._copy: LogCopy | None = None
        self._state: object = None  # what the link had that the files have now
        self._progress: bytes | None = None
        self._marked: bytes | None = None
        self.wanted = float("-inf")
        self.active = self.reading = self.unread = False
        self.version: int | None = None
        self.ended = files.ended
        self.whole = self.late = False
        self.at = 0
        self._pause = _FIRST_PAUSE
        self._watched = 0  # when a viewer was there last, in nanoseconds since the epoch
        self.again = 0.0  # no request before, in monotonic seconds
        self._known, self._noted = 0, float("-inf")  # where it ends at the link, as readers know; since when

    @classmethod
    def make(cls, files: StoreFiles, run_id: str, look: Look, lock_fd: int) -> Mirror:
        """Make the mirror of a run, without its log.

        Raises:
            OSError: there is no room.
        """
        draft = files.draft(run_id)
        draft.discard()  # of an agent that was killed
        made = RunFiles.create_mirror(draft.path, look.request, look.host)
        made.copy_marks(_marks(look))
        made.own(AGENT, lock_fd, _state(look))
        mirror = cls(made.publish(files.run(run_id).path), look.host)
        mirror.take(look)
        return mirror

    @classmethod
    def finished(cls, files: RunFiles) -> Mirror | None:
        """Return a mirror that is whole, if something may still become of its hooks; else None."""
        if not has_notes(files.path) or (host := files.mirror_of) is None:
            return None
        mirror = cls(files, host)
        mirror.late = not hooks_settled(files.path, files.described()[0])
        return mirror if mirror.late else None

    @classmethod
    def go_on(cls, files: RunFiles, lock_fd: int) -> Mirror | None:
        """Go on with a mirror that another agent made; None if it is whole, or is none."""
        host, state = files.mirror_of, files.state()
        if host is None or (files.ended and state.get("owner") != AGENT):
            return None
        state.pop("owner", None)
        files.own(AGENT, lock_fd, state)
        mirror = cls(files, host)
        mirror.late = mirror.ended and cls.finished(files) is not None
        return mirror

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
        whole = self.whole = self.tail() >= look.tail
        if not self.ended and (whole or stub):
            if self._copy is not None:
                self._copy.sync()
            self._files.copy_outcome(look.outcome)
            self.ended = True
        if self.ended:
            self._see_to_hooks(look)
        if whole:
            self.close()
            self._files.release()
        elif not self.active:
            self.close()
        return whole

    def take_marks(self, look: Look) -> None:
        """Take over what stands beside the log of a run that is over.

        Raises:
            OSError: there is no room, or the mirror was removed.
        """
        if look.state != self._marked:
            self._files.copy_marks(_marks(look))
            self._marked = look.state
        self._see_to_hooks(look)

    def _see_to_hooks(self, look: Look) -> None:
        request: dict[str, Any] = {}
        if wants_hooks(look.request):
            with contextlib.suppress(ValueError):
                request = parse_object(look.request)
        self.late = not hooks_settled(self._files.path, request)
        if self.late and not has_notes(self._files.path):
            self._files.copy_marks({"hooks": ""})  # so the next agent knows it for one

    def tail(self) -> int:
        """Return where its log ends here.

        Raises:
            OSError: it cannot be read.
        """
        if self._copy is None:
            self._copy = LogCopy(self._files)
            self.at = self._copy.tail
        return self._copy.tail

    def puts_off(self) -> bool:
        """Return whether a request for it is under way, and what is news now is seen to after that."""
        self.unread = self.reading
        return self.reading

    def next_pause(self) -> float:
        """Return for how many seconds to let it be, since the link has it not: longer each time in a row."""
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        return pause

    def done(self, due: dict[str, float]) -> None:
        """Take note that no request for it is under way; if there was news meanwhile, it is due at once."""
        if self.unread:
            due.setdefault(self.id, 0.0)
        self.reading = self.unread = False

    @cached_property
    def lazy(self) -> bool:
        """Whether the run goes on by what its readers ask for, so that it must hear of them."""
        with contextlib.suppress(OSError, RuncastError):
            return bool(self._files.described()[0].get("lazy"))
        return True

    def is_watched_anew(self) -> bool:
        """Return whether a viewer was there since the last such call."""
        before, self._watched = self._watched, self._files.watched()
        return self._watched != before

    def append(self, entries: list[Entry], first: int, end: int) -> None:
        """Append what comes next. What the engine no longer has, nor anybody else, is a gap.

        Args:
            entries: what comes next.
            first: where the log begins at the link.
            end: where it ends there. If that is far away, readers learn it now: one that is ahead of what
                is here, and not of the link, waits for as long as bytes come.

        Raises:
            OSError: there is no room, or the mirror was removed.
        """
        self.tail()
        self._pause = _FIRST_PAUSE
        assert self._copy is not None
        try:
            if first > self._copy.tail:
                self._copy.append(self._copy.tail, first, b"", b"")
            for entry in entries:
                self._copy.append(*entry)
        finally:
            self.at = self._copy.tail
        if end > max(self.at, self._known) and time.monotonic() >= self._noted + _NOTE_SECONDS:
            self._known, self._noted = end, time.monotonic()
            if state := self._files.state():
                self._files.write_state(state | {"tail": end})

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

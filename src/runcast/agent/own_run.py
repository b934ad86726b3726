"""A run of this store, as it is shipped: where its log goes on, and its small files as the link has them.

Owns what of these files is shared: not the paths and processes of this host, which mean nothing elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any, Final

from runcast.errors import FileDamaged
from runcast.link import Look
from runcast.log.entries import EntryLog
from runcast.store.artifacts import ARTIFACTS
from runcast.store.end_hooks import has_notes, hook_notes, hooks_settled
from runcast.store.keys import ATTEMPT, run_of_key
from runcast.store.run_files import RunFiles
from runcast.sysio.files import SMALL, read_own

__all__ = ["CLOSED", "HOOKS", "LOOKED_AT", "NEW", "SHIPPED", "TAKEN", "OwnRun"]

NEW: Final = "new"  # the link has it not
LOOKED_AT: Final = "looked at"  # it is not known yet what the link has
TAKEN: Final = "taken"  # the link has its log up to `at`, or that is under way
CLOSED: Final = "closed"  # its outcome is under way
HOOKS: Final = "hooks"  # all of it is at the link but what becomes of its hooks
SHIPPED: Final = "shipped"
_MARKS_BYTES = 128 * 1024
_LIST_BYTES = 8 * 1024 * 1024  # of the list of files that are kept with it: more than 1,000 paths take
_PROGRESS_SECONDS = 0.2  # between two of a run
_CLAIM_SECONDS = 60.0  # after its end, by when somebody has its hooks to do


class OwnRun:
    """A run that is shipped.

    Attributes:
        id: its id.
        log: its log.
        phase: how far it is, one of the above.
        at: the offset of the next entry.
        flying: entries under way.
        rewound: where the link's tail is, if it refused an entry.
        sent: the fields as the link has them, or will have.
        fields_changed: whether these may be others now.
        unchecked: whether they have changed since it was looked whether the log is whole.
        key: its key, as long as that is its own.
        attempt: whether a newer run may have taken its key when it was over.
        progress_at: when its progress may be sent again, in monotonic seconds.
        count_at: when its lines may be counted again, likewise.
    """

    def __init__(self, files: RunFiles) -> None:
        self._files = files
        self.id = files.id
        self.log = EntryLog(files.path)
        self.phase = LOOKED_AT
        self.at = self.flying = 0
        self.rewound: int | None = None
        self.sent: dict[str, bytes] = {}
        self.fields_changed = True
        self.unchecked, self._closed = True, False
        self.progress_at = 0.0
        self.key: str | None = None
        self._request: Mapping[str, Any] | None = None
        self._counted, self._counted_to = 0, 0  # lines of a run that goes on, for its stubs
        self.count_at = 0.0
        self.attempt = False

    @property
    def closed(self) -> bool:
        """Whether its log is whole, which is looked for after a change of its fields only."""
        if not self._closed and self.unchecked:
            self.unchecked = False
            self._closed = self.log.closed
        return self._closed

    @property
    def held(self) -> bool:
        """Whether its writer lives."""
        return self._files.held

    @property
    def copied(self) -> bool:
        """Whether its folder came from elsewhere, so that the run itself may go on there."""
        return self._files.is_from_elsewhere

    def is_whole(self, look: Look) -> bool:
        """Return whether what the link has of it is what is here."""
        return self.log.closed and self.log.tail_offset == look.tail and self.outcome() == look.outcome

    def request(self) -> bytes | None:
        """Return its `run.json`; None if it was removed, or is damaged."""
        with contextlib.suppress(OSError, ValueError):
            data = read_own(f"{self._files.path}/run.json")
            value = json.loads(data)
            key = value.get("key")
            self.key = key if isinstance(key, str) else None
            self.attempt = ATTEMPT in value
            store = os.path.dirname(self._files.path)
            if self.key is not None and self.attempt and run_of_key(store, self.key) != self.id:
                self.key = None  # a newer one has it
            return data
        return None

    def state(self, *, closed: bool) -> bytes:
        """Return its state, without what is of use here only, and its marks; in the end with its lines."""
        state = {name: value for name, value in self._files.state().items() if name != "owner"}
        if closed:
            state["lines"] = self.log.lines
        elif self._counted:
            state["lines_so_far"] = self._counted
        if marks := self.marks():
            state["marks"] = marks
        return json.dumps(state).encode() if state else b""

    def changed(self, now: float, every: float, *, closed: bool) -> tuple[dict[str, bytes], float | None]:
        """Return the fields that the link has otherwise, its outcome apart, and when to look for more.

        Args:
            now: in monotonic seconds.
            every: seconds between two counts of its lines.
            closed: whether its log is whole, so that these are the last ones.
        """
        due = None if closed else self.count(now, every)
        found: dict[str, bytes] = {}
        if not (self.fields_changed or closed):
            return found, due
        self.fields_changed = False
        if (state := self.state(closed=closed)) and state != self.sent.get("state"):
            found["state"] = state
        if (progress := self.progress()) and progress != self.sent.get("progress"):
            if closed or now >= self.progress_at:
                self.progress_at = now + _PROGRESS_SECONDS
                found["progress"] = progress
            else:
                due = self.progress_at if due is None else min(due, self.progress_at)
        return found, due

    def count(self, now: float, every: float) -> float | None:
        """Count the lines of a run that goes on, now and then; return when that is due, None if it is done.

        Stubs have no log in which they could be counted.

        Args:
            now: in monotonic seconds.
            every: seconds between two counts.
        """
        if self._counted_to == self.at:
            return None
        if now < self.count_at:
            return self.count_at
        self._counted, self._counted_to = self.log.lines, self.at
        self.count_at = now + every
        self.fields_changed = True
        return None

    def marks(self) -> dict[str, str]:
        """Return what stands beside its log: notes, last sizes of its terminal, list of files, hooks."""
        path = self._files.path
        notes = _read(f"{path}/notes.json")
        notes = notes if len(notes) <= _MARKS_BYTES else b""
        sizes = _read(f"{path}/sizes")[-_MARKS_BYTES:]
        found = {"notes": notes, "sizes": sizes, "artifacts": _read(f"{path}/{ARTIFACTS}.json", _LIST_BYTES)}
        if has_notes(path):
            found["hooks"] = hook_notes(path, self._asked())
        return {name: data.decode("utf-8", "replace") for name, data in found.items() if data}

    def _asked(self) -> Mapping[str, Any]:
        if self._request is None:
            with contextlib.suppress(FileNotFoundError):
                self._request = self._files.described()[0]
        return self._request or {}

    @property
    def has_hooks(self) -> bool:
        """Whether somebody has, or had, hooks of it to do."""
        return has_notes(self._files.path)

    @property
    def hooks_over(self) -> bool:
        """Whether nothing more becomes of its hooks, once it has ended."""
        path = self._files.path
        try:
            late = self._files.over_seconds() > _CLAIM_SECONDS
        except FileNotFoundError:  # it was removed
            return True
        if not has_notes(path) and late:
            return True
        return hooks_settled(path, self._asked())

    def progress(self) -> bytes:
        """Return its progress; empty for none."""
        return _read(f"{self._files.path}/progress.json")

    def outcome(self) -> bytes | None:
        """Return its outcome; None if it cannot be read."""
        return _read(f"{self._files.path}/outcome.json") or None


def _read(path: str, most: int = SMALL) -> bytes:
    try:
        return read_own(path, most)
    except (OSError, FileDamaged):
        return b""

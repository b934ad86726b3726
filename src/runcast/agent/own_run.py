"""A run of this store, as it is shipped: where its log goes on, and its small files as the link has them.

Owns what of these files is shared: not the paths and processes of this host, which mean nothing elsewhere.
"""

from __future__ import annotations

import contextlib
import json
from typing import Final

from runcast.errors import FileDamaged
from runcast.log.entries import EntryLog
from runcast.store.keys import ATTEMPT
from runcast.store.run_files import RunFiles
from runcast.sysio.files import read_own

__all__ = ["CLOSED", "LOOKED_AT", "NEW", "SHIPPED", "TAKEN", "OwnRun"]

NEW: Final = "new"  # the link has it not
LOOKED_AT: Final = "looked at"  # it is not known yet what the link has
TAKEN: Final = "taken"  # the link has its log up to `at`, or that is under way
CLOSED: Final = "closed"  # its outcome is under way
SHIPPED: Final = "shipped"
_MARKS_BYTES = 128 * 1024


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
        progress_at: when its progress may be sent again, in monotonic seconds.
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
        self.progress_at = 0.0
        self.key: str | None = None

    @property
    def closed(self) -> bool:
        """Whether its log is whole."""
        return self.log.closed

    @property
    def held(self) -> bool:
        """Whether its writer lives."""
        return self._files.held

    def request(self) -> bytes | None:
        """Return its `run.json`; None if it was removed, or is damaged."""
        with contextlib.suppress(OSError, ValueError):
            data = read_own(f"{self._files.path}/run.json")
            value = json.loads(data)
            key = None if ATTEMPT in value else value.get("key")  # which is of this host, until it is over
            self.key = key if isinstance(key, str) else None
            return data
        return None

    def state(self, *, closed: bool) -> bytes:
        """Return its state, without what is of use here only, and its marks; in the end with its lines."""
        state = {name: value for name, value in self._files.state().items() if name != "owner"}
        if closed:
            state["lines"] = self.log.lines
        if marks := self.marks():
            state["marks"] = marks
        return json.dumps(state).encode() if state else b""

    def marks(self) -> dict[str, str]:
        """Return what stands beside its log: its notes, and the last sizes of its terminal."""
        path = self._files.path
        notes = _read(f"{path}/notes.json")
        notes = notes if len(notes) <= _MARKS_BYTES else b""
        sizes = _read(f"{path}/sizes")[-_MARKS_BYTES:]
        found = {"notes": notes, "sizes": sizes}
        return {name: data.decode("utf-8", "replace") for name, data in found.items() if data}

    def progress(self) -> bytes:
        """Return its progress; empty for none."""
        return _read(f"{self._files.path}/progress.json")

    def outcome(self) -> bytes | None:
        """Return its outcome; None if it cannot be read."""
        return _read(f"{self._files.path}/outcome.json") or None


def _read(path: str) -> bytes:
    try:
        return read_own(path)
    except (OSError, FileDamaged):
        return b""

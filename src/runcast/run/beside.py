"""What stands beside the log of a run of this machine: notes, files that are kept with it, and its host.

Owns these facts of a run, without waiting. Must not know states and outcomes (base.py).
"""

from __future__ import annotations

from typing import Any

from runcast.model import Artifact, Host, LeftOut, Note, Outcome
from runcast.store.run_files import RunFiles
from runcast.store.sharing import host_of
from runcast.wire.jsons import note_json

__all__ = ["RunBeside"]


class RunBeside:
    """What stands beside the log of a run. Use `Run` or `runcast.aio.AsyncRun`."""

    _files: RunFiles

    @property
    def request(self) -> dict[str, Any]:
        """The request, as in `run.json`."""
        raise NotImplementedError

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it goes on."""
        raise NotImplementedError

    @property
    def host(self) -> Host | None:
        """Which host it is on, and since when that is silent, or the link is down, where that matters.

        None in a store that is shared with no other host.
        """
        return host_of(self._files, self.outcome)

    def _check_there(self) -> None:
        raise NotImplementedError

    @property
    def notes(self) -> list[Note]:
        """What was noted about it by `note`, in order: the last 100 at most."""
        notes = self._files.notes()
        if not notes:
            self._check_there()
        return list(notes)

    @property
    def artifacts(self) -> list[Artifact]:
        """The files that are kept with it; empty where none are to be, and before it is closed."""
        return list(self._kept_files()[0])

    @property
    def left_out(self) -> list[LeftOut]:
        """What was to be kept with it and is not, each with the reason."""
        return list(self._kept_files()[1])

    def _kept_files(self) -> tuple[list[Artifact], list[LeftOut]]:
        if (found := self._files.artifacts()) is None:
            self._check_there()
            return [], []
        return found

    def _beside_json(self) -> dict[str, Any]:
        host = self.host
        where = {} if host is None else {"host": host.to_json()}
        notes = [note_json(note) for note in self.notes]
        if not self.request.get("artifacts"):
            return {"notes": notes, "artifacts": None, "left_out": [], **where}
        kept, left_out = self._kept_files()
        return {
            "notes": notes,
            "artifacts": [one._asdict() for one in kept],
            "left_out": [one._asdict() for one in left_out],
            **where,
        }

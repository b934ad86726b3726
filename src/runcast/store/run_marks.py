"""What stands beside the log of a run: notes, the sizes of its terminal, files that are kept with it.

    notes.json     what its programs noted, at most 100; replaced whole
    sizes          of a run with a terminal: its sizes but the first, a JSON object a line
    artifacts.json, artifacts/  the files that are kept with it (artifacts.py)

Drafts of them are beside the folder, so that they wake no follower: `.notes-ID`, `.sizes-ID`,
`.artifacts-ID`. Must not know what the rest of the run's files say (run_files.py).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from runcast.model import Artifact, LeftOut, Note, TerminalSize
from runcast.store.artifacts import ARTIFACTS, ArtifactFiles, Lists
from runcast.store.contents import SIZES_BYTES, notes_in, sizes_in
from runcast.store.end_hooks import FILE as HOOKS
from runcast.store.run_folder import RunFolder
from runcast.sysio.files import open_or_make, read_own
from runcast.sysio.writes import replace, write_whole

__all__ = ["RunMarks"]

_COPIED = {"notes": "notes.json", "sizes": "sizes", "artifacts": f"{ARTIFACTS}.json", "hooks": HOOKS}


class RunMarks(RunFolder):
    """The folder of one run, with what stands beside its log."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._notes: tuple[object, list[Note]] = (None, [])  # as they were read last
        self._sizes: tuple[object, list[TerminalSize]] = (None, [])
        self._artifacts: tuple[object, Lists] = (None, ([], []))

    def _beside(self, what: str) -> str:
        folder, name = os.path.split(self.path)
        return f"{folder}/.{what}-{name}"

    def write_notes(self, notes: Sequence[dict[str, Any]]) -> None:
        """Write the notes, all of them; nobody ever sees half of them.

        Raises:
            OSError: they cannot be written.
        """
        data = json.dumps({"notes": list(notes)}, ensure_ascii=False).encode()

        def write() -> None:
            replace(self._beside("notes"), f"{self.path}/notes.json", data, durable=False)

        self.located(write)

    def copy_marks(self, marks: Mapping[str, str]) -> None:
        """Write notes, sizes, the list of files and what became of hooks, as a run's own host has them.

        Raises:
            OSError: they cannot be written.
        """
        for name, file in _COPIED.items():
            if name in marks:
                data, draft = marks[name].encode("utf-8", "replace"), self._beside(name)
                replace(draft, f"{self.path}/{file}", data, durable=False)

    def notes(self) -> list[Note]:
        """Return what was noted about the run, in order."""
        try:
            status = os.stat(f"{self.path}/notes.json")
        except OSError:
            return []
        known = status.st_ino, status.st_mtime_ns, status.st_size
        if known != self._notes[0]:
            self._notes = known, notes_in(self.path)
        return self._notes[1]

    @property
    def artifact_files(self) -> ArtifactFiles:
        """The files that are kept with it."""
        return self.located(lambda: ArtifactFiles(self.path))

    def write_artifacts(self, kept: Sequence[Artifact], left_out: Sequence[LeftOut]) -> None:
        """Write the list of the kept files, which must be there.

        Raises:
            OSError: it cannot be written.
        """
        self.located(lambda: ArtifactFiles(self.path).write(kept, left_out, self._beside(ARTIFACTS)))

    def artifacts(self) -> Lists | None:
        """Return what is kept with the run and what was left out; None before that is known."""
        files = ArtifactFiles(self.path)
        if (known := files.changed()) is None:
            return None
        if known != self._artifacts[0]:
            self._artifacts = known, files.lists()
        return self._artifacts[1]

    def add_size(self, size: TerminalSize) -> None:
        """Write from where on the run's terminal has another size. Where there are too many, the first go.

        Raises:
            OSError: it cannot be written.
        """
        self.located(lambda: self._add_size(size))

    def _add_size(self, size: TerminalSize) -> None:
        path = f"{self.path}/sizes"
        fd = open_or_make(path, os.O_WRONLY | os.O_APPEND)
        try:
            write_whole(fd, json.dumps(size._asdict()).encode() + b"\n")
            long = os.fstat(fd).st_size > SIZES_BYTES // 2
        finally:
            os.close(fd)
        if long:
            kept = read_own(path, SIZES_BYTES)[-SIZES_BYTES // 4 :].partition(b"\n")[2]
            replace(self._beside("sizes"), path, kept, durable=False)

    def sizes(self) -> list[TerminalSize]:
        """Return the sizes that the run's terminal had after its first, in order; the last is that of now."""
        try:
            status = os.stat(f"{self.path}/sizes")
        except OSError:
            return []
        known = status.st_ino, status.st_size
        if known != self._sizes[0]:
            self._sizes = known, sizes_in(self.path)
        return self._sizes[1]

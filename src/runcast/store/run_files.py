"""The files of a run: what they are called, and what is written to them and when.

    run.json       the request; written once, before the folder gets its name
    progress.json  the latest progress; replaced whole
    outcome.json   written once, durably; its presence and a free lock mean: closed
    pinned         empty; its presence means: nothing removes the run
    mirror         of a run of another store: whose it is (mirrors.py)
    unsettled      of a lost run: its processes are still to be looked for, where that can be done
    result.json    the value of a function in a process of its own, for its supervisor
    files/         files that are values of its parameters (uploads.py)
    call, input    what such a function is called with; what a command reads from its stdin (not if masked)
    payload        what a command is given as a file

What marks places of its output is in run_marks.py. Beside the folder, so that they wake no follower of the
run: `.outcome-ID`, `.progress-ID` and others of run_marks.py, `.pinned-RANDOM`, drafts; `.watched-ID`, whose
time is when a viewer was there last.
Files are opened by `sysio`, which follows no link and waits for no FIFO; what is in them is checked by
`contents.py`. Must not know what runs are for.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from typing import Any

from runcast.errors import FileDamaged, FormatTooNew
from runcast.ids import new_run_id
from runcast.model import Outcome, Reason
from runcast.shortages import shortage
from runcast.store.artifacts import ARTIFACTS
from runcast.store.contents import (
    FORMAT,
    outcome_in,
    progress_in,
    request_in,
)
from runcast.store.mirrors import MIRROR, is_copied, mark_mirror, mirror_of
from runcast.store.origin import Relation, relation_to
from runcast.store.run_marks import RunMarks
from runcast.store.uploads import FILES
from runcast.sysio.files import DIR_MODE, create, open_own, own_size
from runcast.sysio.writes import replace, sync_file, sync_folder, write_file, write_new

__all__ = ["BESIDE", "RESULT", "RunFiles", "outcome_bytes"]

RESULT = "result.json"
# Small files beside a run's folder.
BESIDE = (
    ".outcome-",
    ".watched-",
    ".progress-",
    ".position-",
    ".pinned-",
    ".sizes-",
    ".notes-",
    ".artifacts-",
    ".hooks-",
    ".away-",
)
_BLOCK_BYTES = 512  # of `st_blocks`, whatever the file system's blocks are (stat(2))
OUTCOME_RESERVE = 4096  # bytes kept free from the start, so that a full disk cannot swallow the outcome
_unwritten: dict[str, Outcome] = {}  # of lost runs whose outcome cannot be written, by folder


def outcome_bytes(outcome: Outcome) -> bytes:
    """Return an outcome as its file has it."""
    stored = outcome.to_json() | {"traceback": outcome.traceback}
    del stored["text"], stored["started_at"]  # is made of the others; is in the state
    return json.dumps(stored).encode()


class RunFiles(RunMarks):
    """The files of one run, by the path of its folder. Cheap to make."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.written = b""  # the content of `run.json`, where it was made by this object
        self._synced = False

    @classmethod
    def create(
        cls, path: str, request: dict[str, Any], origin_of: Callable[[str], dict[str, Any]] | None = None
    ) -> RunFiles:
        """Make the folder, with `run.json` and nothing else; `publish` gives it its name at the end.

        Args:
            path: under a hidden name.
            request: the content of `run.json`.
            origin_of: returns where the folder is, which is added to the request.
        """
        os.mkdir(path, DIR_MODE)
        if origin_of is not None:
            request = request | {"origin": origin_of(path)}
        return cls._made(path, json.dumps(request).encode())

    @classmethod
    def create_mirror(cls, path: str, request: bytes, host: str) -> RunFiles:
        """Make the folder of a run of another host, with the `run.json` that it has there, and the mark."""
        os.mkdir(path, DIR_MODE)
        files = cls._made(path, request)
        mark_mirror(path, host)
        return files

    @classmethod
    def _made(cls, path: str, request: bytes) -> RunFiles:
        files = cls(path)
        os.mkdir(files.log_path, DIR_MODE)
        files.written = request
        write_new(f"{path}/run.json", request)
        return files

    def discard(self) -> None:
        """Remove a folder that never got its name."""
        import shutil  # only where a start comes to nothing

        shutil.rmtree(self.path, ignore_errors=True)

    def write_call(self, call: bytes) -> None:
        """Keep what a function in a process of its own is called with."""
        write_new(f"{self.path}/call", call)

    def open_call(self) -> int:
        """Return a descriptor of what a function in a process of its own is called with."""
        return open_own(f"{self.path}/call", os.O_RDONLY)

    def write_input(self, data: bytes) -> None:
        """Keep what a command reads from its stdin."""
        write_new(f"{self.path}/input", data)

    @property
    def has_input(self) -> bool:
        """Whether the command was given something to read from its stdin."""
        return os.path.lexists(f"{self.path}/input")

    def open_input(self) -> int:
        """Return a descriptor of what the command reads from its stdin."""
        return open_own(f"{self.path}/input", os.O_RDONLY)

    def write_result(self, result: Any) -> None:
        """Leave for the supervisor what the function returned, or how it failed."""
        data = json.dumps(result).encode()
        self.located(lambda: write_file(f"{self.path}/{RESULT}", data))

    def request(self) -> dict[str, Any]:
        """Return the request, as `run.json` has it.

        Raises:
            FileNotFoundError: there is no such run.
            FormatTooNew: a newer runcast wrote it.
            FileDamaged: it cannot be read, or not all of it.
        """
        value, problem = self.described()
        if problem is not None:
            if isinstance(version := value.get("format"), int) and version > FORMAT:
                raise FormatTooNew(f"{self.path}/{problem}")
            raise FileDamaged(f"{self.path}/{problem}")
        return value

    def described(self) -> tuple[dict[str, Any], str | None]:
        """Return the request, as far as `run.json` can be read, and what is wrong with that, if anything.

        Raises:
            FileNotFoundError: there is no such run.
        """
        return request_in(self.path)

    def origin(self) -> dict[str, Any]:
        """Return where the run was started; empty if its version of runcast did not record that."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            origin = self.request().get("origin")
            return origin if isinstance(origin, dict) else {}
        return {}

    def sync(self, *, outcome_follows: bool = False) -> None:
        """Have `run.json`, and the names that lead to it, survive a power loss; only the first call does.

        Whatever is made durable later (output, the outcome) depends on it. An error is none of the
        caller's: without it all that was written is there still, as long as the power is.

        Args:
            outcome_follows: the outcome is written next, whose sync of the run's folder serves both
                names in it: a folder is never on the disk with the later of them alone.
        """
        if not self._synced:
            with contextlib.suppress(OSError):
                sync_file(f"{self.path}/run.json")
                if not outcome_follows:
                    sync_folder(self.path)
                sync_folder(os.path.dirname(self.path))
            self._synced = True  # not before: another thread may be about to write the outcome

    def subscribe(self, wake: object) -> None:
        """Return None: news of the run are changes in its folder."""

    def watch_paths(self) -> list[str]:
        """Return the folder whose changes mean news of the run's state, not of its output."""
        return [self.path]

    def growing(self) -> None:
        """Return None: how much output there is says nothing of the run's state."""

    def write_progress(self, progress: dict[str, Any]) -> None:
        """Write how far the run is; nobody ever sees half of it. Best effort: a full disk is no error."""
        data = json.dumps(progress).encode()

        def write() -> None:
            replace(self._beside("progress"), f"{self.path}/progress.json", data, durable=False)

        with contextlib.suppress(OSError):
            self.located(write)

    def progress(self) -> dict[str, Any] | None:
        """Return the latest progress; None if there is none."""
        return progress_in(self.path)

    def touch_watched(self) -> None:
        """Note that a viewer is there."""
        with contextlib.suppress(OSError):
            fd = create(self._beside("watched"), os.O_WRONLY)
            try:
                os.utime(fd)
            finally:
                os.close(fd)

    def watched(self) -> int:
        """Return when a viewer was there last, in nanoseconds since the epoch; 0 for never."""
        try:
            return os.lstat(self.locate()._beside("watched")).st_mtime_ns
        except FileNotFoundError:
            return 0

    def over_seconds(self, *, unwatched: bool = False) -> float:
        """Return for how long the run is over.

        Args:
            unwatched: and was watched by nobody.

        Raises:
            FileNotFoundError: it is not over.
        """
        ended = os.stat(f"{self.path}/outcome.json").st_mtime_ns
        return (time.time_ns() - max(ended, self.watched() if unwatched else 0)) / 1e9

    def disk_bytes(self) -> int:
        """Return how much disk the run takes, in bytes; 0 once it is removed."""
        total = 0
        for folder in (self.path, self.log_path, f"{self.path}/{ARTIFACTS}", f"{self.path}/{FILES}"):
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                total += sum(entry.stat(follow_symlinks=False).st_blocks for entry in entries)
        return total * _BLOCK_BYTES

    def last_sign(self) -> float:
        """Return when the writer last wrote something, in seconds since the epoch."""
        times = [0.0]
        with contextlib.suppress(OSError):
            times.append(os.stat(f"{self.path}/lock").st_mtime)
            with os.scandir(self.log_path) as entries:
                times += [entry.stat().st_mtime for entry in entries]
        return max(times)

    def reserve_outcome(self) -> None:
        """Set room aside for the outcome, where the file system can."""
        with contextlib.suppress(OSError):
            fd = create(self._beside("outcome"), os.O_WRONLY)
            try:
                os.posix_fallocate(fd, 0, OUTCOME_RESERVE)
            finally:
                os.close(fd)

    def write_outcome(self, outcome: Outcome) -> None:
        """Write the outcome so that it survives a power loss; it appears whole or not at all."""
        text = outcome_bytes(outcome)
        try:
            self.located(lambda: replace(self._beside("outcome"), f"{self.path}/outcome.json", text))
        except OSError as error:
            self.note_write_error(error)
            raise

    def copy_outcome(self, data: bytes) -> None:
        """Write the outcome of another host's run, as that host has it."""
        self.located(lambda: replace(self._beside("outcome"), f"{self.path}/outcome.json", data))

    def note_write_error(self, error: OSError) -> None:
        """Write into the state why there is no outcome, for the message of the run."""
        short = shortage(error)
        self.add_to_state(died_of=short.what if short else (error.strerror or "").lower())

    def note_lost(self, outcome: Outcome) -> None:
        """Remember in this process how the run ended, where that cannot be written."""
        _unwritten[self.path] = outcome

    @property
    def ended(self) -> bool:
        """Whether there is an outcome, readable or not."""
        return os.path.lexists(f"{self.path}/outcome.json") or self.path in _unwritten

    @property
    def unsettled(self) -> bool:
        """Whether processes of this lost run are still to be looked for, in their own pid namespace."""
        return os.path.lexists(f"{self.path}/unsettled")

    def mark_unsettled(self, *, unsettled: bool) -> None:
        """Note whether they are. Only the holder of the lock may."""
        if unsettled:
            write_file(f"{self.path}/unsettled", b"")
        else:
            os.unlink(f"{self.path}/unsettled")

    @property
    def mirror_of(self) -> str | None:
        """The name of the host whose run this is a mirror of; None for a run of this store's own."""
        return mirror_of(self.path)

    @property
    def is_mirror(self) -> bool:
        """Whether this is a mirror; cheaper than whose."""
        return os.path.lexists(f"{self.path}/{MIRROR}")

    @property
    def is_copied_mirror(self) -> bool:
        """Whether it is a mirror whose folder is a copy of another one."""
        return is_copied(self.path)

    @property
    def is_from_elsewhere(self) -> bool:
        """Whether its folder came here by a copy, so that the run itself may go on where that was."""
        with contextlib.suppress(OSError):
            return relation_to(self.path, self.origin()) in (Relation.COPY, Relation.HOST)
        return False

    def mark_mirror(self, host: str) -> None:
        """Have it be the mirror of another host's run, of which all is here.

        Raises:
            OSError: there is no room.
        """
        mark_mirror(self.path, host)

    @property
    def pinned(self) -> bool:
        """Whether the run is kept until somebody unpins it."""
        return os.path.lexists(f"{self.path}/pinned")

    def pin(self) -> None:
        """Keep the run, also through a power loss.

        Raises:
            FileNotFoundError: it was removed.
            OSError: the store cannot be written to.
        """
        draft = f"{os.path.dirname(self.path)}/.pinned-{new_run_id()}"  # several may pin it at once
        replace(draft, f"{self.path}/pinned", b"")

    def unpin(self) -> None:
        """Keep the run no longer.

        Raises:
            OSError: the store cannot be written to.
        """
        with contextlib.suppress(FileNotFoundError):  # it is not pinned
            os.unlink(f"{self.path}/pinned")

    def outcome(self) -> Outcome | None:
        """Return how the run ended; None while there is no outcome."""
        return outcome_in(self.path)[0] or _unwritten.get(self.path)

    def problem(self, outcome: Outcome | None) -> str | None:
        """Return what is wrong with the files beside `run.json` and the log, in one sentence.

        Args:
            outcome: as `outcome` returned it; None is returned for what is not damaged.
        """
        if outcome is not None and outcome.reason is Reason.LOST and (found := outcome_in(self.path)[1]):
            return found
        for name in ("lock", "progress.json"):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                try:
                    own_size(f"{self.path}/{name}")
                except FileDamaged as error:
                    return str(error).removeprefix(f"{self.path}/")
        return None

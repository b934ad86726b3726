"""A run's folder: the names in it, who holds its lock, and the small files beside the log.

    run.json      what was asked; written once, before the folder gets its name
    lock           held by whoever writes the log; holds the state, as one line of JSON
    log/           the segments
    progress.json  the latest that a function told of its progress; replaced by rename
    outcome.json   written once, durably; its presence and a free lock mean: closed
    unsettled      of a lost run: its processes are still to be looked for, where that can be done
    control        the supervisor's socket

The lock is `flock`: the kernel frees it at once when its holder dies, however it dies, so
nobody needs heartbeats. A process that writes many logs
itself, thousands of lazy generators maybe, holds one lock for all of them: `<store>/.owners/<name>`,
and the state of each run names that owner. Files are opened by `sysio`, which follows no link and
waits for no FIFO; what is in them is checked by `request.py`. Must not know what runs are for.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable
from typing import Any

from runcast.errors import FileDamaged, FormatTooNew
from runcast.log.request import FORMAT, outcome_in, progress_in, request_in, state_of
from runcast.model import Outcome, Reason
from runcast.shortages import shortage
from runcast.sysio import (
    DIR_MODE,
    FILE_MODE,
    create,
    open_own,
    own_size,
    sync_file,
    sync_folder,
    write_durably,
    write_file,
    write_new,
)

__all__ = ["DIR_MODE", "FILE_MODE", "OWNERS", "RunDirectory", "is_locked"]

OWNERS = ".owners"  # folder of a store: the locks of processes that write logs of theirs, by name
STATE_BYTES = 512  # one write, padded: a reader sees the old line or the new one
OUTCOME_RESERVE = 4096  # kept free from the start, so that a full disk cannot swallow the outcome
_unwritten: dict[str, Outcome] = {}  # of lost runs whose outcome cannot be written, by folder


class RunDirectory:
    """The folder of one run, by path. Opens nothing until asked; holds only the lock."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.log_path = f"{path}/log"
        self._lock_fd: int | None = None
        self._owner: str | None = None
        self._synced = False

    @property
    def control_path(self) -> str:
        """Where its supervisor or owner listens."""
        owner = self.state().get("owner")
        return self.supervisor_path if owner is None else f"{self._owner_path(owner)}.sock"

    @property
    def supervisor_path(self) -> str:
        """Where a supervisor listens that has this run alone."""
        return f"{self.path}/control"

    def _owner_path(self, name: str) -> str:
        return f"{os.path.dirname(self.path)}/{OWNERS}/{os.path.basename(name)}"

    @property
    def _draft_path(self) -> str:
        """Where the outcome is written before it gets its name: outside, so that it wakes no follower."""
        return self._beside("outcome")

    @property
    def _watched_path(self) -> str:
        return self._beside("watched")  # outside as well: a viewer's sign of life wakes nobody

    def _beside(self, what: str) -> str:
        folder, name = os.path.split(self.path)
        return f"{folder}/.{what}-{name}"

    @classmethod
    def create(
        cls,
        path: str,
        request: dict[str, Any],
        origin_of: Callable[[str], dict[str, Any]] | None = None,
    ) -> RunDirectory:
        """Make the folder, with `run.json` and nothing else; the caller gives it its name at the end.

        `origin_of` says where the folder is, which is added to the request.
        """
        os.mkdir(path, DIR_MODE)
        if origin_of is not None:
            request = request | {"origin": origin_of(path)}
        directory = cls(path)
        os.mkdir(directory.log_path, DIR_MODE)
        write_new(f"{path}/run.json", json.dumps(request).encode())
        return directory

    def moved(self, path: str) -> RunDirectory:
        """Return this folder under its new name, the lock still held."""
        directory = RunDirectory(path)
        directory._lock_fd, self._lock_fd = self._lock_fd, None
        directory._owner, self._owner = self._owner, None
        return directory

    def request(self) -> dict[str, Any]:
        """Return what was asked, as `run.json` has it.

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
        """Return what was asked, as far as `run.json` can be read, and what is wrong with it, if anything.

        Raises:
            FileNotFoundError: there is no such run.
        """
        return request_in(self.path)

    def sync(self) -> None:
        """Have `run.json`, and the names that lead to it, survive a power loss; only the first call does.

        Whatever is made durable later (output, the outcome) depends on it. An error is none of the
        caller's: without it all that was written is there still, as long as the power is.
        """
        if not self._synced:
            self._synced = True
            with contextlib.suppress(OSError):
                sync_file(f"{self.path}/run.json")
                sync_folder(self.path)
                sync_folder(os.path.dirname(self.path))

    def subscribe(self, wake: object) -> None:
        """Return None: what is told of the run is told by changes in its folder."""

    def watch_paths(self) -> list[str]:
        """Return the folder whose changes mean news of the run's state, not of its output."""
        return [self.path]

    def acquire(self, *, read_only: bool = False) -> bool:
        """Take the lock without waiting; return whether it was free. `read_only` writes nothing at all.

        What is no file of ours, in its place, nobody can hold: it makes way.
        """
        lock = f"{self.path}/lock"
        fd = open_own(lock, os.O_RDONLY) if read_only else create(lock, os.O_RDWR)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return False
        self._lock_fd = fd
        return True

    def own(self, owner: str) -> None:
        """Hold the run by the lock of its owner, which the caller has, instead of one of its own."""
        self._owner = owner
        self.write_state({})

    def release(self) -> None:
        """Free the lock, if held here. With an outcome in place this is what closes the log."""
        if self._owner is not None:
            state = self.state()
            self._owner = None
            state.pop("owner", None)
            self._write_line(state)
        if self._lock_fd is not None:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)  # also where a fork at this moment has a copy
            os.close(self._lock_fd)  # closing is what inotify tells readers
            self._lock_fd = None

    @property
    def held(self) -> bool:
        """Whether somebody, here or elsewhere, holds the lock, or owns the run."""
        if is_locked(f"{self.path}/lock"):
            return True
        owner = self.state().get("owner")
        return owner is not None and is_locked(self._owner_path(owner))

    def write_state(self, state: dict[str, Any]) -> None:
        """Tell how the run stands. Only the holder of the lock may."""
        if self._owner is not None:
            self._write_line(state | {"owner": self._owner})
            return
        assert self._lock_fd is not None, "the state belongs to the holder of the lock"
        os.pwrite(self._lock_fd, _state_line(state), 0)

    def origin(self) -> dict[str, Any]:
        """Return where the run was started; empty if its version of runcast did not record that."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            origin = self.request().get("origin")
            return origin if isinstance(origin, dict) else {}
        return {}

    def _write_line(self, state: dict[str, Any]) -> None:
        fd = open_own(f"{self.path}/lock", os.O_WRONLY | os.O_CREAT)
        try:
            os.pwrite(fd, _state_line(state), 0)
        finally:
            os.close(fd)

    @property
    def removed(self) -> bool:
        """Whether somebody removed the folder, or its lock alone, while it is held here."""
        return self._lock_fd is not None and os.fstat(self._lock_fd).st_nlink == 0

    def state(self) -> dict[str, Any]:
        """Return what the holder last told; empty if nothing yet."""
        for _ in range(3):  # a line caught in the middle of being replaced is whole a moment later
            try:
                fd = open_own(f"{self.path}/lock", os.O_RDONLY)
            except OSError:  # it is not there, or something else is: no state, and no error
                return {}
            try:
                data = os.read(fd, STATE_BYTES)
            finally:
                os.close(fd)
            if not data:
                return {}
            if (state := state_of(data)) is not None:
                return state
        return {}

    def write_progress(self, progress: dict[str, Any]) -> None:
        """Tell how far the run is; nobody ever sees half of it. Best effort: a full disk is no error."""
        draft = self._beside("progress")
        with contextlib.suppress(OSError):
            write_file(draft, json.dumps(progress).encode())
            os.rename(draft, f"{self.path}/progress.json")

    def progress(self) -> dict[str, Any] | None:
        """Return what was last told of its progress; None if nothing was."""
        return progress_in(self.path)

    def touch_watched(self) -> None:
        """Note that somebody watches."""
        with contextlib.suppress(OSError):
            fd = create(self._watched_path, os.O_WRONLY)
            try:
                os.utime(fd)
            finally:
                os.close(fd)

    def watched(self) -> int:
        """Return a number that changes whenever somebody notes that they watch."""
        try:
            return os.lstat(self._watched_path).st_mtime_ns
        except FileNotFoundError:
            return 0

    def reserve_outcome(self) -> None:
        """Set room aside for the outcome, where the file system can."""
        with contextlib.suppress(OSError):
            fd = create(self._draft_path, os.O_WRONLY)
            try:
                os.posix_fallocate(fd, 0, OUTCOME_RESERVE)
            finally:
                os.close(fd)

    def write_outcome(self, outcome: Outcome) -> None:
        """Write the outcome so that it survives a power loss; it appears whole or not at all."""
        text = json.dumps(outcome.to_json()).encode()
        try:
            write_durably(self._draft_path, f"{self.path}/outcome.json", text)
        except OSError as error:
            self.leave_word(error)
            raise

    def leave_word(self, error: OSError) -> None:
        """Say in the state why there is no outcome, for whoever settles the run. Needs no descriptor."""
        if self._lock_fd is not None:
            with contextlib.suppress(OSError, ValueError):
                state = json.loads(os.pread(self._lock_fd, STATE_BYTES, 0) or b"{}")
                short = shortage(error)
                self.write_state(state | {"died_of": short.what if short else (error.strerror or "").lower()})

    def note_lost(self, outcome: Outcome) -> None:
        """Remember in this process how the run ended, where that cannot be written."""
        _unwritten[self.path] = outcome

    @property
    def ended(self) -> bool:
        """Whether something is there that says how it ended, readable or not."""
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

    def outcome(self) -> Outcome | None:
        """Return how the run ended; None while nobody has said."""
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


def is_locked(path: str) -> bool:
    """Return whether somebody holds the lock of this file; what is no file of ours nobody holds."""
    try:
        fd = open_own(path, os.O_RDONLY)
    except (FileNotFoundError, FileDamaged):
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        fcntl.flock(fd, fcntl.LOCK_UN)
        return False
    finally:
        os.close(fd)


def _state_line(state: dict[str, Any]) -> bytes:
    return json.dumps(state).encode().ljust(STATE_BYTES - 1) + b"\n"

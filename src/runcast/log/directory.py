"""A run's folder: the names in it, who holds its lock, and the small files beside the log.

    run.json      what was asked; written once, before the folder gets its name
    lock           held by whoever writes the log; holds the state, as one line of JSON
    log/           the segments
    progress.json  the latest that a function told of its progress; replaced by rename
    outcome.json   written once, durably; its presence and a free lock mean: closed
    control        the supervisor's socket

The lock is `flock`: the kernel frees it at once when its holder dies, however it dies, so
nobody needs heartbeats (PROMISES: liveness without clocks). A process that writes many logs
itself, thousands of lazy generators maybe, holds one lock for all of them: `<store>/.owners/<name>`,
and the state of each run names that owner. Must not know what runs are for.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from typing import Any

from runcast.model import Outcome, Reason

__all__ = ["OWNERS", "RunDirectory", "is_locked", "read_file", "write_durably"]

OWNERS = ".owners"  # folder of a store: the locks of processes that write logs of theirs, by name
DIR_MODE, FILE_MODE = 0o700, 0o600  # output may hold secrets: nobody else's business
_BLOCK = 64 * 1024
STATE_BYTES = 512  # one write, padded: a reader sees the old line or the new one
OUTCOME_RESERVE = 4096  # kept free from the start, so that a full disk cannot swallow the outcome


class RunDirectory:
    """The folder of one run, by path. Opens nothing until asked; holds only the lock."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.log_path = f"{path}/log"
        self._lock_fd: int | None = None
        self._owner: str | None = None

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
    def create(cls, path: str, request: dict[str, Any]) -> RunDirectory:
        """Make the folder, with `run.json` and nothing else; the caller gives it its name at the end."""
        os.mkdir(path, DIR_MODE)
        directory = cls(path)
        os.mkdir(directory.log_path, DIR_MODE)
        _write(f"{path}/run.json", json.dumps(request).encode())
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
        """
        value: dict[str, Any] = json.loads(read_file(f"{self.path}/run.json"))
        return value

    def subscribe(self, wake: object) -> None:
        """Return None: what is told of the run is told by changes in its folder."""

    def watch_paths(self) -> list[str]:
        """Return the folder whose changes mean news of the run's state, not of its output."""
        return [self.path]

    def acquire(self) -> bool:
        """Take the lock without waiting; return whether it was free."""
        fd = os.open(f"{self.path}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
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

    def _write_line(self, state: dict[str, Any]) -> None:
        fd = os.open(f"{self.path}/lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            os.pwrite(fd, _state_line(state), 0)
        finally:
            os.close(fd)

    def state(self) -> dict[str, Any]:
        """Return what the holder last told; empty if nothing yet."""
        for _ in range(3):  # a line caught in the middle of being replaced is whole a moment later
            with contextlib.suppress(FileNotFoundError, ValueError):
                value: dict[str, Any] = json.loads(read_file(f"{self.path}/lock")[:STATE_BYTES] or b"{}")
                return value
        return {}

    def write_progress(self, progress: dict[str, Any]) -> None:
        """Tell how far the run is; nobody ever sees half of it. Best effort: a full disk is no error."""
        draft = self._beside("progress")
        with contextlib.suppress(OSError):
            _write(draft, json.dumps(progress).encode())
            os.rename(draft, f"{self.path}/progress.json")

    def progress(self) -> dict[str, Any] | None:
        """Return what was last told of its progress; None if nothing was."""
        with contextlib.suppress(OSError, ValueError):
            value = json.loads(read_file(f"{self.path}/progress.json"))
            return value if isinstance(value, dict) else None
        return None

    def touch_watched(self) -> None:
        """Note that somebody watches."""
        with contextlib.suppress(OSError):
            fd = os.open(self._watched_path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            try:
                os.utime(fd)
            finally:
                os.close(fd)

    def watched(self) -> int:
        """Return a number that changes whenever somebody notes that they watch."""
        try:
            return os.stat(self._watched_path).st_mtime_ns
        except FileNotFoundError:
            return 0

    def reserve_outcome(self) -> None:
        """Set room aside for the outcome, where the file system can."""
        with contextlib.suppress(OSError):
            fd = os.open(self._draft_path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            try:
                os.posix_fallocate(fd, 0, OUTCOME_RESERVE)
            finally:
                os.close(fd)

    def write_outcome(self, outcome: Outcome) -> None:
        """Write the outcome so that it survives a power loss; it appears whole or not at all."""
        text = json.dumps(outcome.to_json()).encode()
        write_durably(self._draft_path, f"{self.path}/outcome.json", text)

    def outcome(self) -> Outcome | None:
        """Return how the run ended; None while nobody has said."""
        try:
            return Outcome.from_json(json.loads(read_file(f"{self.path}/outcome.json")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:  # it is over, that much is sure
            return Outcome(Reason.LOST, message=f"its outcome.json is damaged: {error}")


def read_file(path: str) -> bytes:
    """Return what is in a small file: by four system calls, where `open` makes nine."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = b""
        while part := os.read(fd, _BLOCK):
            data += part
        return data
    finally:
        os.close(fd)


def is_locked(path: str) -> bool:
    """Return whether somebody holds the lock of this file; a file that is not there is not held."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
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


def _write(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    finally:
        os.close(fd)


def write_durably(temporary: str, path: str, data: bytes) -> None:
    """Write, fsync, rename, fsync the folder. Room that `temporary` already has is used in place."""
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.ftruncate(fd, len(data))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(temporary, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

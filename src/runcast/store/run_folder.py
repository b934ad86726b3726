"""The folder of a run: where it is now, and who may write there.

    lock        held by the process that writes the log; contains the state, as one line of JSON
    log/        the segments
    control     the supervisor's socket

The kernel frees the lock at once when its holder dies, however it dies, so no heartbeats are needed.
A process that writes many logs itself, thousands of lazy generators maybe, holds one lock for all of
them: `<store>/.owners/<name>`, and the state of each run names that owner. Must not know what the
other files of a run say (run_files.py).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, TypeVar

from runcast.store.contents import AGENT, state_of
from runcast.sysio.files import create, folder_above, is_at, is_locked, open_own
from runcast.sysio.locks import lock, unlock

__all__ = ["OWNERS", "STATE_BYTES", "RunFolder"]

OWNERS = ".owners"  # folder of a store: the locks of processes that write logs of theirs, by name
STATE_BYTES = 512  # one write, padded: a reader sees the old line or the new one
Result = TypeVar("Result")


class RunFolder:
    """The folder of one run, by path. Opens nothing until needed; holds only the lock.

    A writer has a file open that moves with the folder (the lock, or its owner's), by which it finds the
    folder again when the store is moved: two system calls for each new file, and no descriptor more.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.log_path = f"{path}/log"
        self._lock_fd: int | None = None
        self._owner: str | None = None
        self._anchor: int | None = None  # descriptor of the file that moves with the folder

    @property
    def id(self) -> str:
        """The id of the run."""
        return os.path.basename(self.path)

    @property
    def exists(self) -> bool:
        """Whether the folder is there: nobody removed the run, or moved its store."""
        return os.path.isdir(self.path)

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

    def remove_control(self) -> None:
        """Remove the socket of a supervisor or owner that is dead."""
        with contextlib.suppress(OSError):
            os.unlink(self.control_path)

    def publish(self, path: str) -> Self:
        """Give a new folder its name, and return it under that, the lock still held: now the run is there.

        Raises:
            OSError: the folder was removed meanwhile, or the store is read-only.
        """
        os.rename(self.path, path)
        folder = type(self)(path)
        folder._lock_fd, self._lock_fd = self._lock_fd, None
        folder._owner, self._owner = self._owner, None
        folder._anchor, self._anchor = self._anchor, None
        return folder

    def anchor(self) -> None:
        """Follow the folder where it is moved, without the lock: for a process of the run itself."""
        with contextlib.suppress(OSError):
            self._anchor = open_own(f"{self.path}/lock", os.O_PATH)

    def locate(self) -> Self:
        """Return this folder, its paths those of now: it may have been moved since."""
        if self._anchor is None:
            return self
        store, name = os.path.split(self.path)
        inside = f"/{name}/lock" if self._owner is None else f"/{OWNERS}/{self._owner}"
        if not is_at(f"{store}{inside}", self._anchor):
            found = folder_above(self._anchor, inside)
            if found is not None:  # else it was removed
                self.path, self.log_path = f"{found}/{name}", f"{found}/{name}/log"
        return self

    def located(self, act: Callable[[], Result]) -> Result:
        """Do what uses the paths of this folder; once more, if it is moved in that very moment."""
        while True:
            path = self.locate().path
            try:
                return act()
            except FileNotFoundError:
                if self.locate().path == path:
                    raise

    def acquire(self, *, read_only: bool = False) -> bool:
        """Take the lock without waiting; return whether it was free. `read_only` writes nothing at all.

        What is no file of ours, in its place, nobody can hold: it makes way.
        """
        path = f"{self.path}/lock"
        fd = open_own(path, os.O_RDONLY) if read_only else create(path, os.O_RDWR)
        try:
            taken = lock(fd, wait=False)
        except OSError:  # a file system without locks
            taken = False
        if not taken:
            os.close(fd)
            return False
        self._lock_fd = self._anchor = fd
        return True

    def own(self, owner: str, lock_fd: int, state: Mapping[str, Any] | None = None) -> None:
        """Hold the run by the lock of its owner, which the caller has open, instead of one of its own.

        Args:
            owner: its name.
            lock_fd: the lock.
            state: how the run stands.
        """
        self._owner, self._anchor = owner, lock_fd
        self.write_state(dict(state or {}))

    def release(self) -> None:
        """Free the lock, if held here. With an outcome in place this is what closes the log."""
        if self._owner is not None:
            state = self.locate().state()
            self._owner = self._anchor = None
            with contextlib.suppress(FileNotFoundError):  # the run was removed
                self._write_line({key: value for key, value in state.items() if key != "owner"})
        if self._lock_fd is not None:
            unlock(self._lock_fd)  # also where a fork at this moment has a copy
            os.close(self._lock_fd)  # closing is the event of inotify that wakes readers
            self._lock_fd = self._anchor = None

    @property
    def held(self) -> bool:
        """Whether a process, this one or another, holds the lock, or owns the run."""
        if is_locked(f"{self.path}/lock"):
            return True
        owner = self.state().get("owner")
        return owner is not None and is_locked(self._owner_path(owner))

    @property
    def awaited(self) -> bool:
        """Whether it is a mirror whose log is not all here, whether its store's agent lives or not."""
        return bool(self.state().get("owner") == AGENT)

    @property
    def removed(self) -> bool:
        """Whether the folder, or its lock alone, was removed while it is held here."""
        return self._lock_fd is not None and os.fstat(self._lock_fd).st_nlink == 0

    def state(self) -> dict[str, Any]:
        """Return the state that the holder wrote last; empty if there is none yet."""
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

    def write_state(self, state: dict[str, Any]) -> None:
        """Write how the run stands. Only the holder of the lock may."""
        if self._owner is not None:
            self._write_line(state | {"owner": self._owner})
            return
        assert self._lock_fd is not None, "the state belongs to the holder of the lock"
        os.pwrite(self._lock_fd, _state_line(state), 0)

    def add_to_state(self, **more: Any) -> None:
        """Add to the state, where the lock is held here. Needs no descriptor; best effort."""
        if self._lock_fd is not None:
            with contextlib.suppress(OSError, ValueError):
                state = json.loads(os.pread(self._lock_fd, STATE_BYTES, 0) or b"{}")
                self.write_state(state | more)

    def _write_line(self, state: dict[str, Any]) -> None:
        fd = open_own(f"{self.path}/lock", os.O_WRONLY | os.O_CREAT)
        try:
            os.pwrite(fd, _state_line(state), 0)
        finally:
            os.close(fd)

    def mark_read(self, log_folder: int) -> None:
        """Keep the run from being swept while the folder of its log is open here.

        Args:
            log_folder: its descriptor, which a lock is taken on.
        """
        with contextlib.suppress(OSError):  # a sweep is removing it just now, or there are no locks here
            lock(log_folder, wait=False, shared=True)

    @contextlib.contextmanager
    def unread(self) -> Iterator[bool]:
        """Give whether nobody reads the log; nobody can begin to as long as the block lasts."""
        try:
            fd = os.open(self.log_path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:  # a run without output
            yield True
            return
        try:
            yield lock(fd, wait=False)
        finally:
            os.close(fd)


def _state_line(state: dict[str, Any]) -> bytes:
    """Return a state as one line of its fixed length, which may take the beginning of a question."""
    text = _encoded(state)
    while len(text) >= STATE_BYTES and (waiting := state.get("waiting")):
        question = waiting["question"][min(len(text) - STATE_BYTES + 1, 16) :]
        state = state | {"waiting": waiting | {"question": question} if waiting["question"] else None}
        text = _encoded(state)
    return text.ljust(STATE_BYTES - 1) + b"\n"


def _encoded(state: dict[str, Any]) -> bytes:
    return json.dumps(state, ensure_ascii=False).encode("utf-8", "replace")

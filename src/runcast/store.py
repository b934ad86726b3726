"""A store: a folder of runs. Start them, list them, find them, remove them.

Owns the folder: who may use it, which format it has, how a run gets into it (made under a hidden
name, renamed when its supervisor holds its lock) and out of it (the other way round).
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import heapq
import json
import os
import time
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from runcast.errors import FormatTooNew, RunActive, RuncastError, RunNotFound, StoreUnusable, UsageError
from runcast.ids import is_run_id, new_run_id
from runcast.log import CAP_BYTES
from runcast.model import State
from runcast.readers import drive, until
from runcast.run import Run
from runcast.sources.kinds import AHEAD, Source
from runcast.starting import FORMAT, Start, free_key

if TYPE_CHECKING:
    from runcast.sources.recording import Recording

__all__ = ["FORMAT", "Store", "default_path"]

_CLOSING_SECONDS = 0.5
_SETTLING_SECONDS = 6.0  # leftovers of a lost run are killed first
_NEAR = 2000  # newest runs among which a mistyped id is looked for
_BESIDE = (".outcome-", ".watched-", ".progress-", ".position-")  # a run's small files beside its folder
_HIDDEN = (".new-", ".gone-", *_BESIDE)
_ABANDONED = 3600.0  # seconds after which a run that never got its name is swept away


class Store:
    """A set of runs in a folder. Cheap to make; nothing is touched before the first start."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._lifeline: int | None = None  # held open while this process lives, if the runs depend on it

    def __repr__(self) -> str:
        return f"<Store {self.path}>"

    @classmethod
    def open(cls, where: str | os.PathLike[str] | None = None) -> Store:
        """Return a store.

        Args:
            where: a folder (also as `file:…`), or `memory:` for a store of this process alone, kept
                in memory and gone, its runs with it, when the process ends. By default
                `$RUNCAST_STORE`, else the user's state folder.

        Raises:
            StoreUnusable: it is not a folder, somebody else's, or of a newer format.
        """
        if where is None:
            where = os.environ.get("RUNCAST_STORE") or default_path()
        text = os.fspath(where)
        if text == "memory:":
            return _memory_store()
        scheme, colon, rest = text.partition(":")
        if colon and scheme == "file":
            text = rest.removeprefix("//")
        elif colon and "/" not in scheme and scheme.isalnum() and len(scheme) > 1:
            raise StoreUnusable(f"expected a folder, file:FOLDER or memory: as the store, got {text!r}")
        if not text:  # which would be the folder we happen to be in
            raise StoreUnusable("expected the name of a folder as the store, got an empty one")
        store = cls(os.path.abspath(os.path.expanduser(text)))
        store._check()
        return store

    def _check(self) -> None:
        """Refuse a folder that is none of ours. Touches nothing."""
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreUnusable(
                f"cannot look into the store {self.path}: {(error.strerror or '').lower()}"
            ) from None
        if not os.path.isdir(self.path):
            raise StoreUnusable(f"expected a folder as the store, {self.path} is a file: name a folder")
        if status.st_uid != os.geteuid():
            raise StoreUnusable(
                f"the store {self.path} belongs to {_user_name(status.st_uid)}, "
                f"this is {_user_name(os.geteuid())}: use a store of your own (--store, RUNCAST_STORE)"
            )
        try:
            with open(f"{self.path}/store.json", "rb") as file:
                version = json.loads(file.read())["format"]
        except FileNotFoundError:
            names = os.listdir(self.path)
            if any(is_run_id(name) for name in names):
                return
            if os.path.exists(f"{self.path}/store.json"):  # somebody has just made it
                return self._check()
            if any(not name.startswith(".") for name in names):
                raise StoreUnusable(
                    f"expected a store or an empty folder, {self.path} holds other files: name another folder"
                ) from None
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreUnusable(f"cannot read {self.path}/store.json: {error}: is this a store?") from None
        if not isinstance(version, int) or version > FORMAT:
            raise FormatTooNew(
                f"the store {self.path} has format {version}, this runcast knows up to {FORMAT}: "
                "upgrade runcast, or use another store"
            )

    def _make(self) -> None:
        """Make the folder and its mark, if they are not there."""
        try:
            if not os.path.exists(f"{self.path}/store.json"):
                os.makedirs(self.path, 0o700, exist_ok=True)
                temporary = f"{self.path}/.store-{new_run_id()}"  # threads may do this at the same moment
                with open(temporary, "w") as file:
                    json.dump({"format": FORMAT}, file)
                os.rename(temporary, f"{self.path}/store.json")
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> StoreUnusable:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return StoreUnusable(
            f"cannot write to the store {self.path}: {(error.strerror or str(error)).lower()}: "
            f"{'remove old runs (`runcast rm`)' if full else 'make it writable'}, "
            "or use another (--store, RUNCAST_STORE)"
        )

    def start(
        self,
        source: Source,
        *args: Any,
        kwargs: Mapping[str, Any] | None = None,
        process: bool = False,
        ahead: int | None = AHEAD,
        shell: bool = False,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | IO[Any] | str | None = None,
        input: bytes | str | None = None,
        name: str | None = None,
        timeout: float | None = None,
        idle_timeout: float | None = None,
        cap: int | None = CAP_BYTES,
        stop_unwatched: float | None = None,
        view: str | None = None,
        key: str | None = None,
        check: bool = False,
    ) -> Run:
        """Start a command, a function or a generator, and return its run.

        A command runs under a supervisor of its own and goes on when this process ends. One that
        cannot be started is a run, too: its outcome says why. A function runs in a thread of this
        process (in a task, if it is `async def`), what it prints captured, and is lost with it. A
        generator is advanced as readers ask for more.

        Args:
            source: a list of arguments, or a string that is split as a shell splits words; a
                function; a generator, any other iterable, or a function that returns a generator.
            args: what a function is called with.
            kwargs: and by name.
            process: call the function in a process of its own, under a supervisor like a command.
            ahead: values that a generator may be ahead of the foremost reader; None lets it run free.
            shell: have `/bin/sh` execute the string.
            cwd: folder to run in; by default this process's.
            env: variables to set on top of this process's environment.
            stdin: `"pipe"` to write with `Run.send`; a file or descriptor; by default /dev/null.
            input: what the command reads from its stdin, whole.
            name: for people; by default the program's or the function's.
            timeout: seconds after which the run is stopped.
            idle_timeout: seconds without output after which the run is stopped; by default an hour
                for generators, which are closed then.
            cap: bytes of output to keep, head and tail; None for all.
            stop_unwatched: seconds without a viewer after which the run is stopped; None keeps it.
            view: what started it on behalf of a viewer; only that may resume it for one.
            key: names the run in this store until it is removed: whoever starts with the same key gets it.
            check: have `wait` and `output` raise `RunFailed` unless the outcome is ok.

        Raises:
            CommandRefused: a string with shell syntax, and `shell` is false.
            UsageError: anything else about the arguments.
            RunExists: the key names a run that was asked for differently.
            StoreUnusable: the store cannot be written to.
            SupervisorLost: no supervisor could be started.
        """
        asked = Start(
            source,
            args,
            kwargs,
            process,
            ahead,
            shell,
            cwd,
            env,
            stdin,
            input,
            name,
            timeout,
            idle_timeout,
            cap,
            stop_unwatched,
            view,
            key,
        )
        asked.check()
        self._make()
        try:
            return Run(asked.run(self.path, self._lifeline), check=check)
        except OSError as error:
            raise self._unwritable(error) from None

    def _record(self, asked: Start) -> Recording:
        """Begin a run that this process records itself; see `runcast.attach`."""
        self._make()
        try:
            return asked.attach(self.path)
        except OSError as error:
            raise self._unwritable(error) from None

    def rerun(self, run: Run) -> Run:
        """Start the same again: command, folder, variables, input and limits of another run."""
        asked = run.request
        if asked["source"] != "command":
            raise UsageError(
                f"expected a run of a command, {run.name!r} was a {asked['source']}: start it from "
                "the program that has it"
            )
        path = f"{run.directory.path}/input"
        stdin = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if os.path.exists(path) else None
        options: dict[str, Any] = {
            key: asked.get(key) for key in ("cwd", "env", "name", "timeout", "idle_timeout", "cap")
        }
        try:
            return self.start(asked["command"], stdin=stdin, **options)
        finally:
            if stdin is not None:
                os.close(stdin)

    def _names(self) -> Iterator[str]:
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    if is_run_id(entry.name):
                        yield entry.name
                    elif entry.name.startswith(_HIDDEN):
                        self._sweep(entry)
        except FileNotFoundError:
            return

    @staticmethod
    def _sweep(entry: os.DirEntry[str]) -> None:
        with contextlib.suppress(OSError):
            if time.time() - entry.stat().st_mtime < _ABANDONED:
                return
            if entry.is_dir():
                _remove_tree(entry.path, ignore_errors=True)
            elif not os.path.exists(f"{os.path.dirname(entry.path)}/{entry.name.partition('-')[2]}"):
                os.unlink(entry.path)

    def list(self, limit: int | None = None) -> Iterator[Run]:
        """Yield the runs, newest first; reads nothing of a run before it is looked at."""
        names = self._names()
        chosen = sorted(names, reverse=True) if limit is None else heapq.nlargest(limit, names)
        return (Run(f"{self.path}/{name}") for name in chosen)

    def get(self, run_id: str) -> Run:
        """Return the run with this id, or whose id begins or ends so and no other's does.

        Raises:
            RunNotFound: there is none, or more than one; `near` has ids that look alike.
        """
        wanted = run_id.lower()
        if is_run_id(wanted) and os.path.isdir(f"{self.path}/{wanted}"):
            return Run(f"{self.path}/{wanted}")
        names = list(self._names())
        matches = [
            name for name in names if len(wanted) >= 4 and (name.startswith(wanted) or name.endswith(wanted))
        ]
        if len(matches) == 1:
            return Run(f"{self.path}/{matches[0]}")
        import difflib  # like others here: it costs a millisecond, and few need it

        near = sorted(matches)[:3] or difflib.get_close_matches(wanted, heapq.nlargest(_NEAR, names), 3, 0.7)
        raise RunNotFound(run_id, f"the store {self.path}", tuple(near))

    @staticmethod
    def _settled_soon(run: Run) -> bool:
        """Wait for the end of a run whose supervisor is dead: somebody else is settling it."""
        supervisor = run.directory.state().get("supervisor")
        if supervisor is None or os.path.exists(f"/proc/{supervisor}"):
            return False
        ended = until(run.directory, lambda: run.closed or None, _SETTLING_SECONDS)
        return bool(next(drive(ended), None))

    def remove(self, run: Run | str) -> None:
        """Remove a finished run and its log.

        Raises:
            RunNotFound: there is no such run.
            RunActive: it still goes on.
        """
        found = self.get(run if isinstance(run, str) else run.id)
        if found.state in (State.EXITED, State.LOST):  # asking settles a lost one
            # Whoever waited was told of the end a moment before the log closes.
            next(drive(until(found.directory, lambda: found.closed or None, _CLOSING_SECONDS)), None)
        if not found.closed and not self._settled_soon(found):
            raise RunActive(f"run {found.id} is {found.state}: stop it first, then remove it")
        key = None
        with contextlib.suppress(OSError, ValueError):  # a damaged run can be removed as well
            key = found.request.get("key")
        gone = f"{self.path}/.gone-{found.id}"
        os.rename(found.directory.path, gone)  # whole or not at all, for whoever lists
        _remove_tree(gone)
        if key:
            free_key(self.path, key, found.id)
        for beside in _BESIDE:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.path}/{beside}{found.id}")


def _remove_tree(path: str, *, ignore_errors: bool = False) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=ignore_errors)


def default_path() -> str:
    """Return the folder of the store that is used where nobody names one."""
    import platformdirs

    return platformdirs.user_state_dir("runcast", appauthor=False)


def _user_name(uid: int) -> str:
    if uid == os.geteuid():
        with contextlib.suppress(Exception):
            import getpass

            return getpass.getuser()
    return f"user {uid}"


def _memory_store() -> Store:
    """Return a store in a private folder of a memory file system, which ends with this process."""
    import tempfile

    # Not a moment without its owner's lock: another process may sweep just now.
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()
    prefix = f"runcast-{os.geteuid()}-"
    for name in os.listdir(parent):
        if name.startswith(prefix):
            _sweep_memory(f"{parent}/{name}")
    made = tempfile.mkdtemp(prefix=f".{prefix}", dir=parent)
    lock = os.open(f"{made}/.owner", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    folder = made.replace(f"/.{prefix}", f"/{prefix}")
    os.rename(made, folder)
    store = Store(folder)
    store._lifeline, _kept_open = os.pipe2(os.O_CLOEXEC)  # its writing end closes when this process ends
    atexit.register(_remove_memory, folder, os.getpid())
    return store


def _remove_memory(folder: str, owner: int) -> None:
    if os.getpid() != owner:  # a forked child
        return
    runs = list(Store(folder).list())
    for act in (Run.kill, lambda run: run.wait(timeout=_CLOSING_SECONDS)):
        for run in runs:
            with contextlib.suppress(RuncastError):
                act(run)
    _remove_tree(folder, ignore_errors=True)


def _sweep_memory(folder: str) -> None:
    """Remove what the store of a process that was killed left behind."""
    with contextlib.suppress(OSError):
        fd = os.open(f"{folder}/.owner", os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove_tree(folder, ignore_errors=True)
        finally:
            os.close(fd)

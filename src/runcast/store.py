"""A store: a folder of runs. Start them, list them, find them, remove them.

Owns the folder: who may use it, which format it has, how a run gets into it (made under a hidden
name, renamed when its supervisor holds its lock) and out of it (the other way round).
"""

from __future__ import annotations

import atexit
import contextlib
import heapq
import os
import time
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from runcast.errors import (
    FileDamaged,
    RunActive,
    RuncastError,
    RunNotFound,
    StoreUnusable,
    UsageError,
)
from runcast.ids import is_run_id
from runcast.log import CAP_BYTES
from runcast.memory_folder import make_memory_folder
from runcast.model import State
from runcast.readers import drive, until
from runcast.run import Run
from runcast.sources.kinds import AHEAD, Source
from runcast.starting import Start, free_key
from runcast.store_folder import check_store, make_store, unwritable
from runcast.sysio import (
    is_folder,
    open_own,
)

if TYPE_CHECKING:
    from runcast.sources.recording import Recording

__all__ = ["Store", "default_path"]

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
        check_store(store.path)
        return store

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
        make_store(self.path)
        try:
            return Run(asked.run(self.path, self._lifeline), check=check)
        except FileDamaged:  # which says what is wrong, and where
            raise
        except OSError as error:
            raise unwritable(self.path, error) from None

    def _record(self, asked: Start) -> Recording:
        """Begin a run that this process records itself; see `runcast.attach`."""
        make_store(self.path)
        try:
            return asked.attach(self.path)
        except FileDamaged:
            raise
        except OSError as error:
            raise unwritable(self.path, error) from None

    def rerun(self, run: Run) -> Run:
        """Start the same again: command, folder, variables, input and limits of another run."""
        asked = run.directory.request()  # whole: half of a command is another one
        if asked["source"] != "command":
            raise UsageError(
                f"expected a run of a command, {run.name!r} was a {asked['source']}: start it from "
                "the program that has it"
            )
        path = f"{run.directory.path}/input"
        stdin = open_own(path, os.O_RDONLY) if os.path.lexists(path) else None
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
                        if entry.is_dir(follow_symlinks=False):  # a link may lead anywhere
                            yield entry.name
                    elif entry.name.startswith(_HIDDEN):
                        self._sweep(entry)
        except (FileNotFoundError, NotADirectoryError):
            return

    @staticmethod
    def _sweep(entry: os.DirEntry[str]) -> None:
        with contextlib.suppress(OSError):
            if time.time() - entry.stat(follow_symlinks=False).st_mtime < _ABANDONED:
                return
            if entry.is_dir(follow_symlinks=False):
                _remove_tree(entry.path, ignore_errors=True)
            elif not os.path.lexists(f"{os.path.dirname(entry.path)}/{entry.name.partition('-')[2]}"):
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
        if is_run_id(wanted) and is_folder(f"{self.path}/{wanted}"):
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
            RunActive, RunElsewhere: it still goes on; it is another host's.
            StoreUnusable: the store cannot be written to.
        """
        found = self.get(run if isinstance(run, str) else run.id)
        found.settle()
        if found.state in (State.EXITED, State.LOST):
            # Whoever waited was told of the end a moment before the log closes.
            next(drive(until(found.directory, lambda: found.closed or None, _CLOSING_SECONDS)), None)
        if not found.closed and not self._settled_soon(found):
            raise RunActive(f"run {found.id} is {found.state}: stop it first, then remove it")
        key = None
        with contextlib.suppress(OSError):  # it is just being removed by somebody else
            key = found.request.get("key")
        gone = f"{self.path}/.gone-{found.id}"
        try:
            os.rename(found.directory.path, gone)  # whole or not at all, for whoever lists
        except FileNotFoundError:
            raise RunNotFound(found.id, f"the store {self.path}") from None
        except OSError as error:
            raise unwritable(self.path, error) from None
        _remove_tree(gone)
        if key:
            free_key(self.path, key, found.id)
        for beside in _BESIDE:
            with contextlib.suppress(OSError):  # not there, or something that is none of ours
                os.unlink(f"{self.path}/{beside}{found.id}")


def _remove_tree(path: str, *, ignore_errors: bool = False) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=ignore_errors)


def default_path() -> str:
    """Return the folder of the store that is used where nobody names one."""
    import platformdirs

    return platformdirs.user_state_dir("runcast", appauthor=False)


def _memory_store() -> Store:
    """Return a store in a private folder of a memory file system, which ends with this process."""
    folder = make_memory_folder()
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

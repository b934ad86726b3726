"""Starting a run: from what a caller wrote to a folder in the store with somebody who owns it.

Owns the order of a start: the request is checked, the folder is made under a hidden name, its key
is taken, and only then somebody takes the run: a supervisor of its own for a command or a
function with `process=True`, this process for other functions and generators. Whatever fails
before leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from runcast.errors import FileDamaged, RunExists, UsageError
from runcast.ids import is_run_id, new_run_id
from runcast.log import CAP_BYTES, RunDirectory
from runcast.log.directory import is_locked
from runcast.log.request import FORMAT
from runcast.model import Outcome, Reason
from runcast.sources.command import current_folder, environment, to_argv
from runcast.sources.kinds import AHEAD, Kind, Source, check_arguments, kind_of, name_of, take
from runcast.supervisor.launch import launch
from runcast.supervisor.origin import origin_of
from runcast.sysio import create, folder, is_folder, open_own, read_json, remove

if TYPE_CHECKING:
    from runcast.sources.recording import Recording

__all__ = ["Start", "free_key"]

_IDLE_GENERATOR = 3600.0  # seconds after which a generator that nobody asks is closed, unless told otherwise
_KEY_SECONDS = 60.0  # a run that has the key but is not there yet is being started
_LIMITS = ("timeout", "idle_timeout", "cap", "stop_unwatched")
_TYPES: Mapping[str, tuple[Any, str]] = {
    "timeout": ((int, float), "seconds"),
    "idle_timeout": ((int, float), "seconds"),
    "stop_unwatched": ((int, float), "seconds"),
    "cap": (int, "bytes"),
    "cwd": ((str, os.PathLike), "a path"),
    "env": (Mapping, "a mapping of names to texts"),
    "input": ((bytes, str), "bytes or text"),
    "name": (str, "text"),
}


class Start(NamedTuple):
    """What a caller asked for; see `Store.start`."""

    source: Source
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] | None = None
    process: bool = False
    ahead: int | None = AHEAD
    shell: bool = False
    cwd: str | os.PathLike[str] | None = None
    env: Mapping[str, str] | None = None
    stdin: int | IO[Any] | str | None = None
    input: bytes | str | None = None
    name: str | None = None
    timeout: float | None = None
    idle_timeout: float | None = None
    cap: int | None = CAP_BYTES
    stop_unwatched: float | None = None
    view: str | None = None
    key: str | None = None

    def run(self, store: str, lifeline: int | None) -> str:
        """Start it in a store, and return the folder of the run; of that which has the key, if one has.

        Raises:
            UsageError, RunExists, SupervisorLost: see `Store.start`.
            OSError: the store cannot be written to.
        """
        kind = kind_of(self.source)
        command, call = self._command(kind)
        run_id = new_run_id()
        asked = self._asked(run_id, kind, command)
        path, new = f"{store}/{run_id}", f"{store}/.new-{run_id}"
        taken: int | None = None  # the lock of the key
        if self.key is not None and (other := _holder(store, self.key, asked)) is not None:
            return other
        try:
            if command is not None:
                command = [*command, path] if call else command
            RunDirectory.create(new, asked | {"command": command or []}, origin_of)
            if self.key is not None:
                taken, other = _take_key(store, self.key, new, asked)
                if other is not None:
                    _remove(new)
                    return other
            if command is None:
                self._take_here(kind, new, path, asked)
            else:
                self._launch(store, lifeline, new, path, asked, command, call)
        except BaseException:
            if taken is not None and not os.path.isdir(path):
                free_key(store, self.key or "", run_id)
            _remove(new)
            raise
        finally:
            if taken is not None:
                os.close(taken)
        return path

    def _asked(self, run_id: str, kind: Kind, command: list[str] | None) -> dict[str, Any]:
        """Return what `run.json` says of it."""
        if self.name:
            name = self.name
        elif kind is Kind.COMMAND and command:
            name = os.path.basename(command[0])
        else:
            name = name_of(self.source)
        return {
            "format": FORMAT,
            "id": run_id,
            "name": name,
            "source": "command" if kind is Kind.COMMAND else "function" if kind.is_function else "generator",
            "command": command or [],
            "cwd": current_folder() if self.cwd is None else os.path.abspath(self.cwd),
            "env": dict(self.env or {}),
            **{limit: self._limit(limit, kind) for limit in _LIMITS},
            "lazy": kind.is_generator and self.ahead is not None,
            "view": self.view,
            "key": self.key,
            "created_at": time.time(),
            "host": socket.gethostname(),
        }

    def attach(self, store: str) -> Recording:
        """Begin a run for what the caller goes on to do himself, and return what records it."""
        from runcast.sources.recording import Recording

        self._check_types()
        run_id = new_run_id()
        path, new = f"{store}/{run_id}", f"{store}/.new-{run_id}"
        asked = self._asked(run_id, Kind.FUNCTION, None)
        try:
            RunDirectory.create(new, asked, origin_of)
            return Recording(new, path, asked)
        except BaseException:
            _remove(new)
            raise

    def check(self) -> None:
        """Refuse what has no meaning, before anything is touched.

        Raises:
            UsageError, CommandRefused: it has none.
        """
        kind = kind_of(self.source)
        self._check_types()
        if kind is Kind.COMMAND:
            to_argv(self.source, shell=self.shell)  # type: ignore[arg-type]
        for name in _LIMITS:
            self._limit(name, kind)
        only_commands = {"shell": self.shell, "stdin": self.stdin, "input": self.input}
        if kind is not Kind.COMMAND:
            for name, value in only_commands.items():
                if value:
                    raise UsageError(f"expected {name} with a command only, got a {kind.value}: leave it out")
            if not self.process and (self.cwd is not None or self.env):
                raise UsageError(
                    f"expected cwd and env with a command or process=True only, got a {kind.value} that runs "
                    "in this process: use process=True, or set them in the function"
                )
        if self.process and not kind.is_function:
            raise UsageError(f"expected process=True with a function only, got a {kind.value}: leave it out")
        if kind is not Kind.COMMAND or self.args or self.kwargs:
            check_arguments(self.source, self.args, self.kwargs or {})
        if self.stdin is not None and self.input is not None:
            raise UsageError("expected stdin or input, got both: choose one of them")
        if self.stdin is not None and self.stdin != "pipe":
            _descriptor(self.stdin)
        if self.key is not None and not (isinstance(self.key, str) and self.key):
            raise UsageError(f"expected a key of at least one character, got {self.key!r:.80}")
        if self.ahead is not None and not (isinstance(self.ahead, int) and self.ahead >= 1):
            raise UsageError(f"expected ahead to be 1 or more, or None to run free, got {self.ahead!r}")

    def _check_types(self) -> None:
        for name, (types, said) in _TYPES.items():
            if (value := getattr(self, name)) is not None and not isinstance(value, types):
                raise UsageError(f"expected {name} as {said}, got {value!r:.80}")

    def _limit(self, name: str, kind: Kind) -> float | None:
        value: float | None = getattr(self, name)
        if value is not None and not value > 0:
            raise UsageError(f"expected {name} to be more than 0, got {value!r}: leave it out for none")
        if value is None and name == "idle_timeout" and kind.is_generator and self.ahead is not None:
            return _IDLE_GENERATOR
        return None if value is not None and math.isinf(value) else value

    def _command(self, kind: Kind) -> tuple[list[str] | None, bytes | None]:
        """Return the command to supervise, if there is one, and the call that it makes."""
        source: Any = self.source
        if kind is Kind.COMMAND:
            return to_argv(source, shell=self.shell), None
        if not self.process:
            return None, None
        from runcast.sources import process

        return process.argv(), process.pack(source, self.args, self.kwargs or {})

    def _launch(
        self,
        store: str,
        lifeline: int | None,
        new: str,
        path: str,
        asked: Mapping[str, Any],
        command: list[str],
        call: bytes | None,
    ) -> None:
        request = {key: asked[key] for key in ("id", "cwd", *_LIMITS)}
        env = environment(self.env, asked["id"])
        request |= {"argv": command, "env": env, "new": new, "path": path}
        fds: dict[str, int] = {}
        opened: list[int] = []
        try:
            if call is not None:
                from runcast.sources import here, process

                _write(f"{new}/{process.CALL}", call)
                request["result"] = f"{path}/{here.RESULT}"
            if self.input is not None:
                data = self.input.encode() if isinstance(self.input, str) else self.input
                _write(f"{new}/input", data)
                fds["stdin"] = open_own(f"{new}/input", os.O_RDONLY)
                opened.append(fds["stdin"])
            elif self.stdin == "pipe":
                request["stdin"] = "pipe"
            elif self.stdin is not None:
                fds["stdin"] = _descriptor(self.stdin)
            if lifeline is not None:
                fds["lifeline"] = lifeline
            launch(store, request, fds)
        finally:
            for fd in opened:
                os.close(fd)

    def _take_here(self, kind: Kind, new: str, path: str, asked: dict[str, Any]) -> None:
        """Have this process take the run and begin with it."""
        from runcast.sources.recording import Recording

        take(self.source)
        recording = Recording(new, path, asked)
        try:
            self._begin(kind, recording)
        except BaseException as error:
            recording.finish(Outcome(Reason.FAILED_TO_START, message=str(error), ended_at=time.time()))
            raise

    def _begin(self, kind: Kind, recording: Recording) -> None:
        source: Any = self.source
        args, kwargs = self.args, dict(self.kwargs or {})
        if kind is Kind.FUNCTION:
            from runcast.sources.function import call_here

            call_here(recording, source, args, kwargs)
        elif kind is Kind.GENERATOR:
            from runcast.sources.generator import run_iterator

            run_iterator(recording, source(*args, **kwargs) if callable(source) else source, self.ahead)
        else:
            from runcast.sources import task

            loop = task.running_loop() or task.own_loop()
            if kind is not Kind.ASYNC_GENERATOR:
                task.run_task(
                    recording, lambda: source(*args, **kwargs) if callable(source) else source, loop
                )
                return
            from runcast.sources.async_generator import run_async_iterator

            made = source(*args, **kwargs) if callable(source) else source
            run_async_iterator(recording, made, self.ahead, loop)


def _take_key(store: str, key: str, new: str, asked: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """Have a key name this run; return a lock to close once it began, or else the folder of another.

    A hard link is made or it is not, also by many processes at once (link(2)). The lock is on what
    is linked: where it is free, and there is no run, whoever had the key died before its run began.

    Raises:
        RunExists: it names a run that was asked for differently.
    """
    link = _link(store, key)
    folder(os.path.dirname(link), make=True)
    deadline = time.monotonic() + _KEY_SECONDS
    lock = open_own(f"{new}/run.json", os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        while True:
            with contextlib.suppress(FileExistsError):
                os.link(f"{new}/run.json", link)
                lock, taken = -1, lock
                return taken, None
            holder = _holder(store, key, asked)
            if holder is not None:
                return None, holder
            other = _named(link)
            if other is None:
                continue
            if is_locked(link) and time.monotonic() < deadline:
                time.sleep(0.002)
            elif not other or not is_folder(f"{store}/{other['id']}"):  # it died, or the run was removed
                _unlink_same(link, other.get("id"))
    finally:
        if lock >= 0:
            os.close(lock)


def _holder(store: str, key: str, asked: Mapping[str, Any]) -> str | None:
    """Return the folder of the run that has a key, if there is one.

    Raises:
        RunExists: it was asked for differently.
    """
    other = _named(_link(store, key))
    if not other or not is_folder(path := f"{store}/{other['id']}"):
        return None
    same = ("source", "view", *(() if asked["view"] else ("name",)))
    if asked["source"] == "command" and not asked["view"]:
        same += ("command",)
    if any(other.get(name) != asked[name] for name in same):
        raise RunExists(
            f"the key {key[:80]!r} already names run {other['id']}, which was asked for differently: "
            "use another key, or remove that run"
        )
    return path


def _named(link: str) -> dict[str, Any] | None:
    """Return what was asked of the run that a link names; empty if nobody can read it, None for no link."""
    try:
        named = read_json(link)
        return named if is_run_id(str(named.get("id"))) else {}  # it names a folder
    except FileNotFoundError:
        return None
    except FileDamaged:
        return {}


def free_key(store: str, key: str, run_id: str) -> None:
    """Have a key name nothing, if it still names this run."""
    _unlink_same(_link(store, key), run_id)


def _link(store: str, key: str) -> str:
    import hashlib  # loads OpenSSL, and few starts have a key

    return f"{store}/keys/{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()}"


def _unlink_same(link: str, run_id: str | None) -> None:
    """Remove a key, if it still names this run: one process at a time, for nobody's else may be removed."""
    keys = os.path.dirname(link)
    if not is_folder(keys):
        return
    with contextlib.suppress(FileNotFoundError):
        lock = create(f"{keys}/.lock", os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (_named(link) or {}).get("id") == run_id:
                remove(link)
        finally:
            os.close(lock)


def _remove(new: str) -> None:
    import shutil  # only where a start comes to nothing

    shutil.rmtree(new, ignore_errors=True)


def _write(path: str, data: bytes) -> None:
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(data)


def _descriptor(stdin: int | IO[Any] | str) -> int:
    try:
        fd: int = stdin if isinstance(stdin, int) else stdin.fileno()  # type: ignore[union-attr]
        os.fstat(fd)
        return fd
    except (AttributeError, OSError, OverflowError, ValueError):
        raise UsageError(f'expected stdin to be "pipe", a file or a descriptor, got {stdin!r}') from None

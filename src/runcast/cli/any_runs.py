"""The interface of runs for verbs, independent of where they are: two protocols.

`Local` and `Remote` implement `Runs`. Only for the type checker: nothing imports it at run time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, Unpack

from runcast.client import ShareLink
from runcast.keep import Keep
from runcast.model import Artifact, Chunk, Host, LeftOut, Outcome, State, TerminalSize, Waiting
from runcast.options.typed import StartOptions
from runcast.readers import FoundLine
from runcast.retention.prune import Pruned
from runcast.run.arguments import Place
from runcast.sources.command import Command
from runcast.who import Who

__all__ = ["AnyRun", "Runs"]


class AnyRun(Protocol):
    """A run, local or remote."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def command(self) -> list[str]: ...
    @property
    def state(self) -> State: ...
    @property
    def elsewhere(self) -> str | None: ...
    @property
    def host(self) -> Host | None: ...
    @property
    def outcome(self) -> Outcome | None: ...
    @property
    def started_by(self) -> Who | None: ...
    @property
    def started_at(self) -> float | None: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def disk_bytes(self) -> int | None: ...
    @property
    def queue(self) -> str | None: ...
    @property
    def hooks(self) -> list[dict[str, Any]]: ...
    @property
    def place(self) -> int | None: ...
    @property
    def waiting(self) -> Waiting | None: ...
    @property
    def tail_offset(self) -> int: ...
    @property
    def pinned(self) -> bool: ...
    @property
    def hint(self) -> str | None: ...
    @property
    def tty(self) -> bool | Literal["stdout"]: ...
    @property
    def size(self) -> TerminalSize | None: ...
    @property
    def damaged(self) -> str | None: ...
    def to_json(self) -> dict[str, Any]: ...
    def follow(
        self, *, channel: Collection[str] | None = None, timeout: float | None = None, **place: Unpack[Place]
    ) -> Iterator[Chunk | None]: ...
    def wait(self, *, timeout: float | None = None, check: bool | None = None) -> Outcome: ...
    def wait_for(self, text: str, *, regex: bool = False, timeout: float | None = None) -> FoundLine: ...
    def stop(self, *, grace: float = 5.0, signal: int = 15) -> None: ...
    def kill(self) -> None: ...
    def send(self, data: bytes | str, *, eof: bool = False) -> None: ...
    def resize(self, columns: int, rows: int) -> None: ...
    @property
    def artifacts(self) -> list[Artifact]: ...
    @property
    def left_out(self) -> list[LeftOut]: ...
    def read_artifact(self, name: str) -> bytes: ...
    def save_artifacts(self, folder: str, *names: str) -> list[str]: ...
    def pin(self) -> None: ...
    def unpin(self) -> None: ...


class Runs(Protocol):
    """The runs of a store or a server."""

    @property
    def notice(self) -> str | None:
        """What is wrong with all of them together, for stderr; None for nothing."""

    @property
    def description(self) -> str:
        """The store or server, as a phrase for messages."""

    @property
    def option(self) -> str:
        """The option that selects it on a command line, followed by a space; empty for the default."""

    def start(
        self, command: Command, stdin: bool, options: StartOptions, at: StartOptions | None = None
    ) -> AnyRun:
        """Start a run; with `stdin` it reads the stdin of this process.

        Where a terminal will be at the run, `at` is what that makes of it. A server's own command has a
        terminal as its configuration says, or is refused.
        """

    def forwards(self) -> bool:
        """Whether this process must forward its stdin to a run, which cannot read it directly."""

    def started(self, run: AnyRun) -> None:
        """Wait until a run's command has started, or failed to."""

    def link(self, run: AnyRun) -> str | None:
        """Return the URL of a run's page, if a server shows it."""

    def share(self, run: AnyRun, expires: float) -> ShareLink:
        """Return a link by which anybody may read a run, and do nothing else, for so many seconds."""

    def hint(self, run: AnyRun) -> str | None:
        """Return why a run may be silent now, and what to do; None where nothing is known."""

    def get(self, run_id: str) -> AnyRun:
        """Return the run or stream with an id, or a part of it; or the stream with a name."""

    def list(self, limit: int | None = None, *, key: str | None = None) -> Iterator[AnyRun]:
        """Yield the runs, and streams among them, newest first; with `key` only the runs of that key."""

    def remove(self, run: AnyRun, *, force: bool = False) -> None:
        """Remove a finished run, or a closed stream; with `force` one that is open as well."""

    def prune(self, keep: Keep, *, name: str | None, mirrors: bool, dry_run: bool) -> Iterator[Pruned]:
        """Remove the finished runs that a rule leaves, of a name or all, or mirrors, and yield each."""

    def disk_use(self) -> Mapping[str, tuple[int, int]]:
        """Return for each name how many runs there are, and how much disk they take, in bytes."""

    def so_far(self, run: AnyRun, channels: Collection[str], place: Place) -> Iterator[Chunk]:
        """Yield the present output."""

    def reading(self, run: AnyRun) -> AbstractContextManager[None]:
        """Return a context for reading a listed run, which may be removed meanwhile."""

"""Where the runs are that a verb is about: in a store of this machine, or on a server.

Owns the choice between `--store` and `--server`. A verb knows runs by the two protocols below; what
differs between here and there is in local.py and remote.py, and nowhere else. Loads neither of them
before it must: `runcast --version` needs no store.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, Unpack

import click

if TYPE_CHECKING:
    from runcast.model import Chunk, Outcome, State
    from runcast.run_base import Place
    from runcast.sources.command import Command

__all__ = ["AnyRun", "Runs", "Where", "at_server"]

Function = TypeVar("Function", bound=Callable[..., object])


class AnyRun(Protocol):
    """A run, here or there."""

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
    def outcome(self) -> Outcome | None: ...
    @property
    def started_at(self) -> float | None: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def tail_offset(self) -> int: ...
    @property
    def damaged(self) -> str | None: ...
    def to_json(self) -> dict[str, Any]: ...
    def follow(
        self, *, channel: Collection[str] | None = None, timeout: float | None = None, **place: Unpack[Place]
    ) -> Iterator[Chunk | None]: ...
    def wait(self, *, timeout: float | None = None, check: bool | None = None) -> Outcome: ...
    def stop(self, *, grace: float = 5.0, signal: int = 15) -> None: ...
    def kill(self) -> None: ...
    def send(self, data: bytes | str, *, eof: bool = False) -> None: ...


class Runs(Protocol):
    """What verbs ask of a place where runs are."""

    @property
    def said(self) -> str:
        """What it is called in a sentence."""

    @property
    def option(self) -> str:
        """What names it on a command line, with a space behind; empty where nothing need be said."""

    def start(self, command: Command, stdin: bool, options: Mapping[str, Any]) -> AnyRun:
        """Start a run; with `stdin` it reads ours."""

    def forwards(self) -> bool:
        """Whether our stdin must be sent to a run, which cannot read it itself."""

    def started(self, run: AnyRun) -> None:
        """Wait until a run's command is started, or could not be."""

    def link(self, run: AnyRun) -> str | None:
        """Return the page of a run, if a server shows it."""

    def get(self, run_id: str) -> AnyRun:
        """Return the run or stream with an id, or a part of it; or the stream with a name."""

    def list(self, limit: int | None = None) -> Iterator[AnyRun]:
        """Yield the runs, and streams among them, newest first."""

    def remove(self, run: AnyRun, *, force: bool = False) -> None:
        """Remove a finished run, or a closed stream; with `force` one that is open as well."""

    def so_far(self, run: AnyRun, channels: Collection[str], place: Place) -> Iterator[Chunk]:
        """Yield the output there is now."""

    def reading(self, run: AnyRun) -> AbstractContextManager[None]:
        """Give a block in which a run of a list is looked at, which may vanish meanwhile."""


@dataclass(frozen=True)
class Where:
    """What the options say. An option goes before a variable, a server's variable before a store's."""

    store: str | None = None
    server: str | None = None

    def at(self, server: str) -> Where:
        """Return the same with a server that was named behind the verb."""
        return replace(self, server=server)

    def open(self) -> Runs:
        """Return the runs that are meant.

        Raises:
            UsageError: a store and a server were named.
            StoreUnusable, RuncastError: they cannot be used.
        """
        if self.store is not None and self.server is not None:
            raise click.UsageError("expected --store or --server, got both: choose one of them")
        variable = os.environ.get("RUNCAST_SERVER") if self.store is None else None
        server = self.server if self.server is not None else variable
        if not server:
            from runcast.cli.local import Local

            return Local(self.store)
        from runcast.cli.remote import Remote

        remote = Remote(server, named=self.server is not None)
        click.get_current_context().call_on_close(remote.close)
        return remote


def at_server(function: Function) -> Function:
    """Add the option that has a verb talk to a server."""

    def choose(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        if value is not None:
            ctx.obj = ctx.obj.at(value)

    return click.option(
        "--server",
        metavar="URL",
        expose_value=False,
        callback=choose,
        help="The runs of this server, as `runcast --server`.",
    )(function)

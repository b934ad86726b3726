"""The location of the runs of a verb: a store of this machine, or a server.

Owns the choice between `--store` and `--server`. Verbs use the two protocols of any_runs.py; the
differences between local and remote runs are in local.py and remote.py only. Each is loaded on demand:
`runcast --version` needs no store.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from runcast.cli.any_runs import Runs

__all__ = ["Where", "at_server", "is_url"]

Function = TypeVar("Function", bound=Callable[..., object])


@dataclass(frozen=True)
class Where:
    """The options. An option precedes a variable, and a server's variable precedes a store's."""

    store: str | None = None
    server: str | None = None
    patience: float | None = None  # seconds that a server may be silent; None for the client's own

    def at(self, server: str) -> Where:
        """Return a copy with a server that was named behind the verb."""
        return replace(self, server=server)

    def open(self) -> Runs:
        """Return the runs of the selected store or server.

        Raises:
            UsageError: both a store and a server were named.
            StoreUnusable, RuncastError: the store or server cannot be used.
        """
        if self.store is not None and self.server is not None:
            raise click.UsageError("expected --store or --server, got both: choose one of them")
        variable = os.environ.get("RUNCAST_SERVER") if self.store is None else None
        server = self.server if self.server is not None else variable
        if not server:
            from runcast.cli.local import Local

            return Local(self.store)
        from runcast.cli.remote import Remote

        remote = Remote(server, named=self.server is not None, patience=self.patience)
        click.get_current_context().call_on_close(remote.close)
        return remote


def is_url(text: str) -> bool:
    """Return whether a text is the address of something on a server. Loads nothing that speaks HTTP."""
    return text.startswith(("http://", "https://", "ssh://"))


def at_server(function: Function) -> Function:
    """Add the option for a server to a verb."""

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

"""`runcast token`: tokens for programs, each of which may do little, until a time."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import click

from runcast.cli import exit_codes
from runcast.cli.terminal import print_line, printable, report
from runcast.cli.values import DURATION
from runcast.cli.where import Where

if TYPE_CHECKING:
    from runcast.store.scoped_tokens import TokenFiles

__all__ = ["command"]

_DEFAULT = "90d"
_NEVER = "never"


class _Expiry(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.4
    """A duration, or `never`."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if value == _NEVER:
            return math.inf
        seconds: float = DURATION.convert(value, param, ctx)
        if not seconds > 0:
            self.fail(f"expected more than 0 s, or never, got {value!r}", param, ctx)
        return seconds


@click.group(
    "token", short_help="Make, list and revoke tokens for programs.", subcommand_metavar="VERB [ARGS]..."
)
def command() -> None:
    """Make, list and revoke tokens for programs: each may do what it is made for, until its time is over.

    A program sends it to `runcast serve` in the header `Authorization: Bearer TOKEN`, or has it in
    RUNCAST_TOKEN. A server that runs knows of a change at once.

    A right is a verb: list, read, start, stop, send, rerun, pin, share, delete, traceback, metrics; for
    streams create and append. Or VERB:NAME, for runs, commands and streams of this name; * stands for
    anything.

    \b
    Examples:
      runcast token add ci --may start:backup --may read:backup
      runcast token add push --may 'append:builds/*' --may 'create:builds/*' --expires 365d
      runcast token list
      runcast token revoke ci
    """


@command.command("add", short_help="Make a token, and print it once.")
@click.argument("name", metavar="NAME")
@click.option(
    "--may",
    multiple=True,
    required=True,
    metavar="RIGHT",
    help="What it may do: VERB, or VERB:NAME. May be repeated.",
)
@click.option(
    "--expires",
    type=_Expiry(),
    metavar="DURATION",
    default=_DEFAULT,
    show_default=True,
    help="The time after which it ends: 12h, 90d, never.",
)
@click.pass_obj
def add(where: Where, name: str, may: tuple[str, ...], expires: float) -> None:
    """Make a token for a program, and print it. It is shown this once: the store keeps a hash of it.

    \b
    Examples:
      runcast token add ci --may start:backup --may 'append:builds/*' --expires 90d
    """
    expires_at = None if math.isinf(expires) else time.time() + expires
    print_line(_files(where).add(name, may, expires_at))
    until = "until it is revoked" if expires_at is None else f"until {_local(expires_at)}"
    report(f"it may {', '.join(may)}, {until}; this is the only time that it is shown")


@command.command("list", short_help="List the tokens, and what they may do.")
@click.pass_obj
def show(where: Where) -> None:
    """List the tokens by name: until when each is valid, and what it may do."""
    for token in _files(where).list():
        ends = "" if token.expires_at is None else _local(token.expires_at)
        state = "until it is revoked" if not ends else f"expired {ends}" if token.expired else f"until {ends}"
        print_line(printable(f"{token.name}  {state}  {token.rights}"))


@command.command("revoke", short_help="End tokens, at once.")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.pass_obj
def revoke(where: Where, names: tuple[str, ...]) -> int:
    """End tokens, at once: what is being sent to them is cut within a second."""
    files = _files(where)
    for name in names:
        files.revoke(name)
    return exit_codes.OK


def _files(where: Where) -> TokenFiles:
    if where.server is not None:
        raise click.UsageError("expected the store of a server, got --server: tokens are made on its machine")
    from runcast.runs import Store
    from runcast.store.scoped_tokens import TokenFiles

    return TokenFiles(Store.open(where.store).path)


def _local(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(seconds))

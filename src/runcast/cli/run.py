"""`runcast run`: start a command, watch it, exit as it did."""

from __future__ import annotations

import os
import shlex

import click

from runcast.cli import exit_codes
from runcast.cli.attend import Attendance, forward_stdin
from runcast.cli.runs import tell_outcome
from runcast.cli.terminal import say, tell
from runcast.cli.values import DURATION, SIZE, VARIABLE
from runcast.errors import CommandRefused, UsageError
from runcast.log import CAP_BYTES
from runcast.model import Reason
from runcast.run import Run
from runcast.server.registry import servers
from runcast.sources.command import Command, shell_syntax
from runcast.store import Store

__all__ = ["command"]


@click.command(
    "run",
    short_help="Start a command, show its output, exit with its exit code.",
    context_settings={"allow_interspersed_args": False},  # what follows CMD is CMD's
)
@click.argument("words", metavar="[--] CMD [ARGS]...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--detach", is_flag=True, help="Print the id and return at once.")
@click.option("--shell", is_flag=True, help="CMD is one string, for /bin/sh.")
@click.option("-i", "--stdin", "stdin", is_flag=True, help="Give it our stdin; by default it reads nothing.")
@click.option("--cwd", metavar="DIR", help="Run in this folder.")
@click.option(
    "--env", type=VARIABLE, multiple=True, metavar="NAME=VALUE", help="Set a variable. May be repeated."
)
@click.option("--name", help="A name for people. [default: the program's]")
@click.option("--timeout", type=DURATION, metavar="DURATION", help="Stop it after so long: 90, 90s, 5m, 2h.")
@click.option(
    "--idle-timeout", type=DURATION, metavar="DURATION", help="Stop it after so long without output."
)
@click.option(
    "--cap",
    type=SIZE,
    default=CAP_BYTES,
    metavar="SIZE",
    help="Keep so much output, head and tail: 64M, 1G, none. [default: 1G]",
)
@click.option("--safe", is_flag=True, help="Leave out escape sequences and control codes.")
@click.pass_obj
def command(
    where: str | None,
    words: tuple[str, ...],
    detach: bool,
    shell: bool,
    stdin: bool,
    cwd: str | None,
    env: tuple[tuple[str, str], ...],
    name: str | None,
    timeout: float | None,
    idle_timeout: float | None,
    cap: int | None,
    safe: bool,
) -> int:
    """Start a command, show its output as it comes, and exit with its exit code.

    Its stdout comes out of ours and its stderr out of ours, byte for byte. The exit code is 128+N
    when signal N ended it, 127 or 126 when it could not be started, 124 when a timeout did and it
    then ended with 0. Ctrl-C stops the run, a second one kills it, and the exit code is 130. When
    the terminal closes, the run goes on: `runcast follow` shows it again.

    \b
    Examples:
      runcast run make -j4
      runcast run --timeout 10m --name nightly -- ./backup.sh --all
      runcast run --shell 'make 2>&1 | grep -i error'
      runcast run -i -- sort < names.txt
    """
    asked = _command(words, shell=shell)
    forward = stdin and os.isatty(0)
    if forward and detach:
        raise click.UsageError("expected a file or a pipe as stdin with --detach, got a terminal")
    store = Store.open(where)
    with Attendance(where, safe=safe) as attendance:
        run = store.start(
            asked,
            shell=shell,
            cwd=cwd,
            env=dict(env),
            stdin=("pipe" if forward else 0) if stdin else None,
            name=name,
            timeout=timeout,
            idle_timeout=idle_timeout,
            cap=cap,
        )
        for url in servers(store.path)[:1]:
            tell(f"watch it at {url.rstrip('/')}/runs/{run.id}")
        if detach:
            say(run.id)
            return _settle(run)
        if forward:
            forward_stdin(run)
        return attendance.stay(run)


def _settle(run: Run) -> int:
    """Wait until the command is started, some milliseconds, and tell if it cannot be."""
    outcome = run.outcome if run.pid is None else None
    if outcome is None or outcome.reason is not Reason.FAILED_TO_START:
        return exit_codes.OK
    tell_outcome(run, outcome)
    return exit_codes.of_outcome(outcome)


def _command(words: tuple[str, ...], *, shell: bool) -> Command:
    """Return the command; refuse a single word that was meant to be several, or for a shell.

    Raises:
        CommandRefused: it has shell syntax, and `--shell` was not given.
        UsageError: it is a whole command line, or `--shell` has more than one string.
    """
    if shell:
        if len(words) != 1:
            raise UsageError(
                f"expected one string with --shell, got {len(words)}: quote {shlex.join(words)!r}"
            )
        return words[0]
    text = words[0]
    if len(words) > 1 or os.path.exists(text):
        return list(words)
    if found := shell_syntax(text):
        raise CommandRefused(
            f"expected a program and its arguments, got shell syntax {found!r} in {text!r}: "
            f"use `runcast run --shell {shlex.quote(text)}`, or quote what is meant literally"
        )
    if len(text.split()) > 1:
        raise UsageError(
            f"expected a program and its arguments, got the single word {text!r}: "
            f"write `runcast run -- {text}`, or use --shell"
        )
    return list(words)

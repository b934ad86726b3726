"""`runcast run`: start a command, watch it, exit as it did."""

from __future__ import annotations

import os
import shlex

import click

from runcast.cli import exit_codes
from runcast.cli.attend import Attendance, forward_stdin
from runcast.cli.runs import tell_outcome
from runcast.cli.terminal import STDERR, say, tell
from runcast.cli.values import DURATION, SIZE, VARIABLE
from runcast.cli.where import AnyRun, Where, at_server
from runcast.errors import CommandRefused, UsageError
from runcast.log import CAP_BYTES
from runcast.model import Reason
from runcast.sources.command import Command, shell_syntax

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
@click.option("-q", "--quiet", is_flag=True, help="Do not say where to watch it.")
@click.option("--safe", is_flag=True, help="Leave out escape sequences and control codes.")
@at_server
@click.pass_obj
def command(
    where: Where,
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
    quiet: bool,
    safe: bool,
) -> int:
    """Start a command, show its output as it comes, and exit with its exit code.

    Its stdout comes out of ours and its stderr out of ours, byte for byte. The exit code is 128+N
    when signal N ended it, 127, 126 or 125 when it could not be started, and 124 when a timeout
    ended it, however it took that. Ctrl-C stops the run, a second one kills it, and the exit code
    is 130. When the terminal closes, the run goes on: `runcast follow` shows it again.

    \b
    Examples:
      runcast run make -j4
      runcast run --timeout 10m --name nightly -- ./backup.sh --all
      runcast run --shell 'make 2>&1 | grep -i error'
      runcast run -i -- sort < names.txt
      runcast run --server http://laptop:8765/ -- make

    With --server the command runs there, if the server allows any (`runcast serve
    --allow-any-command`); a single word that names one of its commands starts that. Folders, files
    and variables are those of the server.
    """
    asked = _command(words, shell=shell)
    if stdin and detach and os.isatty(0):
        raise click.UsageError("expected a file or a pipe as stdin with --detach, got a terminal")
    runs = where.open()
    forward = stdin and runs.forwards()
    options = {
        "shell": shell,
        "cwd": cwd,
        "env": dict(env),
        "name": name,
        "timeout": timeout,
        "idle_timeout": idle_timeout,
        "cap": cap,
    }
    with Attendance(runs.option, safe=safe) as attendance:
        run = runs.start(asked, stdin, options)
        if not quiet and os.isatty(STDERR) and (link := runs.link(run)):  # a file would keep it for ever
            tell(f"watch it at {link}")
        if detach:
            say(run.id)
            runs.started(run)
            if forward:
                forward_stdin(run, wait=True)
            return _failure(run)
        if forward:
            forward_stdin(run)
        return attendance.stay(run)


def _failure(run: AnyRun) -> int:
    """Tell if the command could not be started."""
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

"""`runcast run`: start a command, watch it, exit as it did."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

import click

from runcast.cli import exit_codes
from runcast.cli.at_terminal import at_terminal, detach_keys_option
from runcast.cli.attend import Attendance, forward_stdin
from runcast.cli.detach_keys import parse_keys
from runcast.cli.runs import report_outcome
from runcast.cli.start_options import StartCommand, given, start_options
from runcast.cli.terminal import STDERR, print_line, report
from runcast.cli.values import VARIABLE
from runcast.cli.where import Where, at_server
from runcast.errors import CommandRefused, UsageError
from runcast.model import Reason
from runcast.sources.command import Command, shell_syntax

if TYPE_CHECKING:
    from runcast.cli.any_runs import AnyRun, Runs
    from runcast.options.typed import StartOptions

__all__ = ["command"]


@click.command(
    "run",
    cls=StartCommand,
    short_help="Start a command, show its output, exit with its exit code.",
    context_settings={"allow_interspersed_args": False},  # what follows CMD is CMD's
)
@click.argument("words", metavar="[--] CMD [ARGS]...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--detach", is_flag=True, help="Print the id and return at once.")
@click.option("-i", "--stdin", "stdin", is_flag=True, help="Give it this stdin; by default it reads nothing.")
@start_options
@click.option(
    *("-p", "--param", "params"),
    type=VARIABLE,
    metavar="P=VALUE",
    multiple=True,
    help="A parameter of the server's command NAME. May be repeated, also behind NAME.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print no link, and no hint.")
@click.option("--safe", is_flag=True, help="Leave out escape sequences and control codes.")
@detach_keys_option
@at_server
@click.pass_obj
def command(
    where: Where,
    /,
    words: tuple[str, ...],
    detach: bool,
    stdin: bool,
    params: tuple[tuple[str, str], ...],
    quiet: bool,
    safe: bool,
    detach_keys: str,
    **values: Any,
) -> int:
    """Start a command, show its output as it comes, and exit with its exit code.

    Its stdout and its stderr come out on ours, byte for byte. The exit code is 128+N
    when signal N ended it, 127, 126 or 125 when it could not be started, and 124 when a timeout
    ended it, however it took that. Ctrl-C stops the run, a second one kills it, and the exit code
    is 130. When the terminal closes, the run goes on: `runcast follow` shows it again.

    While it is silent, stderr says once, on a terminal, which of its programs may hold output back, and
    what to do.

    With -it the command has this terminal: it gets every key, Ctrl-C included, and the size of the
    window. Ctrl-\\ and then d detach, and `runcast attach` comes back. With -t alone it has a terminal
    that nobody types in.

    \b
    Examples:
      runcast run make -j4
      runcast run --timeout 10m --name nightly -- ./backup.sh --all
      runcast run --shell 'make 2>&1 | grep -i error'
      runcast run -i -- sort < names.txt
      runcast run -it -- vim notes
      runcast run --server ssh://laptop/ -- make

    With --server the command runs there, if the server allows any (`runcast serve
    --allow-any-command`; by ssh any); a single word that names one of its commands starts that, with its
    parameters as in `deploy -p target=staging`. Folders, files and variables are those of the server.
    """
    size = values["size"]
    options = given(values)
    if params:
        options["params"] = dict(params)
    chosen = _command(words, shell=options.get("shell", False))
    if stdin and options.get("tty") is True:
        stdin = False
        if not detach:
            if safe or size:
                refused = "--safe" if safe else "--size"
                raise click.UsageError(f"expected no {refused} with -it: the run has this terminal, as it is")
            return _type(where, chosen, options, parse_keys(detach_keys), quiet=quiet)
    if stdin and detach and os.isatty(0):
        raise click.UsageError("expected a file or a pipe as stdin with --detach, got a terminal")
    runs = where.open()
    forward = stdin and runs.forwards()
    hint = runs.hint if os.isatty(STDERR) and not quiet else None
    with Attendance(runs.option, safe=safe, hint=hint) as attendance:
        run = runs.start(chosen, stdin, options)
        if not quiet:
            _report_link(runs, run)
        if detach:
            print_line(run.id)
            runs.started(run)
            if forward:
                forward_stdin(run, wait=True)
            return _failure(run)
        if forward:
            forward_stdin(run)
        return attendance.stay(run)


def _type(where: Where, chosen: Command, options: StartOptions, keys: tuple[str, ...], *, quiet: bool) -> int:
    """Start a command and give it this terminal."""
    runs = where.open()
    env = _pagers() | dict(options.get("env") or {})
    del options["tty"]

    def begin(size: tuple[int, int]) -> AnyRun:
        at: StartOptions = {"tty": True, "columns": size[0], "rows": size[1], "env": env}
        run = runs.start(chosen, False, options, at)
        if not quiet:
            _report_link(runs, run)
        return run

    return at_terminal(runs, begin, keys)


def _pagers() -> dict[str, str]:
    """Return the pagers of this terminal: somebody is there to press a key."""
    usual = os.environ.get("PAGER", "less")
    own = {name: value for name, value in os.environ.items() if name.endswith("PAGER")}
    return {"PAGER": usual, "GIT_PAGER": usual, "MANPAGER": usual} | own


def _report_link(runs: Runs, run: AnyRun) -> None:
    if os.isatty(STDERR) and (link := runs.link(run)):  # a file would keep it for ever
        report(f"watch it at {link}")


def _failure(run: AnyRun) -> int:
    """Report a command that could not be started, and return the exit code."""
    outcome = run.outcome if run.pid is None else None
    if outcome is None or outcome.reason is not Reason.FAILED_TO_START:
        return exit_codes.OK
    report_outcome(run, outcome)
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

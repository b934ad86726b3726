"""The group of verbs, and what they share: the store, the help, the reporting of errors.

Owns the way from arguments to an exit code. A verb is the `command` of the module with its name;
it returns its exit code, None for 0.
"""

from __future__ import annotations

import contextlib
import os
import sys
from importlib import import_module

import click

from runcast import loggers
from runcast._version import __version__
from runcast.acting import acting_kind
from runcast.cli import exit_codes
from runcast.cli.terminal import STDOUT, OutputClosed, OutputFailed, keep_standard_fds, report
from runcast.cli.where import Where
from runcast.errors import RuncastError
from runcast.who import Kind

__all__ = ["VERBS", "app", "call"]

VERBS = (
    *("run", "attach", "serve", "ls", "log", "follow", "wait"),
    *("stop", "kill", "pin", "unpin", "share", "rm", "prune", "push", "token", "progress"),
    *("note", "artifacts", "doctor", "bridge", "mcp"),
)
HERE = ("serve", "token", "doctor", "bridge")  # for which no --server can stand in
WIDTH = 100  # of help, at most
_ELSEWHERE = {"ps": "ls", "list": "ls", "logs": "log", "tail": "follow", "watch": "follow", "start": "run"}
_ELSEWHERE |= {"exec": "run", "cancel": "stop", "delete": "rm", "remove": "rm"}  # as other programs call it


class _Verbs(click.Group):
    """Imports a verb when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"runcast.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in VERBS and not name.startswith("-"):
            meant = _meant(name)
            hint = f": did you mean `runcast {meant}`?" if meant else ""
            raise click.UsageError(f"expected a verb ({', '.join(VERBS)}), got {name!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Verbs,
    invoke_without_command=True,
    subcommand_metavar="VERB [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
)
@click.option(
    "--store",
    metavar="DIR|URL",
    help="Where the runs are: a folder; redis://HOST?store=FOLDER or postgresql://HOST/DB?store=FOLDER "
    "to share it with other hosts. "
    "[default: $RUNCAST_STORE, else the state folder]",
)
@click.option(
    "--server",
    metavar="URL",
    help="The runs of this server, http://… as `runcast serve` prints it, or of ssh://HOST/. "
    "[default: $RUNCAST_SERVER]",
)
@click.version_option(__version__, prog_name="runcast", message="%(prog)s %(version)s")
@click.pass_context
def app(ctx: click.Context, store: str | None, server: str | None) -> None:
    """Run anything, watch it live from anywhere.

    A run goes on when this terminal closes; its output is kept, and any number of people and
    programs can follow it, from its start or from anywhere in it.

    \b
    Examples:
      runcast run -- make -j4       start, watch, exit with its exit code
      runcast run --detach -- make  start, print the id
      runcast follow last           watch the newest run, from another terminal
      runcast ls                    what runs, what ran, and how it ended
      runcast run --server URL -- make  start on another machine, watch here

    ID is the id of a run, a part from its beginning or end that no other has, `last` for the
    newest in the list, or the name of a stream.
    """
    ctx.obj = Where(store, server)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(exit_codes.ERROR)


def call(arguments: list[str] | None) -> int:
    """Execute the arguments; return the exit code. Every expected error is reported in one line."""
    keep_standard_fds()
    loggers.listen("starting", report)
    loggers.listen("store", report)
    if "_RUNCAST_COMPLETE" in os.environ:
        app.main(prog_name="runcast")  # a shell asks for completions: click answers and exits
    try:
        with app.make_context("runcast", list(sys.argv[1:] if arguments is None else arguments)) as ctx:
            with acting_kind(Kind.COMMAND_LINE):
                code = app.invoke(ctx)
            return exit_codes.OK if code is None else int(code)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:  # a group without a verb, such as `runcast token`
        error.show()
        return exit_codes.ERROR
    except click.ClickException as error:
        report(_usage(error))
        return exit_codes.ERROR
    except RuncastError as error:
        report(str(error))
        return error.exit_code
    except OutputFailed as error:
        report(str(error))
        return exit_codes.ERROR
    except (KeyboardInterrupt, click.Abort):
        return exit_codes.INTERRUPTED
    except (OutputClosed, BrokenPipeError):
        with contextlib.suppress(OSError):  # else Python reports an error when it flushes at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
        return exit_codes.BROKEN_PIPE
    except OSError as error:  # such as files of a run that was removed meanwhile, or a failing disk
        report(f"cannot continue: {error}")
        return exit_codes.ERROR


def _meant(name: str) -> str | None:
    """Return the verb that was mistyped, or is called so elsewhere; None where none is near."""
    import difflib  # late: it costs a millisecond

    return _ELSEWHERE.get(name) or next(iter(difflib.get_close_matches(name, VERBS, 1, 0.7)), None)


def _usage(error: click.ClickException) -> str:
    """Return the fault of the arguments as one line that refers to the help."""
    message = " ".join(error.format_message().split()).rstrip(".")
    message = message[:1].lower() + message[1:]
    if isinstance(error, click.NoSuchOption) and error.option_name == "--token":
        message += ": the token is taken from RUNCAST_TOKEN, for others see a command line in `ps`"
    if isinstance(error, click.NoSuchOption) and (where := _before_the_verb(error)):
        message = where
    path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "runcast"
    return f"{message} (see `{path} --help`)"


def _before_the_verb(error: click.NoSuchOption) -> str | None:
    """Return the correct order where an option of the program follows a verb without such an option."""
    verb, name = error.ctx, error.option_name
    option = next((option for option in app.params if name in option.opts), None)
    if verb is None or verb.parent is None or option is None:
        return None
    value = f" {option.metavar}" if option.metavar else ""
    words = verb.command_path.partition(" ")[2]  # of a verb of a verb, both
    if name == "--server" and words.split()[0] in HERE:
        return f"expected no --server, `runcast {words}` is for the machine that it runs on: log in there"
    return f"expected {name} before the verb, got it behind: `runcast {name}{value} {words} …`"

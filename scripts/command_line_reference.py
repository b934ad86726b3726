"""Write docs/reference/command-line.md from the help of the verbs. Run it when the help has changed.

With `-` as its argument it prints the page instead. A test fails when the page is stale.
"""

import sys
from pathlib import Path

import click

from runcast.cli import exit_codes
from runcast.cli.app import VERBS, WIDTH, app
from runcast.errors import LineNotFound

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "command-line.md"

HEAD = """\
<!-- Made from the help of the verbs by scripts/command_line_reference.py: change the help, then run it. -->

# The command line

`runcast` and `python -m runcast` are the same. What it says itself goes to stderr, one line each,
behind `runcast:`; stdout has only the results, and the output of runs byte for byte.

"""

VALUES = """\
## Values

| Kind | Written as |
|---|---|
| ID | an id, four letters or more of its beginning or end that no other has, `last`, or a stream's name |
| DURATION | seconds, or numbers with units: `90`, `90s`, `250ms`, `5m`, `1h30m`, `2d`, `1w` |
| SIZE | bytes, or a number with a power of 1024: `4096`, `64M`, `1.5G`; `none` is no limit |
| TIME | an RFC 3339 time, local where it names no zone (`2026-01-31T12:00:00Z`), or a duration ago (`5m`) |
| OFFSET | decimal digits, zero-padded or not; `-1` is the start, `now` the end there is now |
| NAME\\|N | a signal: `TERM`, `SIGTERM`, `15` |

## Environment

| Variable | Is |
|---|---|
| `RUNCAST_STORE` | the store, where `--store` does not name one |
| `RUNCAST_SERVER` | the server, where no `--server` or `--store` is given; before `RUNCAST_STORE` |
| `RUNCAST_TOKEN` | the token of the server, where its address has none; of `serve`, its own |
| `RUNCAST_DETACH_KEYS` | the keys that detach a terminal, where `--detach-keys` does not name others |
| `RUNCAST_OOM_SCORE_ADJ` | how much sooner the OOM killer takes a command than us: 300, or `0` |
| `TRACEPARENT`, `TRACESTATE` | the trace that a run belongs to; its command gets the run's own step of it |
| `RUNCAST_RUN_ID` | set for every command that is run: the id of its run |

"""

EXIT_CODES = f"""\
## Exit codes

`run`, `wait` and `follow --exit-status` pass on how the run ended. Where they do, a code may be the
command's own as well as ours; stderr tells.

| Code | Means |
|---|---|
| {exit_codes.OK} | all is well |
| {LineNotFound.exit_code} | a run ended without the line of `wait --for` |
| {exit_codes.PROBLEM} | of `doctor`: something is wrong on this host |
| {exit_codes.ERROR} | invalid usage, or the operation failed: one line on stderr has the reason |
| {exit_codes.TIMED_OUT} | the timeout of `wait` passed, or a timeout ended the run, whatever its code was |
| 125 | the command could not be started for want of processes, descriptors, memory or disk space |
| 126, 127 | the command of the run, or of `push`, cannot be executed; was not found |
| {exit_codes.SIGNALED} + N | signal N ended the run, or us |
| {exit_codes.INTERRUPTED} | Ctrl-C |
| {exit_codes.BROKEN_PIPE} | the reader of the output is gone, as with `head` |
"""


def page() -> str:
    """Return the whole page."""
    root = click.Context(app, info_name="runcast")
    parts = [HEAD, _help("runcast", app, None)]
    for verb in VERBS:
        command = app.get_command(root, verb)
        assert command is not None
        parts.append(_help(verb, command, root))
        if isinstance(command, click.Group):
            group = click.Context(command, info_name=verb, parent=root)
            parts += [_help(name, one, group) for name, one in command.commands.items()]
    return "".join([*parts, VALUES, EXIT_CODES])


def _help(name: str, command: click.Command, parent: click.Context | None) -> str:
    settings = dict(app.context_settings) | dict(command.context_settings)
    settings |= {"terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    return f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["-"]:
        sys.stdout.write(page())
    else:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page(), encoding="utf-8")

"""`runcast log`: the present output, or those of its lines that match."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from runcast.cli import exit_codes
from runcast.cli.runs import find, key_option, place_options, report_outcome, the_place
from runcast.cli.terminal import TerminalOutput
from runcast.cli.where import Where, at_server
from runcast.model import Channel, Chunk, Reason
from runcast.search import Expression, Hit, Search

__all__ = ["command"]

_NO_MATCH = 1  # as grep(1)


@click.command("log", short_help="Print the present output.")
@click.argument("run_id", metavar="ID", required=False)
@key_option
@place_options
@click.option("--grep", "text", metavar="TEXT", help="Print only the lines that have this text.")
@click.option("--regex", is_flag=True, help="TEXT is a regular expression, as of Python.")
@click.option("-i", "--ignore-case", is_flag=True, help="The case of letters in TEXT counts nothing.")
@at_server
@click.pass_obj
def command(
    where: Where,
    /,
    run_id: str | None,
    key: str | None,
    channels: tuple[str, ...],
    safe: bool,
    text: str | None,
    regex: bool,
    ignore_case: bool,
    **options: object,
) -> int:
    """Print the present output of a run, and do not wait for more.

    Stdout of the command goes to stdout, and its stderr to stderr, byte for byte. Dropped output is
    reported on stderr, and why a command could not be started.

    With --grep, print the lines that have the text, whatever escape sequences are in them, and exit with 1
    if there are none.

    \b
    Examples:
      runcast log last
      runcast log --tail 20 --channel stderr last
      runcast log --since 5m --safe b7sqj
      runcast log --grep error -i last
    """
    if text is None and (regex or ignore_case):
        raise click.UsageError("expected --grep with --regex and --ignore-case, which say what its text is")
    expression = None if text is None else Expression(text, regex=regex, ignore_case=ignore_case)
    runs = where.open()
    run = find(runs, run_id, key)
    chunks: Iterable[Chunk] = runs.so_far(run, channels, the_place(run, options))
    shown = False
    with TerminalOutput(safe=safe, tty=run.tty) as output:
        for chunk in chunks if expression is None else _matching(chunks, expression):
            shown = shown or bool(chunk.data)
            output.show(chunk)
    outcome = run.outcome
    if (
        outcome is not None and outcome.reason is Reason.FAILED_TO_START
    ):  # there is no output that could say why
        report_outcome(run, outcome)
    return exit_codes.OK if shown or expression is None else _NO_MATCH


def _matching(chunks: Iterable[Chunk], expression: Expression) -> Iterator[Chunk]:
    """Yield the lines that match, each as a chunk that ends with a line feed, and gaps."""
    search = Search(expression, lambda offset: 0)  # their numbers are not shown
    for chunk in chunks:
        yield from map(_as_chunk, search.feed(chunk))
        if chunk.channel is Channel.GAP:
            yield chunk
    yield from map(_as_chunk, search.flush())


def _as_chunk(hit: Hit) -> Chunk:
    data = hit.data + b"\n"
    return Chunk(hit.offset, hit.offset + len(data), hit.channel, hit.time, data)

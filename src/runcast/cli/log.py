"""`runcast log`: the output there is now."""

from __future__ import annotations

import click

from runcast.cli.runs import find, place_options, the_place
from runcast.cli.terminal import Output
from runcast.model import CHUNK_BYTES, Channel
from runcast.readers import begin
from runcast.store import Store

__all__ = ["command"]


@click.command("log", short_help="Print the output there is now.")
@click.argument("run_id", metavar="ID")
@place_options
@click.pass_obj
def command(
    where: str | None, /, run_id: str, channels: tuple[str, ...], safe: bool, **asked: object
) -> None:
    """Print the output of a run that there is now, and do not wait for more.

    What the command wrote to stdout goes to stdout, what it wrote to stderr to stderr, byte for
    byte. Where some of it was dropped, that is told on stderr.

    \b
    Examples:
      runcast log last
      runcast log --tail 20 --channel stderr last
      runcast log --since 5m --safe b7sqj
    """
    log = find(Store.open(where), run_id).open_log()
    wanted = frozenset(map(Channel, channels)) or None
    place = the_place(log, asked)
    tail = log.tail_offset
    offset = begin(log, channels=wanted, **place)
    output = Output(safe=safe)
    while offset < tail:
        reading = log.read(offset, min(CHUNK_BYTES, tail - offset), wanted)
        for chunk in reading.chunks:
            output.show(chunk)
        offset = reading.next

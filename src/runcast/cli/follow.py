"""`runcast follow`: the output as it is produced, until the end."""

from __future__ import annotations

import click

from runcast.cli import exit_codes
from runcast.cli.runs import find, key_option, place_options, report_outcome, the_place
from runcast.cli.terminal import TerminalOutput, report
from runcast.cli.where import Where, at_server, is_url

__all__ = ["command"]


@click.command("follow", short_help="Print the output as it comes, until the end.")
@click.argument("run_id", metavar="ID", required=False)
@key_option
@place_options
@click.option("--exit-status", is_flag=True, help="Exit with the run's exit status; otherwise with 0.")
@at_server
@click.pass_obj
def command(
    where: Where,
    /,
    run_id: str | None,
    key: str | None,
    channels: tuple[str, ...],
    safe: bool,
    exit_status: bool,
    **options: object,
) -> int:
    """Print the output of a run, from its start, and continue as it is produced, until the end.

    Any number of readers can follow a run, and none slows it down. Ctrl-C ends the following, not the
    run. ID can also be the address of a stream, on any server that speaks the Durable Streams
    protocol, or of a run's page.

    \b
    Examples:
      runcast follow last
      runcast follow --tail 10 --exit-status b7sqj
      runcast follow --offset now last
      runcast follow --key 0f3a5c1e-task-id
      runcast follow http://laptop:8765/v1/stream/builds/42
    """
    if run_id is not None and key is None and is_url(run_id):
        return _follow_stream(run_id, channels, safe, exit_status, options)
    run = find(where.open(), run_id, key)
    place = the_place(run, options)
    with TerminalOutput(safe=safe, tty=run.tty) as output:
        for chunk in run.follow(channel=channels or None, **place):
            if chunk is not None:
                output.show(chunk)
    outcome = run.wait()
    report_outcome(run, outcome)
    return exit_codes.of_outcome(outcome) if exit_status else exit_codes.OK


def _follow_stream(
    url: str, channels: tuple[str, ...], safe: bool, exit_status: bool, options: dict[str, object]
) -> int:
    """Print a stream of any server."""
    from runcast.client.pull import pull_stream
    from runcast.client.remote_stream import RemoteStream
    from runcast.model import Channel, Chunk

    others = [name for name, value in options.items() if value is not None and name != "offset"]
    if others or channels or exit_status:
        raise click.UsageError("expected no options but --offset and --safe with the address of a stream")
    offset = options["offset"]
    with TerminalOutput(safe=safe) as output, RemoteStream(url, trouble=report) as stream:
        pull_stream(
            stream,
            lambda data: output.show(Chunk(0, 0, Channel.STDOUT, 0.0, data)),
            "-1" if offset is None else str(offset),
        )
    return exit_codes.OK

"""`runcast follow`: the output as it is produced, until the end."""

from __future__ import annotations

from dataclasses import replace

import click

from runcast.cli import exit_codes
from runcast.cli.runs import find, key_option, place_options, report_outcome, the_place
from runcast.cli.terminal import TerminalOutput, report
from runcast.cli.values import DURATION
from runcast.cli.where import Where, at_server, is_url
from runcast.errors import ServerUnreachable

__all__ = ["command"]


@click.command("follow", short_help="Print the output as it comes, until the end.")
@click.argument("run_id", metavar="ID", required=False)
@key_option
@place_options
@click.option("--exit-status", is_flag=True, help="Exit with the run's exit status; otherwise with 0.")
@click.option(
    "--patience",
    type=DURATION,
    metavar="DURATION",
    help="Give up after the server was unreachable for so long: 12h for a laptop that sleeps. "
    "[default: 60s; 10m with the address of a stream]",
)
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
    patience: float | None,
    **options: object,
) -> int:
    """Print the output of a run, from its start, and continue as it is produced, until the end.

    Any number of readers can follow a run, and none slows it down. Ctrl-C ends the following, not the
    run. ID can also be the address of a stream, on any server that speaks the Durable Streams
    protocol, or of a run's page. Where the server is gone for longer than --patience, the last line on
    stderr is the command that goes on where this one ended.

    \b
    Examples:
      runcast follow last
      runcast follow --tail 10 --exit-status b7sqj
      runcast follow --offset now last
      runcast follow --key 0f3a5c1e-task-id
      runcast follow --server ssh://laptop/ --patience 12h last
      runcast follow http://laptop:8765/v1/stream/builds/42
    """
    if run_id is not None and key is None and is_url(run_id):
        return _follow_stream(run_id, channels, safe, exit_status, patience, options)
    runs = replace(where, patience=patience).open()
    run = find(runs, run_id, key)
    place = the_place(run, options)
    read_to: int | None = None
    try:
        with TerminalOutput(safe=safe, tty=run.tty) as output:
            for chunk in run.follow(channel=channels or None, **place):
                if chunk is not None:
                    output.show(chunk)
                    read_to = chunk.next
        outcome = run.wait()
    except ServerUnreachable as error:
        rest = "".join(f"--channel {channel} " for channel in channels)
        rest += "" if read_to is None else f"--offset {read_to} "
        report(f"{error}; `runcast {runs.option}follow {rest}{run.id}` continues from here")
        return error.exit_code
    report_outcome(run, outcome)
    return exit_codes.of_outcome(outcome) if exit_status else exit_codes.OK


def _follow_stream(
    url: str,
    channels: tuple[str, ...],
    safe: bool,
    exit_status: bool,
    patience: float | None,
    options: dict[str, object],
) -> int:
    """Print a stream of any server."""
    from runcast.client.pull import pull_stream
    from runcast.client.remote_stream import REMOTE_PATIENCE, RemoteStream
    from runcast.model import Channel, Chunk

    others = [name for name, value in options.items() if value is not None and name != "offset"]
    if others or channels or exit_status:
        raise click.UsageError(
            "expected no options but --offset, --safe and --patience with the address of a stream"
        )
    offset = options["offset"]
    with (
        TerminalOutput(safe=safe) as output,
        RemoteStream(url, patience=patience or REMOTE_PATIENCE, trouble=report) as stream,
    ):
        pull_stream(
            stream,
            lambda data: output.show(Chunk(0, 0, Channel.STDOUT, 0.0, data)),
            "-1" if offset is None else str(offset),
        )
    return exit_codes.OK

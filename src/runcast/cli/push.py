"""`runcast push`: send output to a stream on a server, as it is produced."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator

import click

from runcast.cli import exit_codes
from runcast.cli.terminal import STDOUT, OutputClosed, report, write_all
from runcast.cli.values import DURATION
from runcast.cli.where import is_url
from runcast.errors import RuncastError, UsageError
from runcast.ids import new_run_id
from runcast.model import CHUNK_BYTES
from runcast.own_thread import begin

__all__ = ["command", "stream_url"]

_PATH = "/v1/stream/"


@click.command(
    "push",
    short_help="Send output to a stream on a server, as it is produced.",
    context_settings={"allow_interspersed_args": False},  # what follows CMD is CMD's
)
@click.argument("url", metavar="URL")
@click.argument("words", metavar="[--] [CMD [ARGS]...]", nargs=-1, type=click.UNPROCESSED)
@click.option("--tee", is_flag=True, help="Print it here as well.")
@click.option("--keep-open", is_flag=True, help="Do not close the stream at the end.")
@click.option(
    "--content-type",
    default="text/plain",
    metavar="TYPE",
    help="The type of a stream that is created. [default: text/plain]",
)
@click.option(
    "--patience",
    type=DURATION,
    metavar="DURATION",
    help="Give up after the server was unreachable for so long. [default: 10m]",
)
def command(
    url: str,
    words: tuple[str, ...],
    tee: bool,
    keep_open: bool,
    content_type: str,
    patience: float | None,
) -> int:
    """Send stdin, or the output of CMD, to a stream on a server as it is produced, and close it at the end.

    Works with any server that speaks the Durable Streams protocol. Nothing is lost or duplicated if it
    restarts, or if the network fails for a while: up to 1 MiB is buffered, then the writer waits. With
    the address of a server, or of its list of runs (…/runs), a new stream is created there. With CMD,
    stderr is sent together with stdout, and the exit code is that of CMD. The server's token is read
    from $RUNCAST_TOKEN, since other users can see a command line in `ps`.

    \b
    Examples:
      export RUNCAST_TOKEN=…                 the text behind ?token= in the server's first line
      make 2>&1 | runcast push http://laptop:8765/
      make 2>&1 | runcast push ssh://laptop/
      runcast push --tee http://laptop:8765/v1/stream/builds/42 -- make -j4
    """
    if not is_url(url):  # before what speaks HTTP is loaded
        raise UsageError(
            "expected the address of a stream, such as http://127.0.0.1:8765/v1/stream/NAME, "
            f"got {url.partition('?')[0][:200]!r}"
        )
    if words and words[0].startswith("-") and words[0] != "--":
        raise UsageError(
            f"expected options before the address, got {words[0]!r} behind: `runcast push {words[0]} … URL`"
        )
    from runcast.client.push import Backlog, Pusher
    from runcast.client.remote_stream import REMOTE_PATIENCE, RemoteStream

    words = words[1:] if words[:1] == ("--",) else words
    with (
        RemoteStream(stream_url(url), patience=patience or REMOTE_PATIENCE, trouble=report) as stream,
        _source(words) as (fd, process),
    ):
        pusher = Pusher(stream, content_type)
        backlog = Backlog()
        ending = os.pipe()  # which no child inherits
        reader = threading.Thread(target=_read, args=(fd, ending[0], backlog, tee), name="input", daemon=True)
        try:
            pusher.create()
            report(f"watch it at {pusher.page}")
            with _interrupted(ending[1]):
                begin(reader)
                pusher.run(backlog, close=not keep_open)
        except RuncastError:
            backlog.end()
            if process is not None:
                process.terminate()
            report(f"{pusher.sent} bytes arrived, the rest did not")
            raise
        return exit_codes.OK if process is None else _code(process)


def stream_url(url: str) -> str:
    """Return the address of a stream; for a server or its list of runs, that of a new stream there."""
    head, mark, query = url.partition("?")
    scheme, _, rest = head.partition("://")
    host, _, path = rest.strip("/").partition("/")
    if path and path != "runs" and not path.endswith("/runs"):
        return url
    mounted = "".join(f"/{part}" for part in path.split("/")[:-1])  # in an application, below a path
    return f"{scheme}://{host}{mounted}{_PATH}pushed/{new_run_id()}{mark}{query}"


@contextlib.contextmanager
def _source(words: tuple[str, ...]) -> Iterator[tuple[int, subprocess.Popen[bytes] | None]]:
    """Yield the descriptor to read from, stdin or a command's output, and the command's process."""
    if not words:
        yield 0, None
        return
    try:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
    except OSError as error:
        failed = RuncastError(f"cannot start {shlex.join(words)[:200]}: {(error.strerror or '').lower()}")
        missing = isinstance(error, FileNotFoundError)
        failed.exit_code = exit_codes.NOT_FOUND if missing else exit_codes.NOT_EXECUTABLE
        raise failed from None
    with process:
        assert process.stdout is not None
        yield process.stdout.fileno(), process


def _code(process: subprocess.Popen[bytes]) -> int:
    code = process.wait()
    return code if code >= 0 else exit_codes.SIGNALED - code


def _read(fd: int, ending: int, backlog: object, tee: bool) -> None:
    """Read until the end, or until `ending` is readable; block while the backlog is full."""
    from runcast.client.push import Backlog

    assert isinstance(backlog, Backlog)
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    poller.register(ending, select.POLLIN)
    try:
        while all(ready != ending for ready, _ in poller.poll()):
            data = os.read(fd, CHUNK_BYTES)
            if not data:
                break
            if tee:
                with contextlib.suppress(OutputClosed):
                    write_all(STDOUT, data)
            backlog.put(data)
    finally:
        backlog.end()


@contextlib.contextmanager
def _interrupted(ending: int) -> Iterator[None]:
    """Make Ctrl-C end the reading, not the sending: everything read still arrives."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: os.write(ending, b"!") and None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

"""Any server as a peer: start it on its cores, wait until it answers, end it by its own process group."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping

from bench.row import Skipped

__all__ = ["free_port", "running"]

_START_SECONDS = 15.0
_END_SECONDS = 3.0


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    argv: list[str],
    port: int,
    *,
    cores: Collection[int] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for as long as the block lasts.

    Args:
        argv: the server; its first item is looked for on PATH.
        port: where it will listen, on 127.0.0.1.
        cores: the cores it may use.
        env: variables on top of this process's.
        cwd: its folder.

    Raises:
        Skipped: it is not installed.
        RuntimeError: it ended, or did not listen in time; with what it said.
    """
    with tempfile.TemporaryFile() as said:
        before = os.sched_getaffinity(0)
        try:
            if cores is not None:
                os.sched_setaffinity(0, cores)
            server = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise Skipped(f"expected {argv[0]} on PATH, it is not installed") from None
        finally:
            os.sched_setaffinity(0, before)
        try:
            if not _listens(server, port):
                said.seek(0)
                raise RuntimeError(f"{argv[0]} did not listen at port {port}: {said.read()[-2000:].decode()}")
            yield server
        finally:
            _end(server)


def _listens(server: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return True
        time.sleep(0.02)
    return False


def _end(server: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_END_SECONDS)
            return

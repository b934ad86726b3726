"""`runcast serve` on hosts that share their runs."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

from runcast.client import Client
from runcast.store.token import kept_token
from tests.helpers.link_hosts import PATIENCE, Host
from tests.helpers.ports import free_port
from tests.helpers.wait import wait_until

__all__ = ["serve"]


@contextlib.contextmanager
def serve(host: Host, token: str | None = None) -> Iterator[Client]:
    """Give a client of `runcast serve` on a host, which has this token or else its own."""
    port = free_port()
    command = [sys.executable, "-m", "runcast", "--store", host.store.path, "serve", "--port", str(port)]
    environment = os.environ | ({} if token is None else {"RUNCAST_TOKEN": token})
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:

        def answers() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return True
            return False

        wait_until(answers, PATIENCE, "a server")
        with Client(f"http://127.0.0.1:{port}", token or kept_token(host.store.path)) as client:
            yield client
    finally:
        process.terminate()
        process.wait()

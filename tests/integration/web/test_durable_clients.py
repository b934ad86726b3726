"""The official clients of Durable Streams follow a live run to its end, through a restart of the server."""

import subprocess
import sys
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import LONG, Server
from tests.helpers.wait import MS, wait_until

pytestmark = pytest.mark.slow

NODE = Path(__file__).parents[2] / "conformance"
FIRST = bytes(range(256)) * 600
SECOND = FIRST[::-1] + b"last words"
# Told to go on by a file; what it writes is no text.
SOURCE = """
import os, sys, time
write = sys.stdout.buffer.write
write(bytes(range(256)) * 600)
sys.stdout.buffer.flush()
while not os.path.exists("go"):
    time.sleep(0.01)
write((bytes(range(256)) * 600)[::-1] + b"last words")
"""
# This client knows nothing of closed streams, and leaves it to us to come back.
PYTHON = """
import sys, time
import httpx
from durable_streams import DurableStreamError, stream
url, live, size = sys.argv[1:]
offset = "-1"
while True:
    try:
        with stream(url, offset=offset, live=live) as response:
            for event in response.iter_events(mode="bytes"):
                sys.stdout.buffer.write(event.data)
                sys.stdout.buffer.flush()
                offset = event.next_offset
                while int(offset) == int(size):  # all is there; the end may come a moment later
                    if httpx.head(url).headers.get("stream-closed") == "true":
                        sys.exit()
    except (httpx.HTTPError, DurableStreamError):
        time.sleep(0.05)
"""
CLIENTS = {
    "typescript-long-poll": ["node", str(NODE / "follow.mjs"), "{url}", "long-poll"],
    "typescript-sse": ["node", str(NODE / "follow.mjs"), "{url}", "sse"],
    "python-long-poll": [sys.executable, "-c", PYTHON, "{url}", "long-poll", str(len(FIRST + SECOND))],
}


@pytest.mark.parametrize("client", CLIENTS)
def test_live_run_through_a_restart(server: Server, store: Store, tmp_path: Path, client: str) -> None:
    """Every byte of a run arrives once, in order, though the server is killed in between; then it ends."""
    assert (NODE / "node_modules").is_dir(), "expected the official client: run `make conformance` once"
    run = store.start([sys.executable, "-c", SOURCE], cwd=tmp_path)
    url = f"{server.root}/v1/stream/runs/{run.id}"
    command = [part.format(url=url) if part == "{url}" else part for part in CLIENTS[client]]
    got = tmp_path / "got"
    with got.open("wb") as out, subprocess.Popen(command, stdout=out) as process:
        try:
            wait_until(lambda: got.stat().st_size == len(FIRST), timeout=LONG, what="the first half")
            server.kill()
            server.start()
            (tmp_path / "go").touch()
            code = process.wait(60000 * MS)
        finally:
            process.kill()

    assert code == 0
    assert got.read_bytes() == FIRST + SECOND

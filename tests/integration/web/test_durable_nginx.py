"""Behind nginx that caches replies: of all readers that wait at one offset, one request reaches runcast."""

import http.client
import re
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.peers.nginx import nginx, requests, streams
from bench.peers.server import running
from runcast import Store
from runcast.durable import FileStreams
from runcast.wire.durable import Appending, Creation
from tests.helpers.servers import LONG, Server, free_port
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow

READERS = 12
MESSAGES = 4
APP = """
    from runcast import Store
    from runcast.web.asgi import RunsASGI
    app = RunsASGI(Store.open())
    app.durable.public = True
"""


@pytest.fixture
def port(store: Store, tmp_path: Path) -> Iterator[int]:
    """Serve the test's store behind nginx, and give the port to ask at."""
    with Server(tmp_path, "uvicorn", APP) as server:
        chosen = free_port()
        with running(nginx(tmp_path, streams(tmp_path, chosen, server.port)), chosen):
            yield chosen


class Reader(threading.Thread):
    """Reads a stream to its end by long-poll, as clients do, and keeps what it got."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
        self.data = b""

    def run(self) -> None:
        query, closed = "offset=-1", False
        while not closed:
            self._connection.request("GET", f"/v1/stream/s?{query}")
            response = self._connection.getresponse()
            assert response.status in (200, 204), response.status
            self.data += response.read()
            closed = response.getheader("stream-closed") == "true"
            offset, cursor = (response.getheader(f"stream-{name}") for name in ("next-offset", "cursor"))
            query = f"cursor={cursor}&live=long-poll&offset={offset}"
        self._connection.close()


def test_one_asks_for_all(port: int, store: Store, tmp_path: Path) -> None:
    """However many read, an offset is requested about once; every reader gets every byte."""
    streams = FileStreams(store.path)
    stream, _ = streams.create("s", Creation("text/plain"))
    readers = [Reader(port) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    expected = b""
    for number in range(MESSAGES):
        message = f"message {number}\n".encode()
        expected += message
        stream.append(Appending("text/plain", close=number == MESSAGES - 1), message)
        wait_until(lambda: all(reader.data == expected for reader in readers), timeout=LONG)  # noqa: B023
    for reader in readers:
        reader.join(LONG)

    live = [line for line in requests(tmp_path) if "live=long-poll" in line]
    reached = Counter(
        re.search(r"offset=(\d+)", line)[1]  # type: ignore[index]
        for line in live
        if not line.startswith("- ")
    )
    assert len(live) >= READERS * (MESSAGES - 1)
    assert max(reached.values()) <= 3, reached

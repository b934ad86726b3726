"""Behind nginx that keeps replies: of all who wait at one offset, one asks runcast."""

import http.client
import os
import re
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Store
from runcast.durable import FileStreams
from runcast.wire.durable import Appending, Creation
from tests.helpers.servers import LONG, Server, free_port
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow

READERS = 12
MESSAGES = 4
OURS = Path(__file__).parents[3] / "examples" / "nginx-streams.conf"
FRAME = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1; {user}
events {{ worker_connections 256; }}
http {{
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  log_format upstreams '$upstream_addr $request_uri';
  access_log {folder}/requests.log upstreams;
  {ours}
}}
"""
APP = """
    from runcast import Store
    from runcast.web.asgi import RunsASGI
    app = RunsASGI(Store.open())
    app.durable.public = True
"""


@pytest.fixture
def port(store: Store, tmp_path: Path) -> Iterator[int]:
    """Serve the test's store behind nginx, and give the port to ask at."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert nginx, "expected nginx, which `make test` installs as root: apt-get install nginx-light"
    with Server(tmp_path, "uvicorn", APP) as server:
        chosen = free_port()
        ours = OURS.read_text().replace("/var/cache/nginx/streams", f"{tmp_path}/cache")
        ours = ours.replace("127.0.0.1:8765", f"127.0.0.1:{server.port}")
        ours = ours.replace("listen 8080", f"listen 127.0.0.1:{chosen}")
        user = "user root;" if os.geteuid() == 0 else ""
        config = tmp_path / "nginx.conf"
        config.write_text(FRAME.format(folder=tmp_path, user=user, ours=ours))
        with subprocess.Popen([nginx, "-c", str(config)], stderr=subprocess.DEVNULL) as process:
            try:
                wait_until(lambda: answers(chosen), what="an answer through nginx")
                yield chosen
            finally:
                process.terminate()


def answers(port: int) -> bool:
    """Return whether a request gets through."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
    try:
        connection.request("GET", "/v1/stream/none")
        return connection.getresponse().status == 404
    except OSError:
        return False
    finally:
        connection.close()


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
    """However many read, an offset is asked for about once; everybody gets every byte."""
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

    asked = (tmp_path / "requests.log").read_text().splitlines()
    live = [line for line in asked if "live=long-poll" in line]
    reached = Counter(
        re.search(r"offset=(\d+)", line)[1]  # type: ignore[index]
        for line in live
        if not line.startswith("- ")
    )
    assert len(live) >= READERS * (MESSAGES - 1)
    assert max(reached.values()) <= 3, reached

"""A server that is told to end ends its long-polls and its streams of events, and says how to go on."""

import signal
import subprocess
from urllib.parse import urlsplit

from runcast import Store
from runcast.durable import FileStreams
from runcast.wire.durable import Creation
from tests.helpers.cli import LONG, cli_begun
from tests.helpers.servers import Server
from tests.helpers.wait import wait_until


def test_waiting_readers(store: Store) -> None:
    """Whoever waits gets an answer with which it can come back."""
    FileStreams(store.path).create("s", Creation("text/plain"), b"x")
    with cli_begun("serve", "--no-auth", "--port", "0", stderr=subprocess.DEVNULL) as serving:
        assert serving.stdout is not None
        server = Server.__new__(Server)
        server.port = urlsplit(serving.stdout.readline().decode()).port or 0
        with server.connect() as polling, server.stream("/v1/stream/s?offset=now&live=sse") as events:
            polling.request("GET", "/v1/stream/s?offset=now&live=long-poll")
            seen = events.read1()
            assert b"streamNextOffset" in seen
            told = b'runcast_viewers{format="poll"} 1'
            wait_until(lambda: told in server.ask("GET", "/metrics")[2], timeout=LONG, what="both readers")
            serving.send_signal(signal.SIGTERM)
            reply = polling.getresponse()
            assert (reply.status, reply.getheader("stream-next-offset")) == (204, "0" * 19 + "1")
            assert events.read() == b""
        assert serving.wait(LONG) == 0

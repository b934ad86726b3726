"""At shutdown a server ends its long-polls and event streams with the offset at which to go on."""

import contextlib
import re
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
            fields = [b'runcast_durable_readers{live="%s"} 1' % live for live in (b"long-poll", b"sse")]
            wait_until(
                lambda: all(one in server.ask("GET", "/metrics")[2] for one in fields),
                timeout=LONG,
                what="both readers",
            )
            serving.send_signal(signal.SIGTERM)
            reply = polling.getresponse()
            assert (reply.status, reply.getheader("stream-next-offset")) == (204, "0" * 19 + "1")
            assert events.read() == b""
        assert serving.wait(LONG) == 0


def test_viewers_by_format(store: Store) -> None:
    """The metrics count viewers by the names of `?format=`, and none that has left."""
    run = store.start(["sleep", "60"])
    forms = ["text", "sse", "sse-json", "ndjson", "asciicast"]
    with cli_begun("serve", "--no-auth", "--port", "0", stderr=subprocess.DEVNULL) as serving:
        assert serving.stdout is not None
        server = Server.__new__(Server)
        server.port = urlsplit(serving.stdout.readline().decode()).port or 0

        def seen() -> dict[str, int]:
            text = server.ask("GET", "/metrics")[2].decode()
            return {
                name: int(count)
                for name, count in re.findall(r'runcast_viewers{format="(.+?)"} (\d+)', text)
                if count != "0"
            }

        with contextlib.ExitStack() as stack:
            for form in forms:
                stack.enter_context(server.stream(f"/runs/{run.id}/log?format={form}"))
            wait_until(lambda: seen() == dict.fromkeys(forms, 1), timeout=LONG, what="all viewers")
        wait_until(lambda: seen() == {}, timeout=LONG, what="no viewer")
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(LONG) == 0

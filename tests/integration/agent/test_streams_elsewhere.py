"""Streams that clients append to, in a store that is shared: one host has each, and the others say which."""

import contextlib
import json
from pathlib import Path

import pytest

from runcast.durable import FileStreams
from runcast.errors import StreamElsewhere, StreamNotFound
from runcast.wire.durable import Creation
from tests.helpers.engines import Server
from tests.helpers.link_hosts import PATIENCE, Host, linked_hosts
from tests.helpers.ports import free_ports
from tests.helpers.servers import ASGI
from tests.helpers.servers import Server as Web
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow

TEXT = Creation(content_type="text/plain")


def test_stream_elsewhere(tmp_path: Path, two: list[Host]):
    """A server of another host refuses all that is done to a stream, and names the host that has it."""
    with contextlib.ExitStack() as stack:
        servers = []
        for host in two:
            folder = tmp_path / f"server-{host.name}"
            folder.mkdir()
            servers.append(stack.enter_context(Web(folder, "uvicorn", ASGI, store=host.store)))
        for here, there in (servers, servers[::-1]):
            name = servers[0] is here
            path, url = f"/v1/stream/s{name:d}", {"Content_Type": "text/plain", "X_Runcast": "1"}
            assert here.ask("PUT", path, b"", **url)[0] == 201
            assert here.ask("POST", path, b"words\n", **url)[0] == 204
            for method, body in (("POST", b"more\n"), ("PUT", b""), ("DELETE", None), ("GET", None)):
                status, headers, reply = there.ask(method, path, body, **url)
                assert (method, status, headers["content-type"]) == (method, 421, "application/problem+json")
                problem = json.loads(reply)
                assert (problem["error"], problem["host"]) == ("StreamElsewhere", "a" if name else "b")
                assert problem["title"] == "Misdirected Request"
            assert there.ask("HEAD", path, **url)[0] == 421
            assert here.ask("GET", path)[2] == b"words\n"
            assert there.ask("GET", "/v1/stream/none")[0] == 404
            assert here.ask("DELETE", path, **url)[0] == 204
            wait_until(lambda there=there, path=path: there.ask("GET", path)[0] == 404, PATIENCE)  # type: ignore[misc]
            assert there.ask("PUT", path, b"", **url)[0] == 201
            assert here.ask("GET", path)[0] == 421
            assert there.ask("DELETE", path, **url)[0] == 204


def test_made_before_the_link(tmp_path: Path, engine: Server):
    """Names of streams that were made before the link was up are claimed when it is."""
    with linked_hosts(tmp_path, f"redis://127.0.0.1:{free_ports(1)[0]}/0", "late:", "ab") as (a, b):
        for host in (a, b):
            host.begin()
        mine = FileStreams(a.store.path)
        mine.create("s", TEXT, b"words\n")
        for host in (a, b):
            host.settings._replace(url=engine.url).write(host.store.path)
        others = FileStreams(b.store.path)

        def elsewhere() -> str | None:
            try:
                others.get("s")
            except StreamElsewhere as error:
                return error.host
            except StreamNotFound:
                return None
            return None

        assert wait_until(elsewhere, PATIENCE, "the name") == "a"
        with pytest.raises(StreamElsewhere):
            others.create("s", TEXT)
        assert mine.get("s").settings.name == "s"
        for streams in (mine, others):
            streams.close()

"""Viewers that are ahead of all that a host knows of another host's run: what each form answers, and when."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from runcast import Run
from runcast.errors import MirrorBehind
from runcast.readers import drive
from runcast.web.live.long_poll import PollStream
from runcast.wire import Query
from tests.helpers.cli import cli
from tests.helpers.engines import Server as EngineServer
from tests.helpers.hopping import Hopper
from tests.helpers.link_hosts import PATIENCE, Host, linked_hosts
from tests.helpers.servers import ASGI, LONG, Server
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow

AHEAD = f"{1000:020}"
FORMS = [
    (f"/runs/{{id}}/log?offset={AHEAD}", {}),
    (f"/runs/{{id}}/log?format=text&follow=0&offset={AHEAD}", {}),
    (f"/runs/{{id}}/log?format=sse&offset={AHEAD}", {}),
    (f"/runs/{{id}}/log?format=ndjson&offset={AHEAD}", {}),
    (f"/runs/{{id}}/log?format=json&wait=20&offset={AHEAD}", {}),
    (f"/runs/{{id}}/log?format=asciicast&offset={AHEAD}", {}),
    ("/runs/{id}/log?format=ndjson", {"Last-Event-ID": f"{{id}}:{AHEAD}"}),
    (f"/v1/stream/runs/{{id}}?offset={AHEAD}", {}),
    (f"/v1/stream/runs/{{id}}?offset={AHEAD}&live=long-poll", {}),
    (f"/v1/stream/runs/{{id}}?offset={AHEAD}&live=sse", {}),
]


@pytest.fixture(name="hosts", scope="module")
def hosts_fixture(
    engine: EngineServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Run, Run, Host, Server]]:
    """Give a run with one line, on its own host and on another one, which has a server, and that server."""
    folder, place = tmp_path_factory.mktemp("hosts"), tmp_path_factory.mktemp("server")
    with (
        linked_hosts(folder, engine.url, "ahead:") as (a, b),
        Server(place, "uvicorn", ASGI, store=b.store) as it,
    ):
        run = a.store.start(["cat"], stdin="pipe")
        mirror = b.get(run)
        run.send(b"one\n")
        assert next(iter(mirror.lines())) == "one"
        yield run, mirror, b, it
        run.kill()
        wait_until(lambda: mirror.outcome, PATIENCE)


def refused(server: Server, run: Run, form: tuple[str, dict[str, str]]) -> tuple[int, str | None, bytes]:
    """Return the status of a reply, when to try again, and its body."""
    path, fields = form
    named = {name: value.format(id=run.id) for name, value in fields.items()}
    status, headers, body = server.ask("GET", path.format(id=run.id), **named)
    return status, headers.get("retry-after"), body


def refused_socket(server: Server, run: Run) -> tuple[int, str | None, bytes]:
    """Return the same of a WebSocket, whose handshake is refused."""
    with pytest.raises(InvalidStatus) as caught:
        connect(f"ws{server.root[4:]}/runs/{run.id}/log?offset={AHEAD}", open_timeout=LONG)
    response = caught.value.response
    return response.status_code, response.headers["Retry-After"], response.body or b""


def poll_by_key(run: Run) -> dict[str, Any]:
    """Return the reply to a poll that goes on where another host has noted its place."""
    stream = PollStream(run, Query(), 1000, "/poll?key=1", keyed=True)
    return json.loads(b"".join(drive(stream.steps())))


def test_each_form(hosts: tuple[Run, Run, Host, Server]):
    """Each form is refused alike, and so are readers of files; a poll by key has nothing yet."""
    run, mirror, b, server = hosts
    words = f"expected an offset up to 4, got 1000: run {run.id} is on another host"
    with ThreadPoolExecutor(len(FORMS) + 5) as threads:
        replies = [threads.submit(refused, server, run, form) for form in FORMS]
        replies.append(threads.submit(refused_socket, server, run))
        commands = [
            threads.submit(cli, "--store", b.store.path, command, run.id, "--offset", "1000")
            for command in ("log", "follow")
        ]
        keyed = threads.submit(poll_by_key, mirror)
        with pytest.raises(MirrorBehind, match=words):
            next(iter(mirror.follow(offset=1000)))

    for reply in replies:
        status, again, body = reply.result()
        problem = json.loads(body)
        assert (status, again, problem["error"]) == (503, "2", "MirrorBehind")
        assert (problem["offset"], problem["tail"]) == (AHEAD, f"{4:020}")
        assert words in problem["detail"]
    for command in commands:
        assert (command.result().code, command.result().out) == (2, b"")
        assert words in command.result().err

    assert (keyed.result()["chunks"], keyed.result()["next"]) == ([], AHEAD)


def test_event_source_comes_back(hosts: tuple[Run, Run, Host, Server]):
    """An event stream that resumes ends and comes again, as an EventSource does only after a 200."""
    run, _, _, server = hosts
    fields = {"Accept": "text/event-stream", "Last-Event-ID": f"{run.id}:{8:020}"}

    status, headers, body = server.ask("GET", f"/runs/{run.id}/log", **fields)

    assert (status, headers["content-type"]) == (200, "text/event-stream")
    assert headers["cache-control"] == "no-store, no-transform"
    assert body == b'retry: 500\nevent: restart\ndata: {"retry":500}\n\n'
    run.send(b"two\nthree\n")
    viewer = Hopper([server], run.id)
    viewer.offset = f"{8:020}"
    viewer.hop()
    assert viewer.text == ["three\n"]

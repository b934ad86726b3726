"""Viewers of bytes that are not on this disk, under real servers: the same replies, once they are brought."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from websockets.sync.client import connect

from runcast.log.segments import segment_starts
from runcast.model import Channel
from tests.helpers.away import Agent, make_run, take
from tests.helpers.cli import cli
from tests.helpers.servers import LONG, WSGI, Server
from tests.helpers.wait import wait_until
from tests.integration.web.mounted import mounted_code

pytestmark = pytest.mark.slow

APPENDS = [(Channel.STDERR if n % 5 == 0 else Channel.STDOUT, b"line %4d of many\n" % n) for n in range(200)]
TEXT = b"".join(data for _, data in APPENDS)
KINDS = ("uvicorn", "gunicorn", "gunicorn-gevent")
Headers = dict[str, str]
REQUESTS: list[tuple[str, Headers]] = [
    ("/runs/{id}/log", {}),
    ("/runs/{id}/log?follow=0&end=1", {}),
    ("/runs/{id}/log?channel=stderr", {}),
    ("/runs/{id}/log?tail=3", {}),
    ("/runs/{id}/log?tail=3&channel=stderr", {}),
    ("/runs/{id}/log?line=101&format=text", {}),
    ("/runs/{id}/log?offset=1001&format=sse", {}),
    ("/runs/{id}/log?since=0&format=ndjson", {}),
    ("/runs/{id}/log?until=line++150", {}),
    ("/runs/{id}/log?until=line+.150&regex=1", {}),
    ("/runs/{id}/log", {"Range": "bytes=500-900"}),
    ("/runs/{id}/log", {"Range": "bytes=-100"}),
    ("/runs/{id}/log", {"Accept": "text/event-stream"}),
    ("/runs/{id}/log?format=json&wait=50", {}),
    ("/runs/{id}/log?format=json&offset=1001&wait=50", {}),
    ("/runs/{id}/log?format=asciicast&line=50", {}),
    ("/runs/{id}/search?q=line++.9&regex=1", {}),
    ("/runs/-/search?q=150", {}),
    ("/runs/{id}", {}),
    ("/v1/stream/runs/{id}", {}),
    ("/v1/stream/runs/{id}?offset=00000000000000001001", {}),
    ("/v1/stream/runs/{id}?offset=00000000000000001001&live=long-poll", {}),
    ("/v1/stream/runs/{id}?offset=00000000000000003590&live=sse", {}),
]


@pytest.fixture(name="shelf")
def shelf_fixture(tmp_path: Path) -> Path:
    """Where the bytes go that are taken away."""
    return tmp_path / "shelf"


@pytest.fixture(name="run")
def run_fixture(own_store: Path) -> str:
    """A run that has ended, in segments of 512 bytes."""
    own_store.mkdir(mode=0o700)
    (own_store / "store.json").write_text('{"format": 1}')
    return make_run(own_store, APPENDS, 512)


@pytest.fixture(name="server", params=KINDS)
def server_fixture(
    request: pytest.FixtureRequest,
    serving: Callable[[str, Path], Server],
    own_store: Path,
    run: str,
    tmp_path: Path,
) -> Iterator[Server]:
    """Serve the test's store."""
    if request.param != "gunicorn-gevent":
        yield serving(request.param, own_store)
        return
    with Server(tmp_path, request.param, WSGI) as server:
        yield server


def told(server: Server, path: str, headers: Headers) -> tuple[int, bytes, str | None]:
    """Return what a reply says, but what differs each time."""
    status, fields, body = server.ask("GET", path, **headers)
    return status, re.sub(rb'"streamCursor":"\d+"|"disk_bytes":\d+', b"", body), fields.get("content-range")


def test_every_reply(server: Server, run: str, own_store: Path, shelf: Path):
    """Each form from each place is as if all bytes were here, and the run's JSON needs none of them."""
    urls = [(path.format(id=Path(run).name), headers) for path, headers in REQUESTS]
    if "uvicorn" not in str(server.folder):  # servers with threads have one way to wait for all forms
        urls = urls[::3] + urls[10:12]
    expected = [told(server, *request) for request in urls]
    assert {status for status, _, _ in expected} <= {200, 206}
    assert expected[0][1] == TEXT
    with Agent(own_store, shelf) as agent:
        for request, before in zip(urls, expected, strict=True):
            assert take(run, shelf) == segment_starts(f"{run}/log")
            agent.forget()
            whole = told(server, *request)
            if "/v1/stream" in request[0] and "sse" not in request[0]:  # it ends where something is away
                while len(whole[1]) < len(before[1]):
                    start = len(TEXT) - len(before[1]) + len(whole[1])
                    more = told(server, f"/v1/stream/runs/{Path(run).name}?offset={start:020d}", {})
                    whole = (whole[0], whole[1] + more[1], whole[2])
            assert (request, whole) == (request, before)
            assert bool(agent.asked) == (request[0] != f"/runs/{Path(run).name}"), request


def test_django_under_asgi(run: str, own_store: Path, shelf: Path, tmp_path: Path):
    """Django's event loop waits for what is away, also in what is else a view for threads."""
    with Server(tmp_path, "uvicorn", mounted_code("django-asgi")) as server, Agent(own_store, shelf):
        for path, headers in (REQUESTS[0], REQUESTS[3], REQUESTS[10], REQUESTS[19]):
            take(run, shelf)
            status, body, _ = told(server, "/casts" + path.format(id=Path(run).name), headers)
            assert (path, status) == (path, 206 if headers else 200)
            assert body
            assert body in TEXT


def test_tail_brings_little(server: Server, run: str, own_store: Path, shelf: Path):
    """A tail and a range of a log that is all away bring two segments at most."""
    take(run, shelf)
    with Agent(own_store, shelf) as agent:
        for path, headers in (("log?tail=3", {}), ("log", {"Range": "bytes=600-700"})):
            agent.forget()
            assert told(server, f"/runs/{Path(run).name}/{path}", headers)[0] in (200, 206)
            assert 1 <= len(set(agent.asked)) <= 2


def test_nobody_brings_it(server: Server, run: str, shelf: Path):
    """Without an agent each reply is a problem that says what is not here and when to try again."""
    take(run, shelf)
    urls = [path.format(id=Path(run).name) for path in ("/runs/{id}/log", "/v1/stream/runs/{id}")]
    with ThreadPoolExecutor() as threads:
        replies = list(threads.map(partial(server.ask, "GET"), urls))

    for status, headers, body in replies:
        problem = json.loads(body)
        assert (status, headers["retry-after"], problem["error"]) == (503, "2", "SegmentAway")
        assert (problem["offset"], problem["next"]) == ("00000000000000000000", "00000000000000000512")
        assert "see that the store's agent runs, then read again" in problem["detail"]


def test_agent_comes_late(server: Server, run: str, own_store: Path, shelf: Path):
    """Viewers that wait are served by an agent that comes later, and by the one after it."""
    away = take(run, shelf, lambda start: start == 0)
    path = f"/runs/{Path(run).name}/log?format=text"
    first, second = Agent(own_store, shelf, slow=0.05).prepare(), Agent(own_store, shelf).prepare()
    with ThreadPoolExecutor() as threads:
        replies = [threads.submit(server.ask, "GET", path) for _ in range(4)]
        with first:
            wait_until(lambda: first.asked, what="the first request")
        with second:
            bodies = [reply.result(LONG)[2] for reply in replies]

    assert bodies == [TEXT] * 4
    assert {start for _, start in first.asked} == set(away)


def test_websocket(serving: Callable[[str, Path], Server], run: str, own_store: Path, shelf: Path):
    """A WebSocket begins at a line that is away, and goes on through what is."""
    server = serving("uvicorn", own_store)
    take(run, shelf)
    url = f"{server.root.replace('http', 'ws')}/runs/{Path(run).name}/log?line=101"
    with Agent(own_store, shelf), connect(url, open_timeout=LONG) as socket:
        events = [json.loads(message) for message in socket]

    texts = [chunk["text"] for event in events for chunk in event.get("chunks", [])]
    assert "".join(texts).encode() == TEXT[len(TEXT) // 2 :]


def test_command_line(run: str, own_store: Path, shelf: Path):
    """`runcast log` and `follow` wait for what is away, and say so where nobody brings it."""
    name = Path(run).name
    for words, expected in (
        (["log", name], TEXT),
        (["log", "--tail", "2", "--grep", "199", name], TEXT[-18:]),
        (["follow", "--line", "199", name], TEXT[-36:]),
    ):
        take(run, shelf)
        with Agent(own_store, shelf):
            done = cli("--store", own_store, *words)
        output = done.out + done.err.encode()  # its stdout and stderr are apart, as the run's
        assert (words, done.code, sorted(output.splitlines())) == (words, 0, sorted(expected.splitlines()))
    take(run, shelf)
    done = cli("--store", own_store, "log", name)

    assert done.code == 2
    assert "see that the store's agent runs, then read again" in done.err
    assert done.out == b""

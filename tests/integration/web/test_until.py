"""`?until=` of runs that go on, at real servers: the reply ends when the line comes."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest

from runcast import Run, Store
from tests.helpers.servers import ASGI, LONG, WSGI, Server
from tests.helpers.sockets import connected
from tests.helpers.wait import wait_until
from tests.unit.wire.eventsource import EventSource

pytestmark = pytest.mark.slow

# Says a line, and when the file `go` is there a prompt and no more.
ASKS = "echo begun; echo ready 1 >&2; until [ -e go ]; do sleep 0.02; done; printf 'Go on? '; exec sleep 1000"


@pytest.fixture(params=["uvicorn", "gunicorn"])
def server(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> Iterator[Server]:
    """Serve a store."""
    code = ASGI if request.param == "uvicorn" else WSGI
    with Server(tmp_path, request.param, code) as running:
        yield running


@pytest.fixture
def run(store: Store, tmp_path: Path) -> Iterator[Run]:
    """Start a run that says a line, and asks when `go` is made."""
    started = store.start(["sh", "-c", ASKS], cwd=tmp_path)
    yield started
    started.kill()


def path(run: Run, **parameters: object) -> str:
    return f"/runs/{run.id}/log?{urlencode(parameters)}"


@pytest.mark.parametrize("given", [{"until": "ready"}, {"until": "y 1$", "regex": 1}], ids=["text", "regex"])
def test_line_of_a_run_that_goes_on(server: Server, run: Run, given: dict[str, object]):
    """The reply ends with the line, whether it waits for it or it was there before."""
    for _ in range(2):
        text = server.ask("GET", path(run, **given))[2]
        assert text.endswith(b"ready 1\n")
        events = EventSource().read(server.ask("GET", path(run, **given, format="sse"))[2])
        assert (events[-2].data, events[-1].type) == ("ready 1", "until")
        again = {"Last-Event-ID": events[-1].id, "Accept": "text/event-stream"}
        assert server.ask("GET", path(run), **again)[0] == 204
        found = json.loads(server.ask("GET", path(run, **given, format="ndjson"))[2].splitlines()[-1])
        assert (found["event"], found["found"], found["text"]) == ("until", True, "ready 1")
        offset, until = "0", None
        while until is None:
            reply = json.loads(server.ask("GET", path(run, **given, format="json", offset=offset))[2])
            offset, until = reply["next"], reply.get("until")
        assert (until["text"], until["channel"], reply["next_url"]) == ("ready 1", "stderr", None)


@pytest.mark.parametrize("given", [{"until": "Go on?"}, {"until": "^Go", "regex": 1}], ids=["text", "regex"])
@pytest.mark.parametrize("form", ["text", "sse", "json"])
def test_prompt(server: Server, run: Run, tmp_path: Path, given: dict[str, object], form: str):
    """A prompt counts when it rests, without the end of its line."""
    wait_until(lambda: run.tail_offset == len("begun\nready 1\n"), LONG)
    (tmp_path / "go").touch()
    wait_until(lambda: run.tail_offset == len("begun\nready 1\nGo on? "), LONG)

    body = server.ask("GET", path(run, **given, format=form, tail=1))[2]

    assert b"Go on? " in body
    assert form != "text" or body == b"Go on? "


def test_end_without_the_line(server: Server, store: Store):
    """A run that ends without the line says so, while it is waited for."""
    run = store.start(["sh", "-c", "echo one; exit 3"])

    assert server.ask("GET", path(run, until="two", end=1))[2].splitlines() == [
        b"one",
        b"[runcast: the end, without the line that was waited for]",
        b"[runcast: exit code 3]",
    ]


def test_expression_runs_away(server: Server, store: Store):
    """An expression that runs away is given up, and holds nobody else up."""
    run = store.start(["sh", "-c", "head -c 60 /dev/zero | tr '\\0' a; echo; exec sleep 1000"])
    wait_until(lambda: run.tail_offset == 61, LONG)
    try:
        with connected(server.port) as client:
            ask = path(run, until="(a*)*c", regex=1)
            client.sendall(f"GET {ask} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
            wait_until(lambda: len(searching(server)) == 1, LONG)
            assert server.ask("GET", "/runs")[0] == 200
        body = server.ask("GET", path(run, until="(a*)*c", regex=1))[2]
        assert body.endswith(b"[runcast: the expression that was waited for took too long]\n")
        wait_until(lambda: not searching(server), LONG)
    finally:
        run.kill()


def test_client_leaves(server: Server, run: Run):
    """The process of a regular expression ends when its client has left."""
    with connected(server.port) as client:
        ask = path(run, until="never", regex=1)
        client.sendall(f"GET {ask} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        wait_until(lambda: len(searching(server)) == 1, LONG)
    wait_until(lambda: not searching(server), LONG)


def searching(server: Server) -> list[int]:
    """Return the processes that search for a server now."""
    assert server.process is not None
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"runcast.search.process" in command and os.getsid(pid) == server.process.pid:
                found.append(pid)
    return found

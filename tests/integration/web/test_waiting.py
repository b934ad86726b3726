"""What a run may be waiting for, on every wire that has states."""

import contextlib
import json
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from runcast import Run, Store
from runcast.client import Client
from runcast.errors import RunFinished
from runcast.model import Waiting
from tests.helpers.servers import ASGI, LONG, Server
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow
ASKS = "printf 'Go on? '; read answer; echo $answer; exec cat"
NONE = {"for": "input", "question": ""}
QUESTION = {"for": "input", "question": "Go on?"}


@pytest.fixture
def run(store: Store) -> Iterator[Run]:
    """Start a run that asks, and reads on until it is killed."""
    run = store.start(ASKS, shell=True, stdin="pipe")
    yield run
    with contextlib.suppress(RunFinished):
        run.kill()


def lines(response: HTTPResponse) -> Iterator[dict[str, Any]]:
    """Yield the JSON values of NDJSON, or of the named events of a stream, with the name in `event`."""
    name = ""
    while line := response.readline():
        if line.startswith(b"event: "):
            name = line[7:].decode().strip()
        elif line.startswith(b"data: ") and name in ("run", "state", "runs", "changes"):
            yield {"event": name} | json.loads(line[6:])
        elif line.startswith(b"{"):
            yield json.loads(line)
        if not line.strip():
            name = ""


def changes(messages: Iterator[dict[str, Any]], run: Run) -> list[object]:
    """Return what the run waits for, as it changes: at first, then until an answer was given."""
    seen: list[object] = []
    for message in messages:
        for one in message.get("runs", [message]):
            if one.get("id") == run.id and (not seen or one["waiting"] != seen[-1]):
                seen.append(one["waiting"])
                if one["waiting"] == QUESTION:
                    run.send("yes\n")
        if seen[-1] == NONE:
            return seen
    raise AssertionError(f"the reply ended after {seen}")


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/runs/{}/log", "application/x-ndjson"),
        ("/runs/{}/log", "text/event-stream"),
        ("/runs/{}/log?format=sse-json", "text/event-stream"),
        ("/runs", "text/event-stream"),
    ],
)
def test_events(server: Server, run: Run, path: str, accept: str) -> None:
    """Streams of a log and of the list have an event for each change."""
    with server.stream(path.format(run.id), Accept=accept) as response:
        seen = changes(lines(response), run)

    assert [one for one in seen if one is not None] == [QUESTION, NONE]


def test_websocket(store: Store, tmp_path: Path, run: Run) -> None:
    """So has a WebSocket."""
    with Server(tmp_path, "uvicorn", ASGI) as server, contextlib.ExitStack() as stack:
        url = f"{server.root.replace('http', 'ws')}/runs/{run.id}/log"
        socket = stack.enter_context(connect(url, close_timeout=0))

        seen = changes(map(json.loads, socket), run)

    assert [one for one in seen if one is not None] == [QUESTION, NONE]


def test_poll(server: Server, run: Run) -> None:
    """A poll that waits replies when it changes, though there is no output."""
    offset = wait_until(lambda: run.tail_offset, LONG, "the question")
    while True:
        reply = json.loads(
            server.ask("GET", f"/runs/{run.id}/log?format=json&wait=50&offset={offset}", Accept="*/*")[2]
        )
        if reply["waiting"] is not None:
            break

    assert (reply["waiting"], reply["chunks"], reply["state"]) == (QUESTION, [], "running")


def test_client(server: Server, run: Run) -> None:
    """A run of a server has it, in its list and when it is followed, and has it no more at its end."""
    wait_until(lambda: run.waiting, LONG, "that it waits")
    with Client(server.root) as client:
        there = next(client.list(1))
        assert there.waiting == Waiting("input", "Go on?")
        there.kill()
        there.wait()
        assert there.waiting is None

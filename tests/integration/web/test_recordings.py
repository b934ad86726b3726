"""Recordings over HTTP and WebSocket: as files that asciinema plays, and live."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from runcast import Run, Store
from tests.helpers.servers import LONG, Server
from tests.helpers.wait import wait_until
from tests.unit.wire.eventsource import EventSource

pytestmark = pytest.mark.slow
ASCIINEMA = Path(sys.executable).with_name("asciinema")
# Says one line, and the rest when the file `go` is there.
TWO_STEPS = "echo one; while [ ! -e go ]; do sleep 0.02; done; printf 'caf\\xc3\\xa9 \\xff'; exit 3"


@pytest.fixture(name="run")
def run_fixture(store: Store, tmp_path: Path) -> Run:
    """Start a run that stops half way until `go` is made in the test's folder."""
    run = store.start(["bash", "-c", TWO_STEPS], cwd=tmp_path, name="steps")
    wait_until(lambda: run.tail_offset == 4, what="the first line")
    return run


@pytest.fixture(name="sockets", params=["uvicorn", "hypercorn", "daphne", "gunicorn-asgi"])
def sockets_fixture(
    request: pytest.FixtureRequest, serving: Callable[[str, Path], Server], store: Store, own_store: Path
) -> Server:
    """Serve the test's store with a server that has WebSockets."""
    return serving(request.param, own_store)


def asciinema(folder: Path, verb: str, cast: bytes) -> bytes:
    """Return what asciinema shows of a recording."""
    path = folder / "run.cast"
    path.write_bytes(cast)
    process = subprocess.run(
        [ASCIINEMA, verb, path],
        env=os.environ | {"HOME": str(folder)},  # where it would leave an id of its own
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LONG,
    )
    assert (process.returncode, process.stderr) == (0, b"")
    return process.stdout


def watched(server: Server, path: str) -> ClientConnection:
    """Connect as asciinema-player does."""
    url = server.root.replace("http", "ws") + path
    return connect(url, subprotocols=["v1.alis", "v2.asciicast", "raw"], open_timeout=LONG)  # type: ignore[list-item]


@pytest.mark.parametrize("verb", ["cat", "play"])
def test_file(server: Server, run: Run, tmp_path: Path, verb: str) -> None:
    """asciinema shows a run from a file, to its end; bytes that are no text, too."""
    (tmp_path / "go").touch()
    run.wait()

    cast = server.ask("GET", f"/runs/{run.id}/log", Accept="application/x-asciicast")[2]

    assert asciinema(tmp_path, verb, cast) == "one\r\ncafé \ufffd".encode()


@pytest.mark.parametrize("query", ["", "&tail=1", "&offset=now", "&channel=stderr"])
def test_file_of_a_running_run(server: Server, run: Run, tmp_path: Path, query: str) -> None:
    """A recording of the present plays, even one without output."""
    cast = server.ask("GET", f"/runs/{run.id}/log?format=asciicast&follow=0{query}")[2]

    shown = b"" if query in ("&offset=now", "&channel=stderr") else b"one\r\n"
    assert asciinema(tmp_path, "play", cast) == shown


def test_time_zero(server: Server, run: Run, tmp_path: Path) -> None:
    """Time zero is the place where a recording begins: none begins with the silence before it."""
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() - begun > 0.3)  # output within 0.1 s is one event
    (tmp_path / "go").touch()
    run.wait()
    path = f"/runs/{run.id}/log?format=asciicast"

    whole, last, end = (
        [json.loads(line) for line in server.ask("GET", path + query)[2].splitlines()]
        for query in ("", "&offset=4", "&offset=now&idle_time_limit=0.5")
    )

    assert [event[1:] for event in last[1:]] == [["o", ""], *(event[1:] for event in whole[3:])]
    assert last[2][0] == pytest.approx(0, abs=1e-5)
    assert whole[3][0] > 0.3
    assert last[0]["timestamp"] - run.created_at == pytest.approx(whole[3][0], abs=1)
    assert end[1:] == [[0.0, "o", ""], [0.0, "m", "exit code 3"]]
    assert end[0]["idle_time_limit"] == 0.5


def test_idle_time_limit_of_zero(server: Server, run: Run) -> None:
    """A limit of no time is refused by name, before the first byte."""
    status, _, body = server.ask("GET", f"/runs/{run.id}/log?format=asciicast&idle_time_limit=0")

    assert (status, json.loads(body)["detail"]) == (
        400,
        "expected idle_time_limit to be more than 0 seconds, got 0",
    )


def test_websocket(sockets: Server, run: Run, tmp_path: Path) -> None:
    """A client that offers recordings gets the header, then one event a message, while the run goes on."""
    with watched(sockets, f"/runs/{run.id}/log") as socket:
        assert socket.subprotocol == "v2.asciicast"
        header, first, one = (json.loads(socket.recv(LONG)) for _ in range(3))
        assert (header["version"], header["title"]) == (2, "steps")
        assert (first, one[1:]) == ([0.0, "o", ""], ["o", "one\r\n"])
        socket.send('{"stop": {"grace": 0}}')  # is passed over
        socket.send("nonsense")
        (tmp_path / "go").touch()
        rest = [json.loads(message) for message in socket]

    assert [event[1:] for event in rest] == [["o", "café \ufffd"], ["m", "exit code 3"], ["x", "3"]]
    assert (socket.close_code, rest[-1][0]) == (1000, rest[-2][0])


def test_websocket_leaves(sockets: Server, run: Run, tmp_path: Path) -> None:
    """A client that leaves at the end, before the server closes, is no error."""
    (tmp_path / "go").touch()
    with watched(sockets, f"/runs/{run.id}/log") as socket:
        while '"x"' not in str(socket.recv(LONG)):
            pass

    assert sockets.ask("GET", f"/runs/{run.id}")[0] == 200


def test_plain_websocket(sockets: Server, run: Run) -> None:
    """Without that offer nothing changes: no subprotocol is chosen, and messages are JSON objects."""
    with connect(sockets.root.replace("http", "ws") + f"/runs/{run.id}/log") as socket:
        assert socket.subprotocol is None
        assert json.loads(socket.recv(LONG))["event"] == "run"


def test_event_source(server: Server, run: Run, tmp_path: Path) -> None:
    """An EventSource that is cut off goes on without a header, at the same time zero."""
    path, source = f"/runs/{run.id}/log?format=asciicast&tail=1", EventSource()
    with server.stream(path, Accept="text/event-stream") as response:
        assert response.getheader("Content-Type") == "text/event-stream"
        seen = b""
        while b"one" not in seen or not seen.endswith(b"\n\n"):
            seen += response.read1()
    header, _, one = (json.loads(event.data) for event in source.read(seen))
    (tmp_path / "go").touch()
    run.wait()

    rest = server.ask("GET", path, Accept="text/event-stream", Last_Event_ID=source.last_event_id)[2]

    *events, done = source.read(rest)
    said = [json.loads(event.data) for event in events]
    assert header["version"] == 2
    assert one[1:] == ["o", "one\r\n"]
    assert [event[1:] for event in said] == [["o", "café \ufffd"], ["m", "exit code 3"], ["x", "3"]]
    assert one[0] <= said[0][0] <= said[-1][0]
    assert done.type == "done"
    headers = {"Accept": "text/event-stream", "Last_Event_ID": done.id}
    assert server.ask("GET", path, **headers)[0] == 204

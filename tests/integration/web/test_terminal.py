"""A run's terminal over the web: typed into and resized; each viewer sees each size in its place."""

import json
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from runcast import Store
from runcast.client import Client
from runcast.errors import UsageError
from tests.helpers.servers import ASGI, LONG, WSGI, Server

pytestmark = pytest.mark.slow

SIZES = ["sh", "-c", "stty -echo; for n in 1 2 3; do stty size; read line; done"]
SAID = [*("20 90", [100, 30], "30 100", [111, 33], "33 111")]


def in_order(objects: list[dict[str, Any]]) -> list[object]:
    """Return the lines and the sizes in the order in which they came."""
    found: list[object] = []
    for one in objects:
        if "resize" in one:
            found.append(one["resize"])
        for chunk in one.get("chunks", [one]):
            found += chunk.get("text", "").split()  # which ends no line in the middle
    joined = iter(found)
    return [f"{one} {next(joined)}" if isinstance(one, str) else one for one in joined]


@pytest.mark.parametrize(("kind", "code"), [("uvicorn", ASGI), ("gunicorn", WSGI)])
def test_client(store: Store, tmp_path: Path, kind: str, code: str):
    """A client starts a terminal, types and resizes; NDJSON and polls have each size before its output."""
    with Server(tmp_path, kind, code) as server, Client(server.root) as client:
        run = client.start(SIZES, tty=True, columns=90, rows=20)
        lines = run.lines()
        assert next(lines) == "20 90"
        run.resize(100, 30)
        run.send("\n")
        assert next(lines) == "30 100"
        run.resize(111, 33)
        run.send("\n")
        assert next(lines) == "33 111"
        run.send("", eof=True)
        assert run.wait(timeout=LONG).code == 1  # of a `read` that found the end

        assert (run.tty, run.size and run.size[1:3]) == (True, (111, 33))
        text = server.ask("GET", f"/runs/{run.id}/log?format=ndjson")[2]
        head, *objects = map(json.loads, text.splitlines())
        assert (head["columns"], head["rows"]) == (90, 20)
        assert in_order(objects) == SAID
        poll = json.loads(server.ask("GET", f"/runs/{run.id}/log?format=json")[2])
        assert [one["resize"] for one in poll["resizes"]] == [[100, 30], [111, 33]]


def test_websocket(store: Store, tmp_path: Path):
    """Who types over a WebSocket resizes over it, and sees the size at once, also without any output."""
    with Server(tmp_path, "uvicorn", ASGI) as server:
        run = store.start(SIZES, tty=True, columns=90, rows=20)
        with connect(f"{server.root}/runs/{run.id}/log".replace("http", "ws")) as socket:

            def until(wanted: str) -> list[dict[str, Any]]:
                got: list[dict[str, Any]] = []
                while not got or wanted not in json.dumps(got):
                    got.append(json.loads(socket.recv(LONG)))
                return got

            got = until("20 90")
            socket.send('{"resize": [100, 30]}')
            got += until("[100, 30]")  # the program says nothing
            socket.send('{"stdin": "\\n"}')
            got += until("30 100")
            socket.send('{"resize": [111, 33]}')
            socket.send('{"stdin": "\\n"}')
            got += until("33 111")
            socket.send('{"resize": [0, 33]}')
            assert "expected resize to be [columns, rows]" in until("error")[-1]["detail"]
            socket.send('{"eof": true}')
            got += until('"exit"')
    assert in_order(got) == SAID


def test_refused(store: Store, tmp_path: Path):
    """What a terminal cannot do is said over the web as it is here."""
    with Server(tmp_path, "uvicorn", ASGI) as server, Client(server.root) as client:
        pipes = client.start(["sleep", "600"], stdin="pipe")
        with pytest.raises(UsageError, match="expected a run with a terminal"):
            pipes.resize(80, 24)
        status, _, text = server.ask(
            "POST",
            f"/runs/{pipes.id}/resize",
            b'{"columns": 80, "rows": 24}',
            Content_Type="application/json",
        )
        assert (status, json.loads(text)["error"]) == (400, "UsageError")
        run = client.start(["cat"], tty=True)
        with pytest.raises(UsageError, match="expected lines of up to 4095 bytes"):
            run.send("x" * 5000)
        with pytest.raises(UsageError, match="expected no input with tty=True"):
            client.start(["cat"], tty=True, input="x")
        for given in ({"tty": "stderr"}, {"tty": True, "rows": 10**6}, {"columns": 0}, {"columns": 81}):
            body = json.dumps({"command": ["cat"], **given}).encode()
            assert server.ask("POST", "/runs", body, Content_Type="application/json")[0] == 400, given
        pipes.kill()
        run.kill()

"""Each server with each framework that runs there: every form is live, whole, and ends when it must.

Liveness is shown by the order of things: the command goes on only when its first line was seen.
"""

import asyncio
import contextlib
import http.client
import json
import signal
import subprocess
from pathlib import Path

import pytest

from runcast import Store
from runcast.client import AsyncClient, Client
from runcast.doctor.caller import Caller
from tests.helpers.servers import LONG, Server
from tests.helpers.wait import MS, wait_until
from tests.integration.web.frameworks import app_code
from tests.unit.wire.eventsource import EventSource

# How hypercorn ends depends on Python, and so does the newest Django.
pytestmark = [pytest.mark.slow, pytest.mark.pythons]

SERVES = [
    ("gunicorn-sync", "flask"),
    ("gunicorn", "flask"),
    ("gunicorn", "django-wsgi"),
    ("gunicorn", "cherrypy"),
    ("gunicorn-gevent", "flask"),
    ("gunicorn-gevent", "bottle"),
    ("gunicorn-asgi", "django-asgi"),
    ("gunicorn-asgi", "starlette"),
    ("uvicorn", "fastapi"),
    ("uvicorn", "django-asgi"),
    ("uvicorn", "asgi"),
    ("hypercorn", "starlette"),
    ("daphne", "starlette"),
    ("waitress", "flask"),
    ("waitress", "bottle"),
    ("cheroot", "wsgi"),
    ("cheroot", "django-wsgi"),
    ("itself", "cherrypy"),
    ("werkzeug", "flask"),
    ("runserver", "django-wsgi"),
    ("itself", "bottle"),  # wsgiref
    ("itself", "aiohttp"),
]
# Servers that let replies end when they are told to end; others cut them off.
PATIENT = {
    *("gunicorn-sync", "gunicorn", "gunicorn-gevent", "gunicorn-asgi", "uvicorn", "hypercorn"),
    *("cherrypy", "aiohttp"),
}
# Which send the head of a silent text with its first bytes; other forms begin with some.
HOLDS_HEAD = {
    *("gunicorn-asgi", "bottle"),  # Bottle looks for a part that is not empty
    ("itself", "cherrypy"),
    ("cheroot", "django-wsgi"),  # these two need a call of `write`, which a view cannot make
}
ALONE = {("gunicorn-sync", "flask"), ("itself", "bottle")}  # one viewer at a time
# What cannot hold for a server is told once, with the cure.
TOLD = {
    ("gunicorn-sync", "flask"): "use threads or greenlets",
    ("daphne", "starlette"): "serve by uvicorn",
    ("runserver", "django-wsgi"): "sends no chunks",
    ("itself", "bottle"): "sends no chunks",
}
EVENTS = "text/event-stream"
HAS_SOCKETS = {"starlette", "fastapi", "asgi", "aiohttp"}
SIZES = (
    0,
    1,
    511,
    512,
    513,
    8191,
    8192,
    65535,
    65536,
    65537,
)  # around the blocks in which servers and clients buffer
NUMBERS = "".join(f"{number}\n" for number in range(1, 20001))


@pytest.mark.parametrize(("name", "framework"), SERVES, ids=lambda value: value)
def test_server(name: str, framework: str, store: Store, tmp_path: Path) -> None:
    """All forms are live and whole, a vanished client is let go, and SIGTERM ends it all in time."""
    with Server(tmp_path, name, app_code(framework, tmp_path)) as server:
        text = whole(server, tmp_path, "text/plain")
        assert sorted(text.split()) == [b"one", b"three", b"two"]

        events = EventSource().read(whole(server, tmp_path, EVENTS))
        output = [event.data for event in events if event.type == "message"]
        assert sorted(output) == ["one", "three", "two"]
        assert (events[0].type, events[-1].type) == ("run", "exit")
        assert json.loads(events[-1].data)["outcome"]["code"] == 3

        chunks = [json.loads(line) for line in whole(server, tmp_path, "application/x-ndjson").splitlines()]
        parts = [chunk for chunk in chunks if "channel" in chunk]
        assert sorted("".join(part["text"] for part in parts).split()) == ["one", "three", "two"]
        assert {part["channel"] for part in parts} == {"stdout", "stderr"}
        assert b'"code":3' in json.dumps(chunks[-1], separators=(",", ":")).encode()

        polled = poll(server, tmp_path)
        assert sorted(polled["text"].split()) == ["one", "three", "two"]
        assert polled["outcome"]["code"] == 3

        check_sizes(server, store, tmp_path, sockets=framework in HAS_SOCKETS)

        vanish(server, head=not {name, framework, (name, framework)} & HOLDS_HEAD)

        with contextlib.ExitStack() as opened:
            response = opened.enter_context(server.stream("/stream", Accept=EVENTS))
            seen = first_line(response)
            if (name, framework) not in ALONE:
                plain = opened.enter_context(server.stream("/stream", Accept="text/plain"))
                first_line(plain)
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            if {name, framework} & PATIENT:
                assert b"event: restart" in seen + response.read()
            if {name, framework} & PATIENT and (name, framework) not in ALONE:
                with pytest.raises(http.client.IncompleteRead):  # not to be taken for the end
                    plain.read()
            server.process.wait(10000 * MS)
        assert next(store.list()).outcome is None  # the newest: it waits for its go-ahead
    log = (tmp_path / "server.log").read_text()
    for (told_name, told_framework), words in TOLD.items():
        fields = (told_name, told_framework) == (name, framework) or words == TOLD.get((name, framework))
        assert log.count(words) == (1 if fields else 0), log
    assert "runcast/web/" not in log  # no traceback of ours


def test_serve_sizes(store: Store, tmp_path: Path) -> None:
    """`runcast serve`, which hands connections over, sends outputs of all sizes whole, too."""
    with Server(tmp_path, "serve", "", store=store) as server:
        check_sizes(server, store, tmp_path, sockets=True)


def sized_outputs(store: Store) -> dict[str, str]:
    """Return the outputs of runs by their ids; no part is in one twice, so that none can be for another."""
    outputs = {}
    for size in SIZES:
        run = store.start(["sh", "-c", f"seq 20000 | head -c {size}"])
        run.wait()
        outputs[run.id] = NUMBERS[:size]
    return outputs


def check_sizes(server: Server, store: Store, folder: Path, *, sockets: bool) -> None:
    """Read outputs of all sizes by every client, to the byte."""
    outputs = sized_outputs(store)
    check_forms(server, outputs)
    check_curl(server, outputs, folder)
    check_clients(server, outputs)
    if sockets:
        check_sockets(server, outputs)


def check_forms(server: Server, outputs: dict[str, str]) -> None:
    """Read outputs as text and as events."""
    for run_id, output in outputs.items():
        status, _, body = server.ask("GET", f"/runs/{run_id}/log", Accept="text/plain")
        assert (status, body.decode()) == (200, output)
        events = EventSource().read(server.ask("GET", f"/runs/{run_id}/log", Accept=EVENTS)[2])
        assert [event.data for event in events if event.type == "message"] == output.splitlines()
        assert events[-1].type == "exit"


def check_curl(server: Server, outputs: dict[str, str], folder: Path) -> None:
    """Read all outputs by one curl, which uses a connection again where the server lets it."""
    command = ["curl", "-sS", "--fail"]
    for run_id in outputs:
        command += [f"{server.root}/runs/{run_id}/log", "-o", str(folder / run_id)]
    subprocess.run(command, check=True, timeout=30000 * MS)
    assert {run_id: (folder / run_id).read_text() for run_id in outputs} == outputs


def check_clients(server: Server, outputs: dict[str, str]) -> None:
    """Read outputs by the blocking and by the asynchronous client."""

    async def read() -> dict[str, str]:
        async with AsyncClient(server.root) as client:
            return {run_id: await (await client.get(run_id)).output() for run_id in outputs}

    with Client(server.root) as client:
        assert {run_id: client.get(run_id).output() for run_id in outputs} == outputs
    assert asyncio.run(read()) == outputs


def check_sockets(server: Server, outputs: dict[str, str]) -> None:
    """Read outputs by WebSockets, by a client that keeps what it has when the connection is reset.

    daphne resets a second after its close frame where no reply came; the blocking client of websockets then
    drops what it has received: findings/websockets-client-loses-the-end.sh.
    """
    for run_id, output in outputs.items():
        with Caller(server.root, None, LONG).websocket(f"/runs/{run_id}/log") as (status, messages):
            assert status == 101
            said = [json.loads(message) for message in messages]
        chunks = [chunk for message in said for chunk in message.get("chunks", [])]
        assert "".join(chunk["text"] for chunk in chunks) == output
        assert said[-1]["outcome"]["ok"]


def first_line(response: http.client.HTTPResponse) -> bytes:
    """Return what came up to the first line of the command."""
    seen = b""
    while b"one" not in seen:
        data = response.read1()
        assert data, f"the reply ended early: {seen!r}"
        seen += data
    return seen


def go_on(response: http.client.HTTPResponse, folder: Path) -> str:
    """Give the run of a reply its go-ahead; return the path of its log."""
    path = response.getheader("Content-Location")
    assert path is not None
    (folder / f"go-{path.split('/')[-2]}").touch()
    return path


def whole(server: Server, folder: Path, accept: str) -> bytes:
    """Return a reply to its end; the run goes on only when its first line was seen."""
    with server.stream("/stream", Accept=accept) as response:
        assert response.status == 200
        assert response.getheader("Content-Type", "").startswith(accept)
        seen = first_line(response)
        assert b"three" not in seen
        go_on(response, folder)
        return seen + response.read()


def poll(server: Server, folder: Path) -> dict[str, object]:
    """Return all text and the outcome, as a client gets them who polls."""
    with server.stream("/stream", Accept="application/json") as response:
        answer = json.loads(response.read())
        text = "".join(chunk["text"] for chunk in answer["chunks"])
        while "one" not in text:
            path = f"{response.getheader('Content-Location')}?offset={answer['next']}"
            answer = json.loads(server.ask("GET", path, Accept="application/json")[2])
            text += "".join(chunk["text"] for chunk in answer["chunks"])
        path = go_on(response, folder)
    while not answer["closed"]:
        joint = "&" if "?" in path else "?"
        again = f"{path}{joint}offset={answer['next']}"
        answer = json.loads(server.ask("GET", again, Accept="application/json")[2])
        text += "".join(chunk["text"] for chunk in answer["chunks"])
    return {"text": text, "outcome": answer["outcome"]}


def vanish(server: Server, path: str = "/silent", *, head: bool = False) -> None:
    """Leave a silent reply, and see the server close its side, too: then nothing of it waits there.

    Args:
        server: what serves.
        path: of the reply.
        head: that of the reply must come before.
    """
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", path, headers={"Accept": "text/plain"})
    held = connection.sock  # which the connection itself forgets where the reply ends with it
    port = held.getsockname()[1]
    wait_until(lambda: state_of(server.port, port), what="a connection")
    if head:
        held.settimeout(15000 * MS)
        response = connection.getresponse()
        assert response.status == 200
        response.close()
    held.close()
    wait_until(lambda: state_of(server.port, port) == "", timeout=30000 * MS, what="the end of a connection")


def state_of(port: int, other: int) -> str:
    """Return the kernel's state of the server's side of a connection; empty if there is none."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, state = line.split()[1:4]
        if local.endswith(f":{port:04X}") and remote.endswith(f":{other:04X}"):
            return state
    return ""

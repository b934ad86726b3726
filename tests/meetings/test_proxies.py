"""Each proxy before a real server, with each form of a run: as documented, and by its defaults.

Lines are counted by a handshake: a run writes the next one when the test has seen the one before it.
"""

import base64
import contextlib
import http.client
import json
import select
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from runcast import Run
from runcast.doctor.caller import Caller
from tests.helpers.cli import cli
from tests.helpers.proxies import DOCUMENTED, behind
from tests.helpers.servers import LONG, Server
from tests.helpers.stores import empty_store, temporary_store
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.meetings, pytest.mark.slow]

STEPS = """
for n in 1 2 3; do echo "line $n"; while [ ! -e go-$n ]; do sleep 0.02; done; done
"""
TICKS = 'n=0; while [ ! -e go ]; do n=$((n+1)); echo "line $n"; sleep 0.02; done'
FORMS = {
    "text": ("/runs/{id}/log", "text/plain"),
    "events": ("/runs/{id}/log", "text/event-stream"),
    "ndjson": ("/runs/{id}/log", "application/x-ndjson"),
    "durable": ("/v1/stream/runs/{id}?offset=-1&live=sse", "*/*"),
}
ALL = [*FORMS, "polls", "websocket"]
NOTICED = {"nginx", "haproxy", "lighttpd", "caddy"}  # the others look at a client when they write to it
HIDES_CUTS = {"caddy"}


class Place(NamedTuple):
    """A server, and a proxy before it."""

    name: str
    server: Server
    port: int

    @property
    def proxied(self) -> Caller:
        return Caller(f"http://127.0.0.1:{self.port}", None, LONG)

    @property
    def direct(self) -> Caller:
        return Caller(self.server.root, None, LONG)


@contextlib.contextmanager
def placed(name: str, folder: Path, *, documented: bool) -> Iterator[Place]:
    """Give a server with a store of its own behind a proxy."""
    with (
        temporary_store(folder / "store") as store,
        Server(folder, "serve", "", store=store) as server,
        behind(name, folder / "proxy", server.port, documented=documented) as port,
    ):
        yield Place(name, server, port)


@pytest.fixture(name="place", scope="module", params=DOCUMENTED)
def place_fixture(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """Each proxy as documented."""
    with placed(request.param, tmp_path_factory.mktemp(request.param), documented=True) as place:
        yield place


@pytest.fixture(name="default")
def default_fixture(tmp_path: Path) -> Iterator[Callable[[str], Place]]:
    """Give a function that returns a proxy with its defaults."""
    with contextlib.ExitStack() as stack:

        def made(name: str) -> Place:
            return stack.enter_context(placed(name, tmp_path, documented=False))

        yield made


def decoded(form: str, data: bytes) -> bytes:
    """Return what came, with the data of a durable stream's events as it was before it was packed."""
    if form != "durable":
        return data
    lines = [line[5:].strip() for line in data.split(b"\n")[:-1] if line.startswith(b"data:")]
    return b"".join(base64.b64decode(line) for line in lines if not line.startswith(b"{"))


@contextlib.contextmanager
def reading(caller: Caller, form: str, run: Run) -> Iterator[Iterator[bytes]]:
    """Give what comes of a run in one form, piece by piece; each piece is all that has come so far."""
    if form == "websocket":
        with caller.websocket(f"/runs/{run.id}/log") as (status, messages):
            assert status == 101
            yield _summed(messages)
    elif form == "polls":
        yield _summed(_polled(caller, run))
    else:
        path, kind = FORMS[form]
        with caller.opened("GET", path.format(id=run.id), {"Accept": kind}) as response:
            assert response.status == 200
            yield (decoded(form, data) for data in _summed(iter(lambda: response.read1(65536), b"")))


def _polled(caller: Caller, run: Run) -> Iterator[bytes]:
    offset, closed = "-1", False
    while not closed:
        reply = caller.ask("GET", f"/runs/{run.id}/log?offset={offset}", {"Accept": "application/json"})
        value = json.loads(reply.body)
        offset, closed = value["next"], value["closed"]
        yield "".join(chunk["text"] for chunk in value["chunks"]).encode()


def _summed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    seen = b""
    for piece in pieces:
        seen += piece
        yield seen


@pytest.mark.parametrize("form", ALL)
def test_each_line_before_the_next(place: Place, form: str, tmp_path: Path):
    """As documented, each line is there before the next one is written, and at the end all are, once."""
    run = place.server.store.start(["bash", "-c", STEPS], cwd=tmp_path)
    with reading(place.proxied, form, run) as pieces:
        seen = b""
        for n in range(1, 4):
            while f"line {n}".encode() not in seen:
                seen = next(pieces)
            (tmp_path / f"go-{n}").touch()
        seen = [seen, *pieces][-1]
    assert [seen.count(f"line {n}".encode()) for n in range(1, 4)] == [1, 1, 1]
    assert run.wait().ok
    empty_store(place.server.store)


def test_pushed_lines(place: Place):
    """What is pushed in chunks, a request for each line, is in the stream when its reply comes."""
    path, kind = f"/v1/stream/{place.name}", {"Content-Type": "text/plain"}
    assert place.proxied.ask("PUT", path, kind).status == 201
    for n in range(1, 4):
        assert place.proxied.ask("POST", path, kind, pieces=[b"line ", b"%d\n" % n]).status in (200, 204)
        there = place.direct.ask("GET", f"{path}?offset=-1").body
        assert there == b"".join(b"line %d\n" % one for one in range(1, n + 1))
    assert place.proxied.ask("DELETE", path).status in (200, 204)


def viewers(place: Place) -> float:
    """Return how many read a text now."""
    said = place.direct.ask("GET", "/metrics", {"Accept": "text/plain"}).body.decode()
    here = [line for line in said.splitlines() if line.startswith('runcast_viewers{format="text"}')]
    return float(here[0].split()[-1])


def left(place: Place, run: Run) -> None:
    """Watch a silent run through the proxy until the server counts that, and leave."""
    before = viewers(place)
    with place.proxied.begun("GET", f"/runs/{run.id}/log", {"Accept": "text/plain"}):
        wait_until(lambda: viewers(place) == before + 1, timeout=LONG, what="a viewer")


def test_viewer_who_left(place: Place):
    """The server notices at once where the proxy does; else one who left directly is noticed before."""
    run = place.server.store.start(["sleep", "600"])
    before = viewers(place)
    left(place, run)
    if place.name in NOTICED:
        wait_until(lambda: viewers(place) == before, timeout=LONG, what="no viewer")
    else:
        with place.direct.begun("GET", f"/runs/{run.id}/log", {"Accept": "text/plain"}):
            wait_until(lambda: viewers(place) == before + 2, timeout=LONG, what="a second viewer")
        wait_until(lambda: viewers(place) == before + 1, timeout=LONG, what="one viewer less")
    run.kill()
    run.wait()
    empty_store(place.server.store)


def test_restart_of_the_server(place: Place, tmp_path: Path):
    """A text is cut, which only some proxies hide; events go on behind the last one that came, none twice."""
    server = place.server
    run = server.store.start(["bash", "-c", STEPS], cwd=tmp_path)
    with (
        place.proxied.opened("GET", f"/runs/{run.id}/log", {"Accept": "text/plain"}) as text,
        place.proxied.opened("GET", f"/runs/{run.id}/log", {"Accept": "text/event-stream"}) as events,
    ):
        cut, seen = b"", b""
        while b"line 1" not in cut:
            cut += text.read1(65536)
        while b"line 1" not in seen:
            seen += events.read1(65536)
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        seen += events.read()
        hidden = True
        try:
            text.read()
        except (http.client.IncompleteRead, ConnectionError):
            hidden = False
    assert hidden == (place.name in HIDES_CUTS)
    server.process.wait(LONG)
    server.start()
    last = [line[4:].strip() for line in seen.decode().splitlines() if line.startswith("id: ")][-1]
    for n in range(1, 4):
        (tmp_path / f"go-{n}").touch()
    headers = {"Accept": "text/event-stream", "Last-Event-ID": last}
    with place.proxied.opened("GET", f"/runs/{run.id}/log", headers) as again:
        seen += again.read()
    assert [seen.count(f"data: line {n}\n".encode()) for n in range(1, 4)] == [1, 1, 1]
    empty_store(server.store)


@pytest.mark.parametrize("name", ["nginx", "apache", "varnish", "lighttpd"])
def test_default_drops_upgrade(name: str, default: Callable[[str], Place]):
    """By default the handshake of a WebSocket comes without its Upgrade: the server says what to change."""
    place = default(name)
    run = place.server.store.start(["true"])
    run.wait()
    with place.proxied.websocket(f"/runs/{run.id}/log") as (status, _):
        assert status == 426


@pytest.mark.parametrize(
    ("name", "status"),
    [("nginx", 403), ("apache", 403), ("haproxy", 200), ("varnish", 200), ("lighttpd", 200), ("caddy", 200)],
)
def test_default_host(name: str, status: int, default: Callable[[str], Place]):
    """By default two of them rewrite the Host, so that the server's own pages look like foreign ones."""
    place = default(name)
    headers = {"Accept": "application/json", "Origin": f"http://127.0.0.1:{place.port}"}
    assert place.proxied.ask("GET", "/runs", headers).status == status


@pytest.mark.parametrize(
    ("name", "form"),
    [(name, form) for name in ("lighttpd", "varnish-gzip") for form in FORMS] + [("caddy", "text")],
)
def test_default_holds_back(name: str, form: str, default: Callable[[str], Place], tmp_path: Path):
    """By default nothing comes while the run goes on, however much it has said, and everything at its end."""
    place = default(name)
    # Caddy compresses, and collects, what begins with 512 bytes. "line 100" comes after two seconds.
    run = place.server.store.start(["bash", "-c", f"printf '%0700d\\n' 0; {TICKS}"], cwd=tmp_path)
    path, kind = FORMS[form]
    headers = {"Accept": kind, "Accept-Encoding": "gzip"}
    with place.proxied.begun("GET", path.format(id=run.id), headers) as held:
        with reading(place.direct, form, run) as pieces:
            while b"line 100" not in next(pieces):
                pass
        before = _there(held)
        (tmp_path / "go").touch()
        run.wait()
        wait_until(lambda: select.select([held], [], [], 0)[0] != [], timeout=LONG, what="the reply")
    # Of a compressed body its header may be there, which says nothing.
    assert len(before.partition(b"\r\n\r\n")[2]) < 64
    empty_store(place.server.store)


def _there(held: socket.socket) -> bytes:
    """Return what has come by now."""
    there = b""
    while select.select([held], [], [], 0)[0]:
        there += held.recv(65536)
    return there


def test_default_of_haproxy_counts_who_left(default: Callable[[str], Place]):
    """Without `option abortonclose` a viewer who left counts longer than one who left directly."""
    place = default("haproxy")
    run = place.server.store.start(["sleep", "600"])
    before = viewers(place)
    left(place, run)
    with place.direct.begun("GET", f"/runs/{run.id}/log", {"Accept": "text/plain"}):
        wait_until(lambda: viewers(place) == before + 2, timeout=LONG, what="a second viewer")
    wait_until(lambda: viewers(place) == before + 1, timeout=LONG, what="one viewer less")
    run.kill()
    run.wait()


@pytest.mark.parametrize(
    ("name", "faults"),
    [("lighttpd", {"text", "events", "ndjson", "durable", "websocket"}), ("caddy", {"text"})],
)
def test_doctor(name: str, faults: set[str], default: Callable[[str], Place], tmp_path: Path):
    """`runcast doctor --url` finds what the defaults do, and with the documented lines nothing is left."""
    place = default(name)

    def problems(port: int) -> tuple[int, set[str]]:
        done = cli("doctor", "--json", "--url", f"http://127.0.0.1:{port}/")
        found = [json.loads(line) for line in done.out.splitlines()]
        return done.code, {one["check"] for one in found if one["level"] == "problem"}

    code, found = problems(place.port)
    with behind(name, tmp_path / "cured", place.server.port) as cured:
        clean = problems(cured)
    assert code == 1
    assert faults <= found
    assert clean == (0, set())


def test_doctor_knows_haproxy(default: Callable[[str], Place]):
    """HAProxy puts its name into no reply; `runcast doctor --url` knows it by what it does not pass on."""
    done = cli("doctor", "--json", "--url", f"http://127.0.0.1:{default('haproxy').port}/")
    found = {one["check"]: one for one in map(json.loads, done.out.splitlines())}
    assert "behind HAProxy" in found["server"]["text"]
    assert "HAProxy: option abortonclose" in found["viewer"]["advice"]

"""Durable Streams in an application of each framework, mounted below a prefix, under real servers."""

import json
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import httpx
import pytest
from durable_streams import DurableStream, DurableStreamError, stream

from runcast import Store
from runcast.durable import FileStreams
from tests.helpers.servers import LONG, Server
from tests.helpers.stores import empty_store, temporary_store
from tests.helpers.wait import MS, wait_until
from tests.integration.web.mounted import DEFAULT, mounted_code
from tests.integration.web.test_durable_clients import FIRST, SECOND, SOURCE
from tests.integration.web.test_matrix import state_of

pytestmark = pytest.mark.slow

SERVES = [
    ("gunicorn", "flask"),
    ("gunicorn", "bottle"),
    ("itself", "cherrypy"),
    ("gunicorn", "django-wsgi"),
    ("uvicorn", "django-asgi"),
    ("uvicorn", "starlette"),
    ("itself", "aiohttp"),
]
OTHERS = [
    ("gunicorn-gevent", "flask"),
    ("waitress", "flask"),
    ("werkzeug", "flask"),
    ("itself", "bottle"),  # wsgiref
    ("cheroot", "bottle"),
    ("gunicorn", "cherrypy"),
    ("runserver", "django-wsgi"),
    ("gunicorn-asgi", "django-asgi"),
    ("hypercorn", "fastapi"),
    ("daphne", "starlette"),
]
PATIENT = {"gunicorn", "uvicorn", "gunicorn-asgi", "gunicorn-gevent"}
LENGTH_ONLY = {  # do not put chunks together, or do not notice each cut
    *(("itself", "cherrypy"), ("werkzeug", "flask"), ("itself", "bottle"), ("cheroot", "bottle")),
    ("runserver", "django-wsgi"),
}
KEEPING = {"waitress", "daphne"}  # take a body whole before anybody is asked; so does Django under ASGI
STREAMS = "/casts/v1/stream"
TEXT = {"Content-Type": "text/plain"}
# A connection for each request. To read the system's certificates takes longer than a request here.
HTTP = httpx.Client(verify=False, limits=httpx.Limits(max_keepalive_connections=0))


def serving(serves: list[tuple[str, str]]) -> pytest.MarkDecorator:
    """Return what has a test run with each server and framework."""
    return pytest.mark.parametrize("served", serves, ids="-".join, indirect=True)


@pytest.fixture(scope="module")
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the application of a framework for all tests; every client may do everything."""
    name, framework = request.param
    folder = tmp_path_factory.mktemp("served")
    with (
        temporary_store(folder / "store") as store,
        Server(folder, name, mounted_code(framework), store=store) as running,
    ):
        yield running


@pytest.fixture
def server(served: Server) -> Iterator[Server]:
    """Give the server, whose store is empty."""
    yield served
    empty_store(served.store)


def follow(url: str, folder: Path) -> bytes:
    """Return a run to its end; it goes on only when its first half was seen."""
    got = b""
    with stream(url, client=HTTP, offset="-1", live="long-poll", timeout=LONG) as response:
        for event in response.iter_events(mode="bytes"):
            got += event.data
            if len(got) == len(FIRST):
                (folder / "go").touch()
            elif len(got) >= len(FIRST + SECOND):
                break  # this client knows nothing of closed streams, and would ask for ever
    wait_until(lambda: HTTP.head(url).headers.get("stream-closed") == "true", what="the end")
    assert HTTP.head(url).headers["stream-next-offset"] == event.next_offset
    return got


@serving(SERVES + OTHERS)
def test_client_follows_a_run(server: Server, tmp_path: Path) -> None:
    """A client of the protocol has every byte of a live run, and its end; events are live, too."""
    run = server.store.start([sys.executable, "-c", SOURCE], cwd=tmp_path)
    path = f"{STREAMS}/runs/{run.id}"
    assert follow(server.root + path, tmp_path) == FIRST + SECOND

    run = server.store.start(
        ["bash", "-c", "echo one; while [ ! -e go2 ]; do sleep 0.02; done"], cwd=tmp_path
    )
    with server.stream(f"{path.rpartition('/')[0]}/{run.id}?offset=-1&live=sse") as events:
        seen = b""
        while b"b25lCg==" not in seen:  # one
            data = events.read1()
            assert data, f"the reply ended early: {seen!r}"
            seen += data
        (tmp_path / "go2").touch()
        assert b'"streamClosed":true' in events.read()


@serving(SERVES + OTHERS)
def test_client_writes_a_stream(server: Server) -> None:
    """A stream is made, appended to, read, waited for in vain, closed and deleted by any client."""
    url = f"{server.root}{STREAMS}/builds/42"
    with (
        httpx.Client(verify=False) as kept,
        DurableStream.create(url, content_type="application/json", client=kept) as made,
    ):
        first = made.append({"n": 1}).next_offset
        last = made.append({"n": 2}).next_offset
        assert made.head().offset == last
    with stream(url, client=HTTP, offset="-1", live=False) as response:
        assert response.read_json() == [{"n": 1}, {"n": 2}]
    with stream(url, client=HTTP, offset=first, live=False) as response:
        assert response.read_json() == [{"n": 2}]
    idle = HTTP.get(f"{url}?offset={last}&live=long-poll", timeout=LONG)
    assert (idle.status_code, idle.content, idle.headers["stream-up-to-date"]) == (204, b"", "true")
    assert HTTP.post(url, headers={"Stream-Closed": "true"}).status_code == 204
    read = HTTP.get(f"{url}?offset=-1")
    assert read.headers["stream-closed"] == "true"
    again = HTTP.get(f"{url}?offset=-1", headers={"If-None-Match": read.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert HTTP.options(url).status_code == 204
    DurableStream.delete_static(url, client=HTTP)
    assert HTTP.head(url).status_code == 404
    assert HTTP.get(f"{server.root}/v1/stream/builds/42").status_code == 404  # nothing is mounted there


class Waiting:
    """A run that prints `one`, and more only on demand; and a poll that waits for that."""

    def __init__(self, server: Server, store: Store) -> None:
        self._asked, self.go = threading.Event(), threading.Event()
        self.path = f"{STREAMS}/runs/{store.start(self._lines, ahead=1).id}"
        self._response: httpx.Response | Exception | None = None
        url = f"{server.root}{self.path}"
        assert HTTP.get(f"{url}?offset=-1&live=long-poll", timeout=LONG).content == b"one\n"
        self._thread = threading.Thread(target=self._poll, args=(f"{url}?offset=4&live=long-poll",))
        self._thread.start()
        assert self._asked.wait(LONG)  # a generator goes on only for who waits

    def _lines(self) -> Iterator[str]:
        yield "one"
        self._asked.set()
        self.go.wait(3 * LONG)
        yield "two"

    def _poll(self, url: str) -> None:
        try:
            self._response = HTTP.get(url, timeout=LONG)
        except httpx.HTTPError as error:
            self._response = error

    def end(self) -> httpx.Response:
        """Return what the poll was answered."""
        self._thread.join(LONG)
        assert isinstance(self._response, httpx.Response), self._response
        return self._response


@pytest.mark.parametrize(("name", "framework"), SERVES, ids=lambda value: value)
def test_others_are_answered_while_one_waits(name: str, framework: str, store: Store, tmp_path: Path) -> None:
    """One worker answers others while a poll waits; the poll is answered when the run goes on."""
    with Server(tmp_path, name, mounted_code(framework, seconds=60)) as server:
        waiting = Waiting(server, store)
        try:
            assert server.ask("HEAD", waiting.path)[1]["stream-next-offset"] == "0" * 19 + "4"
            assert server.ask("PUT", f"{STREAMS}/s", **TEXT)[0] == 201
        finally:
            waiting.go.set()
        assert waiting.end().content == b"two\n"


@pytest.mark.parametrize(
    ("name", "framework"),
    [serve for serve in SERVES + OTHERS if serve[0] in PATIENT or serve == ("itself", "cherrypy")],
    ids=lambda value: value,
)
def test_server_ends_while_one_waits(name: str, framework: str, store: Store, tmp_path: Path) -> None:
    """A server shuts down at once, and a waiting poll gets a reply without data."""
    with Server(tmp_path, name, mounted_code(framework, seconds=60)) as server:
        waiting = Waiting(server, store)
        try:
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            assert waiting.end().status_code == 204
            server.process.wait(10000 * MS)
        finally:
            waiting.go.set()


@pytest.mark.parametrize(("name", "framework"), SERVES, ids=lambda value: value)
def test_who_leaves_holds_nothing(name: str, framework: str, store: Store, tmp_path: Path) -> None:
    """A client that leaves while it waits is let go, long before its poll would have ended."""
    with Server(tmp_path, name, mounted_code(framework, seconds=600)) as server:
        waiting = Waiting(server, store)
        try:
            with server.connect() as leaving:
                leaving.request("GET", f"{waiting.path}?offset=4&live=long-poll")
                port = leaving.sock.getsockname()[1]
                wait_until(lambda: state_of(server.port, port), what="a connection")
            wait_until(lambda: not state_of(server.port, port), timeout=LONG, what="the end of a connection")
        finally:
            waiting.go.set()
        assert waiting.end().content == b"two\n"


@serving(SERVES)
def test_names(server: Server) -> None:
    """A name arrives as it was written, whatever is in it, and its Location can be requested."""
    for name in ("a b", "ü", "a+b", "100%", "x?y", "#1", "a;b=c,d", "a%2Fb", "ä/b"):
        status, fields, _ = server.ask("PUT", f"{STREAMS}/{quote(name, safe='/+;=,')}", b"hello", **TEXT)
        assert status == 201
        assert FileStreams(server.store.path).get(name).open_log().tail_offset == 5
        assert unquote(fields["location"]) == f"{server.root}{STREAMS}/{name}"
        assert server.ask("GET", fields["location"].removeprefix(server.root))[2] == b"hello"


@serving(SERVES)
def test_paths_that_frameworks_mend(server: Server) -> None:
    """A slash too many, a line end or dots are no other name's, redirected nowhere and refused."""
    assert server.ask("PUT", f"{STREAMS}/a/b", **TEXT)[0] == 201
    for name in ("a//b", "/a/b", "//a/b", "a/b/", "a/b//", "a/./b", "a/x/../b", "a/b%0a", "a%0ab", "%00", ""):
        for method in ("PUT", "DELETE"):
            assert server.ask(method, f"{STREAMS}/{name}", **TEXT)[0] in (400, 404), name
        assert server.ask("PUT", f"{STREAMS}/{name}", **TEXT)[0] == 400, name
    assert server.ask("GET", STREAMS)[0] == 404
    assert server.ask("GET", f"{STREAMS}/a/b")[0] == 200


def send(server: Server, head: str, blocks: list[bytes]) -> tuple[bytes, int]:
    """Send a request by hand; return how its reply begins, and how many blocks were taken before."""
    with socket.create_connection(("127.0.0.1", server.port), LONG) as connection:
        connection.sendall(f"{head}\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n".encode())
        taken = 0
        try:
            for block in blocks:
                connection.sendall(block)
                taken += 1
            return connection.recv(64), taken
        except ConnectionError:
            try:
                return connection.recv(64), taken
            except ConnectionError:  # what was still under way has reset it
                return b"", taken


@serving(SERVES + OTHERS)
def test_bodies(server: Server, request: pytest.FixtureRequest) -> None:
    """An append may have 16 MiB, whatever a framework allows to forms; more is refused before it is read."""
    name, framework = request.node.callspec.params["served"]
    server.ask("PUT", f"{STREAMS}/s", **TEXT)
    assert server.ask("POST", f"{STREAMS}/s", bytes(5_000_000), **TEXT)[0] == 204
    post, tail = f"POST {STREAMS}/s HTTP/1.1", 5_000_000
    chunked, last = b"Transfer-Encoding: chunked\r\n\r\n", b"0\r\n\r\n"
    output, _ = send(server, post, [chunked, b"5\r\nhello\r\n", last])
    if (name, framework) in LENGTH_ONLY:
        assert output.split()[1] == b"411"
    else:
        assert output.split()[1] == b"204"
        tail += 5
    if name in KEEPING or framework == "django-asgi":
        assert server.ask("POST", f"{STREAMS}/s", bytes(17_000_000), **TEXT)[0] == 413
        assert server.ask("POST", "/casts/runs", bytes(1_100_000))[0] == 413  # a start is no append
    else:  # only the head is sent: who goes on sending may lose the reply
        output, _ = send(server, post, [b"Content-Length: 17000000\r\n\r\n"])
        assert output.split()[1] == b"413"
        output, _ = send(server, "POST /casts/runs HTTP/1.1", [b"Content-Length: 1100000\r\n\r\n"])
        assert output.split()[1] == b"413"
        block = b"100000\r\n" + bytes(0x100000) + b"\r\n"
        output, taken = send(server, post, [chunked, *[block] * 40])  # of these 17 are too much
        assert output.split()[1:2] in ([b"413"], [b"411"]) or (output == b"" and taken < 40)
    assert int(server.ask("HEAD", f"{STREAMS}/s")[1]["stream-next-offset"]) == tail


@serving(SERVES)
def test_foreign_pages_change_nothing(server: Server) -> None:
    """A page of another site can neither make a stream, nor append, nor delete; a program needs no header."""
    assert server.ask("PUT", f"{STREAMS}/s", b"ours", **TEXT)[0] == 201
    for fields in (
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "http://x.test"},
    ):
        assert server.ask("PUT", f"{STREAMS}/new", **TEXT, **fields)[0] == 403
        assert server.ask("POST", f"{STREAMS}/s", b"theirs", **TEXT, **fields)[0] == 403
        assert server.ask("DELETE", f"{STREAMS}/s", **fields)[0] == 403
    status, fields, body = server.ask(
        "GET", f"{STREAMS}/s", Origin="http://x.test", Sec_Fetch_Site="cross-site"
    )
    assert (status, body, fields["cross-origin-resource-policy"]) == (200, b"ours", "same-origin")
    assert "access-control-allow-origin" not in fields
    assert server.ask("HEAD", f"{STREAMS}/new")[0] == 404
    assert (
        server.ask("POST", f"{STREAMS}/s", b"!", Origin=server.root, Sec_Fetch_Site="same-origin", **TEXT)[0]
        == 204
    )


@pytest.mark.parametrize(("name", "framework"), SERVES, ids=lambda value: value)
def test_only_runs_unless_somebody_may_more(name: str, framework: str, store: Store, tmp_path: Path) -> None:
    """Without `authorize` a run can be read by its id; for streams an error says what is to be written."""
    run = store.start(["echo", "hi"])
    wait_until(lambda: run.closed)
    with Server(tmp_path, name, mounted_code(framework, DEFAULT)) as server:
        url = f"{server.root}{STREAMS}"
        assert HTTP.get(f"{url}/runs/{run.id}?offset=-1").content == b"hi\n"
        assert HTTP.get(f"{url}/runs/{run.id[:-1]}").status_code == 404
        with pytest.raises(DurableStreamError) as refused:
            DurableStream.create(f"{url}/s", content_type="text/plain", client=HTTP)
        assert refused.value.status == 403
        for method, verb in (("PUT", "create"), ("POST", "append"), ("GET", "read"), ("DELETE", "delete")):
            status, headers, body = server.ask(method, f"{STREAMS}/s", **TEXT)
            assert (status, headers["content-type"]) == (403, "application/problem+json")
            assert {"authorize=", repr(verb)} <= set(json.loads(body)["detail"].replace(",", "").split())
        assert server.ask("GET", "/casts/runs")[0] == 403  # nothing is listed
    assert not (Path(store.path) / ".streams").exists()

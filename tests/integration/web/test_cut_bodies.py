"""A request whose body was cut was never made: under every server, in every framework, for every verb.

A server is started once for the tests of this file; what they do goes to streams of their own.
"""

import http.client
import json
import random
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest

from runcast import Run, Store
from runcast.client.push import Pusher
from runcast.client.remote_stream import RemoteStream
from tests.helpers.cutting import cuts, send
from tests.helpers.proxy import Proxy
from tests.helpers.servers import Server
from tests.helpers.stores import temporary_store
from tests.helpers.wait import MS
from tests.integration.web.mounted import mounted_code
from tests.integration.web.test_durable_frameworks import LENGTH_ONLY

pytestmark = [pytest.mark.slow, pytest.mark.fault]

SERVES = [
    ("serve", "nothing"),
    ("uvicorn", "starlette"),
    ("uvicorn-h11", "django-asgi"),
    ("hypercorn", "fastapi"),
    ("daphne", "django-asgi"),
    ("gunicorn-asgi", "starlette"),
    ("gunicorn-sync", "flask"),
    ("gunicorn", "django-wsgi"),
    ("gunicorn-gevent", "bottle"),
    ("waitress", "flask"),
    ("cheroot", "bottle"),
    ("itself", "cherrypy"),
    ("werkzeug", "flask"),
    ("runserver", "django-wsgi"),
    ("itself", "bottle"),  # wsgiref
    ("itself", "aiohttp"),
]
LINES = [b"%07d\n" % number for number in range(10_000)]
TEXT = {"Content-Type": "text/plain"}
JSON = {"Content-Type": "application/json", "X-Runcast": "1"}
PLAIN = {"Content-Type": "application/octet-stream", "X-Runcast": "1"}


class Serving(NamedTuple):
    """A server and its store."""

    name: tuple[str, str]
    server: Server
    store: Store
    prefix: str


class Verb(NamedTuple):
    """A request that does something once its body is whole, and its status then."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int


@pytest.fixture(scope="module", params=SERVES, ids="-".join)
def serving(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Give an application in which everything is allowed, under a server."""
    name, framework = request.param
    folder = tmp_path_factory.mktemp("serving")
    options = (
        f"{{'store': {str(folder / 'store')!r}, 'authorize': lambda *_: True, 'allow_any_command': True}}"
    )
    code = "" if name == "serve" else mounted_code(framework, options)
    with temporary_store(folder / "store") as store, Server(folder, name, code) as server:
        yield Serving(request.param, server, store, "" if name == "serve" else "/casts")


def numbered(number: int) -> dict[str, str]:
    """Return the headers of a producer's append."""
    return TEXT | {"Producer-Id": "p", "Producer-Epoch": "0", "Producer-Seq": str(number)}


def verbs(prefix: str, reads: Run, sleeps: Run, done: Run) -> dict[str, Verb]:
    """Return each verb that may have a body, for streams and runs that are there."""
    stream, runs = f"{prefix}/v1/stream", f"{prefix}/runs"
    close = {"Stream-Closed": "true"}
    return {
        "append": Verb("POST", f"{stream}/s", numbered(0), b"hello, ", 200),
        "append and close": Verb("POST", f"{stream}/s", numbered(1) | close, b"and goodbye\n", 200),
        "close": Verb("POST", f"{stream}/t", close, b"", 204),
        "create": Verb("PUT", f"{stream}/new", TEXT, b"all of it", 201),
        "delete a stream": Verb("DELETE", f"{stream}/u", JSON, b'{"because": 1}', 204),
        "stdin": Verb("POST", f"{runs}/{reads.id}/stdin", PLAIN, b"one line\n", 204),
        "stdin and its end": Verb("POST", f"{runs}/{reads.id}/stdin?eof=1", PLAIN, b"the last line\n", 204),
        "start": Verb("POST", runs, JSON, b'{"command": ["true"]}', 201),
        "rerun": Verb("POST", f"{runs}/{done.id}/rerun", JSON, b'{"because": 1}', 201),
        "signal": Verb("POST", f"{runs}/{sleeps.id}/signal", JSON, b'{"signal": "SIGWINCH"}', 202),
        "stop": Verb("POST", f"{runs}/{sleeps.id}/stop", JSON, b'{"grace": 0, "signal": "KILL"}', 202),
        "delete a run": Verb("DELETE", f"{runs}/{done.id}", JSON, b'{"because": 1}', 204),
    }


def test_every_verb(serving: Serving) -> None:
    """Cut anywhere, no verb does anything; sent again whole, each does what it is for."""
    server, store = serving.server, serving.store
    stream = f"{serving.prefix}/v1/stream"
    for name in ("s", "t", "u"):
        assert server.ask("PUT", f"{stream}/{name}", **TEXT)[0] == 201
    reads, sleeps, done = (
        store.start(["cat"], stdin="pipe"),
        store.start(["sleep", "600"]),
        store.start(["true"]),
    )
    done.wait()
    known = {run.id for run in store.list()}
    table = verbs(serving.prefix, reads, sleeps, done)

    for name, verb in table.items():
        for cut in cuts(verb.body):
            reply = send(server.port, verb.method, verb.path, verb.headers, cut)
            assert reply[9:12] in (b"", b"400", b"408", b"411"), (name, cut, reply)

    assert {run.id for run in store.list()} == known
    assert sleeps.outcome is None
    for name in ("s", "t", "u"):
        fields = server.ask("HEAD", f"{stream}/{name}")[1]
        assert (fields["stream-next-offset"], fields.get("stream-closed")) == ("0" * 20, None)
    assert server.ask("HEAD", f"{stream}/new")[0] == 404

    for name, verb in table.items():
        status, fields, _ = server.ask(
            verb.method, verb.path, verb.body, **{k.replace("-", "_"): v for k, v in verb.headers.items()}
        )
        assert status == verb.status, (name, fields)
    assert server.ask("GET", f"{stream}/s")[2] == b"hello, and goodbye\n"
    assert server.ask("GET", f"{stream}/new")[2] == b"all of it"
    assert reads.output() == "one line\nthe last line\n"
    sleeps.wait(timeout=10000 * MS)
    assert len({run.id for run in store.list()} - known) == 2
    assert done.id not in {run.id for run in store.list()}


def test_whole_in_chunks(serving: Serving) -> None:
    """A body in chunks counts when it is whole; else the error of the server names what to send."""
    path = f"{serving.prefix}/v1/stream/chunks"
    serving.server.ask("PUT", path, **TEXT)
    with serving.server.connect() as connection:
        connection.connect()
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{serving.server.port}\r\n"
        head += "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        # At once: a server that refuses the head may close while a second piece is on its way, and
        # the reset that this causes may take the reply with it (RFC 9112, section 9.6).
        connection.sock.sendall(head.encode() + b"7\r\nin two \r\n5\r\nparts\r\n0\r\n\r\n")
        reply = http.client.HTTPResponse(connection.sock, method="POST")
        reply.begin()
        fields = reply.read()
    content = serving.server.ask("GET", path)[2]
    if serving.name in LENGTH_ONLY:
        assert (reply.status, content) == (411, b"")
        assert "expected a Content-Length" in json.loads(fields)["detail"]
    else:
        assert (reply.status, content) == (204, b"in two parts")


def test_push(serving: Serving) -> None:
    """Thousands of lines arrive once and in order where requests and replies are cut at random bytes."""
    chance = random.Random("-".join(serving.name))
    most = serving.name[0] == "serve"
    lines, cuts = (LINES, 40) if most else (LINES[:2500], 16)
    requests = {number: chance.randrange(1, 8_600) for number in range(0, cuts, 2)}  # about two each
    replies = {number: chance.randrange(400) for number in range(1, cuts, 2)}
    path = f"{serving.prefix}/v1/stream/pushed"
    with (
        Proxy(serving.server.port, replies.get, requests=requests.get) as proxy,
        RemoteStream(proxy.url.rstrip("/") + path) as stream,
    ):
        pusher = Pusher(stream)
        pusher.create()
        for start in range(0, len(lines), 500):
            pusher.send(b"".join(lines[start : start + 500]), close=start + 500 == len(lines))
        assert min(proxy.cuts.values()) > (3 if most else 1)
    status, fields, body = serving.server.ask("GET", path)
    assert (status, fields["stream-closed"]) == (200, "true")
    assert body == b"".join(lines)

"""Pages of other origins in an application of each framework: the listed ones read, none does more."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from flask import Flask
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from runcast import Run, Store
from runcast.web.adapters.runcast_app import RuncastApp
from runcast.web.flask import Runcast
from runcast.web.http.messages import Request
from tests.helpers.children import run_python
from tests.helpers.servers import LONG, Server
from tests.helpers.stores import empty_store, keeper_of_a_secret, temporary_store
from tests.integration.web.mounted import mounted_code
from tests.integration.web.test_durable_frameworks import SERVES

pytestmark = pytest.mark.slow

APP, OTHER = "https://app.example", "https://other.example"
TEXT = {"Content-Type": "text/plain"}
LISTED = {"Origin": APP, "Sec-Fetch-Site": "cross-site"}
UNLISTED = {"Origin": OTHER, "Sec-Fetch-Site": "cross-site"}
OPTIONS = (
    '{"authorize": lambda verb, run, request: True, "allow_any_command": True, '
    '"allow_origins": ["https://APP.example:443"], "stream_cap": "1K"}'
)
ALL = [*SERVES, ("hypercorn", "fastapi"), ("gunicorn", "wsgi"), ("uvicorn", "asgi")]
BARE = """
    from runcast.web.KIND import RunsKIND
    app = RunsKIND(allow_any_command=True, allow_origins=["https://app.example"], stream_cap="1K")
"""


def code_of(framework: str) -> str:
    """Return an application that lists one origin."""
    if framework in ("wsgi", "asgi"):
        return BARE.replace("RunsKIND", f"Runs{framework.upper()}").replace("KIND", framework)
    return mounted_code(framework, OPTIONS)


class Mounted(Server):
    """A server with an application that has runs and streams below a prefix."""

    def __init__(self, folder: Path, name: str, framework: str) -> None:
        super().__init__(folder, name, code_of(framework), store=Store(str(folder / "store")))
        self.prefix = "" if framework in ("wsgi", "asgi") else "/casts"

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Return the reply to a GET below the prefix."""
        return self.ask("GET", self.prefix + path, **headers)


@pytest.fixture(scope="module", params=ALL, ids="-".join)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    """Serve the application of a framework for all tests."""
    folder = tmp_path_factory.mktemp("served")
    with temporary_store(folder / "store"), Mounted(folder, *request.param) as running:
        yield running


@pytest.fixture
def server(served: Mounted) -> Iterator[Mounted]:
    """Give the server, whose store is empty."""
    yield served
    empty_store(served.store)


@pytest.fixture(name="run")
def run_fixture(server: Mounted) -> Run:
    """Give a run that has a secret, and goes on."""
    return keeper_of_a_secret(server.store)


def test_listed_page_reads(server: Mounted, run: Run):
    """A listed page reads runs and streams in each form, with the headers that a client needs."""
    log = f"/runs/{run.id}/log"
    assert server.ask("PUT", f"{server.prefix}/v1/stream/s", b"secret", **TEXT)[0] == 201
    for path, accept in (
        ("/runs", "application/json"),
        (f"/runs/{run.id}", "application/json"),
        (f"{log}?follow=0", "text/plain"),
        (f"{log}?follow=0", "text/event-stream"),
        (f"{log}?wait=0", "application/json"),
        (f"/v1/stream/runs/{run.id}?offset=-1", "*/*"),
        ("/v1/stream/s?offset=-1", "*/*"),
        ("/v1/stream/s?offset=0&live=long-poll", "*/*"),
        ("/runs/01jd0000000000000000000000", "*/*"),
    ):
        status, fields, _ = server.get(path, Accept=accept, **LISTED)
        assert (path, fields.get("access-control-allow-origin")) == (path, APP)
        assert "Stream-Next-Offset" in fields["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in fields
        assert "Origin" in fields["vary"].split(", ")
        assert status in (200, 204, 404)
    with server.stream(server.prefix + log, Accept="text/event-stream", **LISTED) as live:
        assert live.headers["Access-Control-Allow-Origin"] == APP
        assert live.read1()


def test_preflight(server: Mounted, run: Run):
    """A browser may ask for a listed page whether it may read; for a change, or another page, it may not."""
    asked = {"Access-Control-Request-Headers": "authorization"}
    for path in (f"/runs/{run.id}/log", "/runs", "/v1/stream/s"):
        get = {"Access-Control-Request-Method": "GET", **asked}
        status, fields, body = server.ask("OPTIONS", server.prefix + path, **LISTED, **get)
        assert (status, body) == (204, b"")
        assert fields["access-control-allow-origin"] == APP
        assert fields["access-control-allow-methods"] == "GET, HEAD"
        assert "Authorization" in fields["access-control-allow-headers"]
        for method, page in (("GET", UNLISTED), ("POST", LISTED), ("PUT", LISTED), ("DELETE", LISTED)):
            other = {"Access-Control-Request-Method": method, **asked}
            fields = server.ask("OPTIONS", server.prefix + path, **page, **other)[1]
            assert "access-control-allow-origin" not in fields


def test_unlisted_page_reads_nothing(server: Mounted, run: Run):
    """The browser of an unlisted page gets no header that lets the page read."""
    for path in ("/runs", f"/runs/{run.id}/log?follow=0", f"/v1/stream/runs/{run.id}?offset=-1"):
        _, fields, _ = server.get(path, **UNLISTED)
        assert "access-control-allow-origin" not in fields
        assert "Origin" in fields["vary"].split(", ")


@pytest.mark.parametrize("page", [LISTED, UNLISTED], ids=["listed", "unlisted"])
def test_no_page_changes_anything(server: Mounted, run: Run, page: dict[str, str]):
    """Neither page starts, stops, writes or deletes: not a run, not a stream."""
    assert server.ask("PUT", f"{server.prefix}/v1/stream/s", b"ours", **TEXT)[0] == 201
    here = f"{server.prefix}/runs/{run.id}"
    for method, path in (
        ("POST", f"{server.prefix}/runs"),
        ("POST", f"{here}/stop"),
        ("POST", f"{here}/signal"),
        ("POST", f"{here}/rerun"),
        ("POST", f"{here}/stdin"),
        ("DELETE", here),
        ("PUT", f"{server.prefix}/v1/stream/new"),
        ("POST", f"{server.prefix}/v1/stream/s"),
        ("DELETE", f"{server.prefix}/v1/stream/s"),
    ):
        body = b'{"command": ["true"]}'
        status, fields, _ = server.ask(method, path, body, **TEXT, **page)
        assert (method, path, status) == (method, path, 403)
        assert "access-control-allow-origin" not in fields
    assert [one.id for one in server.store.list()] == [run.id]
    assert run.outcome is None
    assert server.get("/v1/stream/s?offset=-1")[2] == b"ours"
    assert server.get("/v1/stream/new?offset=-1")[0] == 404


def test_cap(server: Mounted):
    """An application's cap holds for what is appended to a stream of its own."""
    path = f"{server.prefix}/v1/stream/s"
    assert server.ask("PUT", path, b"x" * 1000, **TEXT)[0] == 201
    status, _, body = server.ask("POST", path, b"y" * 25, **TEXT)
    assert (status, json.loads(body)["error"]) == (507, "CapReached")
    assert server.ask("POST", path, b"y" * 24, **TEXT)[0] == 204


def opened(server: Mounted, run: Run, origin: str, site: str, **query: str) -> ClientConnection:
    """Open a WebSocket as a page of an origin does."""
    url = f"{server.root}{server.prefix}/runs/{run.id}/log?{urlencode(query)}".replace("http", "ws", 1)
    headers = {"Sec-Fetch-Site": site} if site else {}
    return connect(url, origin=origin, additional_headers=headers, open_timeout=LONG)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "served",
    [("uvicorn", "starlette"), ("hypercorn", "fastapi"), ("uvicorn", "asgi")],
    ids="-".join,
    indirect=True,
)
@pytest.mark.parametrize("site", ["cross-site", "same-site", ""])
def test_websocket(server: Mounted, run: Run, site: str):
    """Over a WebSocket a listed page gets what the run says, and none of its messages is obeyed."""
    with opened(server, run, APP, site) as socket:
        while '"text":"secret' not in str(socket.recv(LONG)):
            pass  # first comes what it is
        for ask in ({"stop": {"grace": 0}}, {"signal": "KILL"}, {"stdin": "x"}, {"resize": [80, 24]}):
            socket.send(json.dumps(ask))
            answer = json.loads(socket.recv(LONG))
            assert (answer.get("event"), answer.get("error")) == ("error", "NotAllowed")
    assert run.outcome is None
    with pytest.raises(InvalidStatus):
        opened(server, run, OTHER, site)


@pytest.mark.parametrize(
    "served", [("uvicorn", "starlette"), ("uvicorn", "asgi")], ids="-".join, indirect=True
)
def test_own_websocket(server: Mounted, run: Run):
    """The application's own page is obeyed as before, and so is a program."""
    with opened(server, run, server.root, "same-origin") as socket:
        socket.send(json.dumps({"signal": "CONT"}))
    with connect(f"{server.root}{server.prefix}/runs/{run.id}/log".replace("http", "ws", 1)) as socket:
        socket.send(json.dumps({"stop": {"grace": 0}}))
        assert not run.wait(timeout=LONG).ok


@pytest.mark.parametrize(
    ("method", "origin", "readable"), [("GET", APP, True), ("GET", OTHER, False), ("POST", APP, False)]
)
def test_view(store: Store, method: str, origin: str, readable: bool):
    """What a view streams can be read by a listed page at whatever path; by no other, nor by a POST."""
    cast = RuncastApp(store=store, allow_origins=[APP])
    request = Request(method, "/build", headers={"origin": origin, "sec-fetch-site": "cross-site"})

    fields = dict(cast.view(request, "v", ["true"], ()).headers)

    assert fields["Content-Location"].endswith("/log")
    assert (fields.get("Access-Control-Allow-Origin") == APP) is readable
    assert ("Content-Location" in fields.get("Access-Control-Expose-Headers", "")) is readable


def test_flask_configuration(store: Store):
    """Flask's configuration may have the options, too."""
    app = Flask(__name__)
    caps = {"RUNCAST_STREAM_CAP": "1K", "RUNCAST_STREAMS_CAP": 5000}
    app.config.update(RUNCAST_STORE=store, RUNCAST_ALLOW_ORIGINS=[APP], **caps)
    Runcast(app)

    cast = app.extensions["runcast"]
    assert list(cast.origins) == [APP]
    assert (cast.durable.streams.caps.stream, cast.durable.streams.caps.total) == (1024, 5000)


def test_django_settings(tmp_path: Path):
    """A mistake in Django's settings is found by its system checks, with the message of the option."""
    code = mounted_code("django-wsgi", '{"allow_origins": ["app.example"]}').replace("cast = runs()", "")
    code = code.partition("from runcast.web.api.durable.routes")[0]
    code += "import django\ndjango.setup()\nfrom runcast.web.django.checks import check_runcast\n"
    done = run_python(code + "print(check_runcast(None)[0].msg)")

    assert done.startswith("RUNCAST in the settings: allow_origins=: expected an origin such as")

"""`runcast serve` below a path of a real nginx, in both forms: all of its addresses."""

import contextlib
import http.client
import json
import os
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from websockets.sync.client import connect

from bench.peers.nginx import nginx
from bench.peers.server import running
from runcast import Store
from runcast.store.servers import servers
from tests.helpers.cli import LONG, cli
from tests.helpers.ports import free_port
from tests.helpers.stores import empty_store, temporary_store
from tests.integration.server.test_serve import Answer, Server, serving

pytestmark = pytest.mark.slow

_LOCATION = """
  server {{ listen 127.0.0.1:{port}; location /cast/ {{
    proxy_pass http://127.0.0.1:{upstream}{strips}; proxy_http_version 1.1; proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; {prefix}
  }} }}
"""
WAYS = ["option stripped", "option passed", "header stripped", "header passed"]
PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


class Place(NamedTuple):
    """A server below `/cast/` at a port of nginx."""

    server: Server
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/cast"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a client that has the token."""
        return os.environ | {"RUNCAST_TOKEN": self.server.token}

    def ask(self, method: str, path: str, headers: dict[str, str], body: object = None) -> Answer:
        """Return the reply to one request for a whole path; with the header of a program that means it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        data = None if body is None else json.dumps(body).encode()
        sent = {"X-Runcast": "1", **({} if data is None else {"Content-Type": "application/json"}), **headers}
        with contextlib.closing(connection):
            connection.request(method, path, data, sent)
            with connection.getresponse() as response:
                headers: dict[str, str] = {}
                for name, value in response.getheaders():  # `Set-Cookie` comes more than once
                    headers[name.lower()] = "\n".join(filter(None, [headers.get(name.lower()), value]))
                return Answer(response.status, headers, response.read())


@pytest.fixture(name="places", scope="module")
def places_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Place], Store]]:
    """A server that knows its path, one that trusts the proxy, and an nginx with four ways to them."""
    folder = tmp_path_factory.mktemp("prefix")
    with pytest.MonkeyPatch.context() as patch, temporary_store(folder / "store") as store:
        patch.setenv("RUNCAST_STORE", store.path)
        with (
            serving("--allow-any-command", "--root-path", "/cast/") as own,
            serving("--allow-any-command", "--trusted-proxy", "127.0.0.1") as trusting,
        ):
            places, config = (
                {},
                "access_log off; map $http_upgrade $connection_upgrade { default upgrade; '' ''; }",
            )
            for way in WAYS:
                server = own if way.startswith("option") else trusting
                places[way] = Place(server, free_port())
                config += _LOCATION.format(
                    port=places[way].port,
                    upstream=server.port,
                    strips="/" if "stripped" in way else "",
                    prefix="proxy_set_header X-Forwarded-Prefix /cast;" if "header" in way else "",
                )
            with running(nginx(folder, config), places[WAYS[0]].port):
                yield places, store


@pytest.fixture(name="store")
def store_fixture(places: tuple[dict[str, Place], Store], monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Their store, empty at first."""
    monkeypatch.setenv("RUNCAST_STORE", places[1].path)
    yield places[1]
    empty_store(places[1])


@pytest.fixture(name="place", params=WAYS)
def place_fixture(request: pytest.FixtureRequest, places: tuple[dict[str, Place], Store]) -> Place:
    """One of the four."""
    return places[0][request.param]


def test_page_and_cookie(place: Place, store: Store):
    """The token URL leads to the page below the path, whose cookie and files are there, too."""
    opened = place.ask("GET", f"/cast/?token={place.server.token}", PAGE)
    cookie = opened.headers["set-cookie"]
    home = place.ask("GET", opened.headers["location"], {"Cookie": cookie.partition(";")[0]})
    page = place.ask("GET", home.headers["location"], {**PAGE, "Cookie": cookie.partition(";")[0]})
    text = page.body.decode()
    files = set(re.findall(r'(?:src|href)="([^"]*/assets/[^"]*)"', text))

    assert (opened.status, opened.headers["location"]) == (303, "/cast/")
    assert "Path=/cast;" in cookie
    assert (home.status, home.headers["location"]) == (303, "/cast/runs")
    assert page.status == 200
    assert 'data-root="/cast"' in text
    assert files
    for file in files:
        assert file.startswith("/cast/runs/-/assets/")
        assert place.ask("GET", file, {"Cookie": cookie.partition(";")[0]}).status == 200


def test_addresses_of_replies(place: Place, store: Store):
    """What a program is given leads through the proxy again: links, `Location`, polls, streams, OpenAPI."""
    bearer = place.server.bearer
    started = place.ask("POST", "/cast/runs", bearer, {"command": ["echo", "said"]})
    run = json.loads(started.body)
    stream = place.ask("PUT", "/cast/v1/stream/a", {**bearer, "Content-Type": "text/plain"})
    described = json.loads(place.ask("GET", "/cast/openapi.json", bearer).body)

    assert (started.status, started.headers["location"]) == (201, f"/cast/runs/{run['id']}")
    assert all(link.startswith(f"/cast/runs/{run['id']}") for link in run["links"].values())
    assert place.ask("GET", run["links"]["log"], bearer).body == b"said\n"
    assert stream.status == 201
    assert urlsplit(stream.headers["location"]).path == "/cast/v1/stream/a"
    assert described["servers"] == [{"url": "/cast"}]
    assert place.ask("GET", "/cast/healthz", {}).body == b"ok\n"
    element = place.ask("GET", "/cast/runs/-/runcast-log.js", bearer)
    assert (element.status, b'"/' in element.body) == (200, False)  # its imports are beside it
    assert place.ask("GET", "/cast/nothing", bearer).status == 404


def test_websocket(place: Place, store: Store):
    """A WebSocket below the path gets the run's output."""
    run = store.start(["echo", "said"])
    run.wait()
    with connect(
        f"ws://127.0.0.1:{place.port}/cast/runs/{run.id}/log", additional_headers=place.server.bearer
    ) as socket:
        assert "said" in "".join(map(str, socket))


def test_share_link(place: Place, store: Store):
    """A share link leads through the proxy, and its cookie is for that run's address there alone."""
    run = store.start(["echo", "said"])
    run.wait()
    shared = cli("share", "--server", place.url, run.id, env=place.environment)
    link = urlsplit(shared.out.decode().strip())
    opened = place.ask("GET", f"{link.path}?{link.query}", PAGE)
    assets = place.ask("GET", opened.headers["location"], PAGE | {"Cookie": ""}).status

    assert (link.netloc, link.path) == (f"127.0.0.1:{place.port}", f"/cast/runs/{run.id}")
    assert (opened.status, opened.headers["location"]) == (303, f"/cast/runs/{run.id}")
    assert f"Path=/cast/runs/{run.id};" in opened.headers["set-cookie"]
    assert assets == 401  # the link alone lets in


def test_command_line(place: Place, store: Store):
    """The command line starts and follows a run by the address with the path."""
    done = cli("run", "--server", place.url, "--", "echo", "said", env=place.environment)

    assert done.out == b"said\n"


def test_printed_addresses(places: tuple[dict[str, Place], Store], store: Store):
    """The first line has the path, and so has the address by which `runcast share` finds the server."""
    own = places[0]["option passed"].server

    assert urlsplit(own.url).path == "/cast/"
    assert f"http://127.0.0.1:{own.port}/cast/" in servers(store.path)


def test_header_of_a_stranger(places: tuple[dict[str, Place], Store], store: Store):
    """The header counts from a trusted proxy alone, and neither a foreign nor an own path does."""
    own, trusting = places[0]["option passed"].server, places[0]["header passed"].server

    def home(server: Server, prefix: str) -> str:
        reply = server.ask("GET", "/", {**server.bearer, "X-Forwarded-Prefix": prefix})
        return reply.headers["location"]

    assert home(own, "/other") == "/cast/runs"
    assert home(trusting, "/other") == "/other/runs"
    for wrong in ("//evil.example", "/a/../b", "/runs", "/a;Path=/", "cast", "/a b", "/" + "x" * 300):
        assert home(trusting, wrong) == "/runs"


@pytest.mark.parametrize("path", ["cast", "/a b", "//evil", "/..", "/runs", "/v1/x", "/mcp", "/a?b"])
def test_refused(store: Store, path: str):
    """A path that is none, or the server's own, is refused at the start."""
    done = cli("serve", "--port", "0", "--root-path", path)

    assert done.code == 2
    assert "expected" in done.err
    assert "path" in done.err

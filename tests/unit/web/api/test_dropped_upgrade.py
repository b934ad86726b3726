"""The handshake of a WebSocket whose Upgrade a proxy has dropped: who is blamed, and who is not."""

import asyncio
import json
from pathlib import Path

import pytest

from runcast import Store
from runcast.known_proxies import PROXIES, before_server, of_reply
from runcast.web.asgi import send_reply
from runcast.web.http.messages import Request
from runcast.web.live.feeds import Feeds
from runcast.web.responder import Responder
from tests.unit.runs import make_run

KEY = {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
# What each adds to a request by its defaults, as measured.
SENT = {
    "Varnish": {"x-forwarded-for": "::1", "x-varnish": "3"},
    "Squid": {"via": "1.1 here (squid/5.7)", "surrogate-capability": 'here="Surrogate/1.0 ESI/1.0"'},
    "Apache": {"x-forwarded-for": "::1", "x-forwarded-host": "a", "x-forwarded-server": "localhost"},
    "lighttpd": {
        "x-forwarded-for": "::1",
        "x-host": "a",
        "x-forwarded-host": "a",
        "x-forwarded-proto": "http",
    },
    "h2o": {"via": "1.1 here", "x-forwarded-for": "::1", "x-forwarded-proto": "http"},
    "Traefik": {"x-forwarded-server": "a", "x-real-ip": "::1", "x-forwarded-proto": "ws"},
    "Caddy": {"via": "1.1 Caddy", "x-forwarded-for": "::1", "x-forwarded-host": "a"},
}
SAID = {
    "nginx": {"server": "nginx/1.22.1"},
    "Apache": {"server": "Apache/2.4.71 (Debian)"},
    "Varnish": {"x-varnish": "2", "via": "1.1 varnish (Varnish/7.1)"},
    "Squid": {"via": "1.1 here (squid/5.7)"},
    "lighttpd": {"server": "lighttpd/1.4.69"},
    "Caddy": {"server": "Caddy"},
    "h2o": {"server": "h2o/2.2.5"},
}


def asked(folder: Path, headers: dict[str, str], *, sockets: bool = True, method: str = "GET") -> dict:
    """Return the problem that a request for the log of a run gets."""
    run_id = make_run(folder / "runs")
    responder = Responder(Store.open(str(folder / "runs")))
    responder.sockets = sockets
    reply = responder.respond(Request(method, f"/runs/{run_id}/log", headers=headers))
    return {"status": reply.status, "headers": dict(reply.headers)} | (
        json.loads(reply.body) if reply.stream is None and reply.body else {}
    )


@pytest.mark.parametrize("name", SENT)
def test_named_proxy(tmp_path: Path, name: str):
    """A proxy that shows itself to the server is named, with its own cure."""
    found = before_server(SENT[name].get)
    assert found is not None
    assert found.name == name

    detail = asked(tmp_path, KEY | SENT[name])["detail"]
    assert name in detail
    assert found.upgrade in detail


@pytest.mark.parametrize("name", SAID)
def test_named_by_a_reply(name: str):
    """A proxy that shows itself to clients is recognized by them."""
    found = of_reply(SAID[name].get)

    assert found in PROXIES
    assert found is not None
    assert found.name == name


def test_nobody_shows_itself(tmp_path: Path):
    """Nothing tells of nginx, which most people have: its lines are given, as those of nginx."""
    value = asked(tmp_path, KEY)

    assert (value["status"], value["error"]) == (426, "UpgradeDropped")
    assert "in nginx" in value["detail"]
    assert "$connection_upgrade" in value["detail"]
    assert value["headers"]["Upgrade"] == "websocket"
    assert value["headers"]["Connection"] == "Upgrade"


def test_words_of_a_client_are_not_repeated(tmp_path: Path):
    """A header chooses among our own lines, and none of its text comes back."""
    assert "evil" not in json.dumps(
        asked(tmp_path, KEY | {"via": "1.1 evil (squid/5.7)", "x-varnish": "evil"})
    )


@pytest.mark.parametrize("headers", [{}, {"sec-websocket-version": "13"}, {"connection": "upgrade"}])
def test_plain_request(tmp_path: Path, headers: dict[str, str]):
    """A request without the key is one for the log, whatever a proxy left of others' headers."""
    assert asked(tmp_path, headers)["status"] == 200
    assert asked(tmp_path, headers, sockets=False)["status"] == 200


def test_no_other_method(tmp_path: Path):
    """A handshake is a GET (RFC 6455, section 4.1): a HEAD with its key asks for the head of the log."""
    assert asked(tmp_path, KEY, method="HEAD")["status"] == 200


def test_server_without_sockets(tmp_path: Path):
    """Where no WebSocket can be served, no proxy is blamed, and no Upgrade is offered."""
    value = asked(tmp_path, KEY, sockets=False)

    assert (value["status"], value["error"]) == (426, "UpgradeRefused")
    assert "Upgrade" not in value["headers"]


@pytest.mark.parametrize(
    ("version", "connection"), [("1.0", True), ("1.1", True), ("2", False), ("3", False)]
)
def test_version_of_http(tmp_path: Path, version: str, connection: bool):
    """HTTP/2 and 3 have no headers of a connection, and clients refuse a reply with one (RFC 9113, 8.2.2)."""
    run_id = make_run(tmp_path / "runs")
    responder = Responder(Store.open(str(tmp_path / "runs")))
    responder.sockets = True
    reply = responder.respond(Request("GET", f"/runs/{run_id}/log", headers=KEY))
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def answer() -> None:
        await send_reply(reply, Feeds(), {"method": "GET", "http_version": version}, None, send)  # type: ignore[arg-type]

    asyncio.run(answer())
    names = {name for name, _ in sent[0]["headers"]}
    assert sent[0]["status"] == 426
    assert ({b"connection", b"upgrade"} <= names) == connection
    assert names.isdisjoint({b"connection", b"upgrade"}) != connection

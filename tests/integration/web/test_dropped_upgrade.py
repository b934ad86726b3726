"""A WebSocket's handshake that comes without its Upgrade, as a proxy passes it on: 426 under each server."""

import json
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import Server
from tests.integration.web.mounted import mounted_code, prefix_of

pytestmark = pytest.mark.slow

KEY = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
SPEAKS = ["uvicorn asgi", "uvicorn-h11 starlette", "hypercorn fastapi", "daphne starlette", "itself aiohttp"]
PLAIN = [
    *("gunicorn flask", "waitress bottle", "werkzeug flask", "itself bottle", "itself cherrypy"),
    *("runserver django-wsgi", "uvicorn django-asgi"),
]


@pytest.mark.parametrize("serves", SPEAKS)
def test_server_that_speaks(serves: str, store: Store, tmp_path: Path):
    """It names the protocol, the proxy and its cure; without the key, the same request gets the log."""
    name, framework = serves.split()
    run = store.start(["echo", "said"])
    run.wait()
    with Server(tmp_path, name, mounted_code(framework)) as server:
        path = f"{prefix_of(framework)}/runs/{run.id}/log"
        status, headers, body = server.ask("GET", path, **KEY, **{"X-Varnish": "3"})
        plain = server.ask("GET", path, Accept="text/plain")

    value = json.loads(body)
    assert (status, headers["content-type"]) == (426, "application/problem+json")
    assert (headers["upgrade"], headers["connection"].lower()) == ("websocket", "upgrade")
    assert headers["cache-control"] == "no-store"
    assert value["error"] == "UpgradeDropped"
    assert "Varnish; in vcl_recv" in value["detail"]
    assert (plain[0], plain[2]) == (200, b"said\n")


@pytest.mark.parametrize("serves", PLAIN)
def test_server_that_does_not(serves: str, store: Store, tmp_path: Path):
    """No proxy is to blame: the application's server is, with an Upgrade and without."""
    name, framework = serves.split()
    run = store.start(["echo", "said"])
    run.wait()
    with Server(tmp_path, name, mounted_code(framework)) as server:
        path = f"{prefix_of(framework)}/runs/{run.id}/log"
        status, headers, body = server.ask("GET", path, **KEY)
        head, _, _ = server.ask("HEAD", path, **KEY)

    assert (status, head) == (426, 200)
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["error"] == "UpgradeRefused"
    assert "by ASGI" in json.loads(body)["detail"]

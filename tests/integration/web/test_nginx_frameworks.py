"""Behind nginx with default settings a framework's view is live, too, under threads and under tasks."""

import json
from pathlib import Path

import pytest

from bench.peers.nginx import nginx, proxy
from bench.peers.server import running
from runcast import Store
from tests.helpers.ports import free_port
from tests.helpers.servers import Server
from tests.integration.web.frameworks import app_code
from tests.integration.web.test_matrix import whole

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "framework"),
    [("gunicorn", "flask"), ("uvicorn", "django-asgi"), ("waitress", "bottle"), ("itself", "bottle")],
    ids=lambda value: value,
)
def test_view_behind_nginx(name: str, framework: str, store: Store, tmp_path: Path) -> None:
    """Text, events and JSON lines get through line by line, even from a server that sends no chunks."""
    with Server(tmp_path, name, app_code(framework, tmp_path)) as server:
        port = free_port()
        with running(nginx(tmp_path, proxy(port, server.port)), port):
            server.port = port
            assert sorted(whole(server, tmp_path, "text/plain").split()) == [b"one", b"three", b"two"]
            assert b"event: exit" in whole(server, tmp_path, "text/event-stream")
            last = whole(server, tmp_path, "application/x-ndjson").splitlines()[-1]
            assert json.loads(last)["outcome"]["code"] == 3

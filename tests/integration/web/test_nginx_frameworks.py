"""Behind nginx with default settings a framework's view is live, too, under threads and under tasks."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import Server, free_port
from tests.helpers.wait import wait_until
from tests.integration.web.frameworks import app_code
from tests.integration.web.test_matrix import whole
from tests.integration.web.test_nginx import CONFIG, answers

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "framework"),
    [("gunicorn", "flask"), ("uvicorn", "django-asgi"), ("waitress", "bottle"), ("itself", "bottle")],
    ids=lambda value: value,
)
def test_view_behind_nginx(name: str, framework: str, store: Store, tmp_path: Path) -> None:
    """Text, events and JSON lines get through line by line, even from a server that sends no chunks."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert nginx, "expected nginx, which `make test` installs as root: apt-get install nginx-light"
    with Server(tmp_path, name, app_code(framework, tmp_path)) as server:
        port = free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        config = tmp_path / "nginx.conf"
        config.write_text(CONFIG.format(folder=tmp_path, port=port, upstream=server.port, user=user))
        with subprocess.Popen([nginx, "-c", str(config)], stderr=subprocess.DEVNULL) as process:
            try:
                server.port = port
                wait_until(lambda: answers(server), what="an answer through nginx")
                assert sorted(whole(server, tmp_path, "text/plain").split()) == [b"one", b"three", b"two"]
                assert b"event: exit" in whole(server, tmp_path, "text/event-stream")
                last = whole(server, tmp_path, "application/x-ndjson").splitlines()[-1]
                assert json.loads(last)["outcome"]["code"] == 3
            finally:
                process.terminate()

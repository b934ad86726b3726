"""Behind nginx with default settings, every form still arrives line by line."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import ASGI, Server, free_port
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow

CONFIG = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1; {user}
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{upstream}; }} }}
}}
"""


@pytest.fixture
def proxied(store: Store, tmp_path: Path) -> Iterator[Server]:
    """Serve the test's store behind nginx; what is asked of the server goes through it."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert nginx, "expected nginx, which `make test` installs as root: apt-get install nginx-light"
    with Server(tmp_path, "uvicorn", ASGI) as server:
        port = free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        config = tmp_path / "nginx.conf"
        config.write_text(CONFIG.format(folder=tmp_path, port=port, upstream=server.port, user=user))
        with subprocess.Popen([nginx, "-c", str(config)], stderr=subprocess.DEVNULL) as process:
            try:
                server.port = port
                wait_until(lambda: answers(server), what="an answer through nginx")
                yield server
            finally:
                process.terminate()


def answers(server: Server) -> bool:
    """Return whether a request gets through."""
    try:
        return server.ask("GET", "/runs/none")[0] == 404
    except OSError:
        return False


@pytest.mark.parametrize(
    ("accept", "query"),
    [
        ("text/plain", ""),
        ("text/event-stream", ""),
        ("text/event-stream", "?format=json"),
        ("application/x-ndjson", ""),
        ("application/json", ""),
    ],
)
def test_first_line_gets_through(
    proxied: Server, store: Store, tmp_path: Path, accept: str, query: str
) -> None:
    """The first line is there while the run waits to be told to write its second one."""
    script = "echo first-line; while [ ! -e go ]; do sleep 0.02; done; echo second-line"
    (tmp_path / "steps.sh").write_text(script)
    run = store.start(["bash", "steps.sh"], cwd=tmp_path)
    with proxied.stream(f"/runs/{run.id}/log{query}", Accept=accept) as response:
        seen = b""
        while b"first-line" not in seen:
            data = response.read1()
            assert data, f"the reply ended early: {seen!r}"
            seen += data
        assert run.outcome is None
        (tmp_path / "go").touch()
        seen += response.read()
    assert (b"second-line" in seen) == (accept != "application/json")

"""Behind nginx with default settings, every form still arrives line by line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.peers.nginx import nginx, proxy
from bench.peers.server import running
from runcast import Store
from tests.helpers.ports import free_port
from tests.helpers.servers import ASGI, Server

pytestmark = pytest.mark.slow


@pytest.fixture
def proxied(store: Store, tmp_path: Path) -> Iterator[Server]:
    """Serve the test's store behind nginx; requests to the server go through it."""
    with Server(tmp_path, "uvicorn", ASGI) as server:
        port = free_port()
        with running(nginx(tmp_path, proxy(port, server.port)), port):
            server.port = port
            yield server


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
    """The first line arrives while the run waits for the signal to write its second one."""
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

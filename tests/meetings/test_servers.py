"""Servers that the tests of every day leave out: live, the head of a silent reply, who left, and SIGTERM.

What a server cannot do is logged once, with the cure.
"""

import signal
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import Server
from tests.helpers.wait import MS, wait_until
from tests.helpers.workers import MEETINGS
from tests.integration.web.frameworks import app_code
from tests.integration.web.test_matrix import check_sizes, first_line, go_on, vanish, whole

pytestmark = [pytest.mark.meetings, pytest.mark.slow]

DEADLINE = 20000 * MS
EVENTS, TEXT = "text/event-stream", "text/plain"
_GUNICORN = "gunicorn --bind 127.0.0.1:{port} {app}:app"
SERVERS = {
    "granian-asgi": "granian --interface asgi --port {port} {app}:app",
    "granian-asginl": "granian --interface asginl --port {port} {app}:app",
    "granian-wsgi": "granian --interface wsgi --blocking-threads 8 --port {port} {app}:app",
    "uwsgi": "uwsgi --http-socket 127.0.0.1:{port} --module {app}:app --master --threads 8 --die-on-term",
    "gunicorn-asgi": f"{_GUNICORN} -k asgi",
    "gunicorn-tornado": f"{_GUNICORN} -k tornado",
}
LIVE = [
    ("granian-asgi", "asgi"),
    ("granian-asgi", "starlette"),
    ("granian-asginl", "starlette"),
    ("granian-wsgi", "flask"),
    ("gunicorn-asgi", "starlette"),
    ("uwsgi", "flask"),
]
SENDS_HEAD = {"granian-asgi", "granian-asginl", "granian-wsgi", "uwsgi"}
RESTARTS = {"granian-asgi", "granian-asginl", "gunicorn-asgi"}
NEVER_ENDS = {"granian-wsgi"}


class Meeting(Server):
    """A server of the environment of the meetings."""

    def __init__(self, folder: Path, name: str, framework: str) -> None:
        super().__init__(folder, "itself", app_code(framework, folder))
        words = SERVERS[name].format(port=self.port, app="served_app").split()
        self._command = [str(MEETINGS / words[0]), *words[1:]]


@pytest.mark.parametrize(("name", "framework"), LIVE)
def test_live(store: Store, tmp_path: Path, name: str, framework: str):
    """Text and events are live and whole, a vanished client is let go, and SIGTERM ends streams."""
    with Meeting(tmp_path, name, framework) as server:
        assert sorted(whole(server, tmp_path, TEXT).split()) == [b"one", b"three", b"two"]
        assert b"event: exit" in whole(server, tmp_path, EVENTS)
        if name in SENDS_HEAD:
            silent = store.start(["sleep", "60"])
            with server.stream(f"/runs/{silent.id}/log", Accept=TEXT) as response:
                assert response.status == 200
            silent.kill()
        check_sizes(server, store, tmp_path, sockets=framework != "flask")
        vanish(server)
        with server.stream("/stream", Accept=EVENTS) as response:
            seen = first_line(response)
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            if name in RESTARTS:
                assert b"event: restart" in seen + response.read()
            elif name in NEVER_ENDS:
                go_on(response, tmp_path)
                assert b"event: exit" in seen + response.read()
        server.process.wait(DEADLINE)
    log = (tmp_path / "server.log").read_text()
    assert "runcast/web/" not in log, log
    assert log.count("granian with WSGI does not say") == (name == "granian-wsgi"), log
    assert log.count("uWSGI sends no chunks") == (name == "uwsgi"), log


def test_unsupported(store: Store, tmp_path: Path):
    """What cannot serve live replies is logged once, with what to take instead."""
    with Meeting(tmp_path, "gunicorn-tornado", "flask") as server, server.connect() as connection:
        connection.request("GET", "/stream", headers={"Accept": TEXT})
        run = wait_until(lambda: next(store.list(1), None), DEADLINE, "its run")
        (tmp_path / f"go-{run.id}").touch()
        assert b"one" in connection.getresponse().read1()
    log = (tmp_path / "server.log").read_text()
    assert log.count("keeps a reply until its end") == 1, log
    assert "use threads or greenlets" not in log

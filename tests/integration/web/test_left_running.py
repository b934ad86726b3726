"""The end of a server says which commands go on, wherever Python gets to say anything."""

import os
import signal
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.examples import example
from tests.helpers.servers import ASGI, LONG, WSGI, Server
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow

STARLETTE = """
    from starlette.applications import Starlette
    from runcast.web.starlette import Runcast
    app = Starlette()
    cast = Runcast(app)
"""
SERVERS = {
    "gunicorn": [WSGI],
    "gunicorn-sync": [WSGI],
    "gunicorn-gevent": [WSGI],
    "waitress": [WSGI],
    "cheroot": [WSGI],
    "uvicorn": [ASGI, STARLETTE],
    "hypercorn": [ASGI, STARLETTE],
    "gunicorn-asgi": [ASGI, STARLETTE],
}
CASES = [(name, code) for name, codes in SERVERS.items() for code in codes]
BY_DEFAULT = {"waitress", "cheroot"}  # which leave SIGTERM as it is: the process is gone at once


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("name", "code"), CASES)
def test_said_at_the_end(store: Store, tmp_path: Path, name: str, code: str, number: signal.Signals):
    """Ctrl-C and SIGTERM: one line of the log names the run that goes on, and how to stop it."""
    with Server(tmp_path, name, code) as server:
        assert server.process is not None
        run = store.start(["sleep", "600"])
        assert run.pid
        os.kill(server.process.pid, number)
        wait_until(lambda: server.process and server.process.poll() is not None, LONG, "the end")
        output = (tmp_path / "server.log").read_text()

    expected = 0 if name in BY_DEFAULT and number == signal.SIGTERM else 1
    assert output.count(f"run {run.id} (sleep) goes on: `runcast stop {run.id}` ends it") == expected, output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "name",
    ["bottle_lines", "cherrypy_generator", "django_prints", "fastapi_async", "flask_command", "flask_login"],
)
def test_examples(store: Store, tmp_path: Path, name: str, number: signal.Signals):
    """The examples, which serve themselves, end in the same way by Ctrl-C and by SIGTERM."""
    with example(name, tmp_path) as server:
        assert server.process is not None
        if name == "django_prints":  # which knows its store from the first view on
            assert server.ask("GET", "/stream/?times=0")[2] == b"Done\n"
        if name == "cherrypy_generator":  # which answers before it has started, and drops all if ended then
            wait_until(lambda: "Bus STARTED" in (tmp_path / "server.log").read_text(), LONG)
        run = store.start(["sleep", "600"])
        assert run.pid
        os.kill(server.process.pid, number)
        wait_until(lambda: server.process and server.process.poll() is not None, LONG, "the end")
        output = (tmp_path / "server.log").read_text()

    assert output.count(f"`runcast stop {run.id}` ends it") == 1, output

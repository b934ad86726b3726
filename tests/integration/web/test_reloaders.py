"""Reloaders, which end the server's process when a file changes: commands go on, functions do not."""

import os
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import COMMANDS, Server
from tests.helpers.wait import MS, wait_until

pytestmark = pytest.mark.slow

DEADLINE = 20000 * MS
FUNCTION = """
import time

def ticks():
    while True:
        print("tick")
        time.sleep(0.02)

def begun():
    return " ".join(cast.start(source).id for source in (["sleep", "60"], ticks))
"""
FLASK = f"""
from flask import Flask
from runcast.web.flask import Runcast
app = Flask(__name__)
cast = Runcast(app)
{FUNCTION}
app.get("/begin")(begun)
"""
STARLETTE = f"""
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from runcast.web.starlette import Runcast
app = Starlette()
cast = Runcast(app)
{FUNCTION}
app.add_route("/begin", lambda request: PlainTextResponse(begun()))
"""
# And how a function ends: Flask's ends the interpreter, which stops it; uvicorn's is ended by a signal.
RELOADERS = {
    "flask": (FLASK, "flask --app {app} run --debug --port {port}", "stopped"),
    "uvicorn": (
        STARLETTE,
        "uvicorn --reload --port {port} {app}:app",
        "lost (its process died before the run ended)",
    ),
}


@pytest.mark.parametrize("name", RELOADERS)
def test_reload(store: Store, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    """A command lives through a reload; a function in a thread does not, and its run says so."""
    code, command, ended = RELOADERS[name]
    monkeypatch.setitem(COMMANDS, name, command)
    monkeypatch.chdir(tmp_path)
    with Server(tmp_path, name, code) as server:
        status, _, body = server.ask("GET", "/begin")
        assert status == 200
        command_run, function = map(store.get, body.decode().split())
        wait_until(lambda: function.tail_offset, DEADLINE, "its first tick")
        app = tmp_path / "served_app.py"
        app.write_text(app.read_text() + "\n# changed\n")
        os.utime(app)
        outcome = function.wait(timeout=DEADLINE)

        assert command_run.outcome is None
        assert str(outcome) == ended
        command_run.kill()

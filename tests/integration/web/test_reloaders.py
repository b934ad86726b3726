"""Reloaders, which end the server's process when a file changes: commands go on, functions do not."""

import contextlib
import http.client
import os
import signal
from pathlib import Path

import pytest

from runcast import Run, Store
from runcast.client import Client
from runcast.errors import WaitTimeout
from tests.helpers.servers import COMMANDS, Server
from tests.helpers.wait import MS, wait_until

pytestmark = pytest.mark.slow

DEADLINE = 20000 * MS
COMMAND = "echo one; while [ ! -e go ]; do sleep 0.02; done; echo two"
STARTS = f"""
import os, sys, time
import runcast

BORN = str(time.time())
runcast.start(["true"], key="at import")  # by the reloader's parent, and by each of its children

def ticks():
    while True:
        print("tick")
        time.sleep(0.02)

def begun(*request):
    if os.path.exists("ask"):
        return BORN
    return " ".join(start(source).id for source in (["sh", "-c", {COMMAND!r}], ticks))
"""
FLASK = f"""
from flask import Flask
from runcast.web.flask import Runcast
{STARTS}
app = Flask(__name__)
start = Runcast(app).start
app.get("/begin")(begun)
if __name__ == "__main__":
    app.run(debug=True, port=int(sys.argv[1]))
"""
STARLETTE = f"""
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from runcast.web.starlette import Runcast
{STARTS}
app = Starlette()
start = Runcast(app).start
app.add_route("/begin", lambda request: PlainTextResponse(begun()))
"""
BOTTLE = f"""
import bottle
from runcast.web.bottle import Runcast
{STARTS}
app = bottle.Bottle()
cast = Runcast()
app.install(cast)
start = cast.start
app.get("/begin")(begun)
if __name__ == "__main__":
    app.run(reloader=True, port=int(sys.argv[1]), server="waitress")
"""
CHERRYPY = f"""
import cherrypy
from runcast.web.cherrypy import Runcast
{STARTS}
start = Runcast().mount().start
class Root:
    begin = staticmethod(cherrypy.expose(begun))
if __name__ == "__main__":
    cherrypy.config.update({{"server.socket_port": int(sys.argv[1]), "engine.autoreload.frequency": 0.1}})
    cherrypy.quickstart(Root())
"""
DJANGO = f"""
from django.conf import settings
settings.configure(
    DEBUG=True,
    SECRET_KEY="x",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["runcast.web.django"],
)
from django.core.wsgi import get_wsgi_application
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import include, path
from runcast.web.django import start
{STARTS}
urlpatterns = [
    path("begin", lambda request: HttpResponse(begun())), path("", include("runcast.web.django.urls"))
]
application = get_wsgi_application()
settings.WSGI_APPLICATION = __name__ + ".application"
if __name__ == "__main__":
    execute_from_command_line(sys.argv)
"""
# How a function ends: some reloaders end the interpreter, which stops it; others end the process.
STOPPED = "stopped (its process ended)"
LOST = "lost (its process died before the run ended)"
RELOADERS = {
    "flask": (FLASK, "{app} {port}", STOPPED),
    "flask-run": (FLASK, "flask --app {app} run --debug --port {port}", STOPPED),
    "uvicorn": (STARLETTE, "uvicorn --reload --port {port} {app}:app", LOST),
    "bottle": (BOTTLE, "{app} {port}", STOPPED),
    "cherrypy": (CHERRYPY, "{app} {port}", LOST),
    "runserver": (DJANGO, "{app} runserver 127.0.0.1:{port}", STOPPED),
}


@pytest.mark.parametrize("name", RELOADERS)
def test_reload(store: Store, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    """A command and who follows it live through a reload; a function does not, and its run says why."""
    code, command, ended = RELOADERS[name]
    monkeypatch.setitem(COMMANDS, name, command)
    monkeypatch.chdir(tmp_path)
    with Server(tmp_path, name, code) as server, Client(server.root) as client:
        status, _, body = server.ask("GET", "/begin")
        assert status == 200, body
        command_run, function = map(store.get, body.decode().split())
        lines = iter(client.get(command_run.id).lines())
        assert str(next(lines)) == "one"
        wait_until(lambda: function.tail_offset, DEADLINE, "its first tick")
        (tmp_path / "ask").touch()
        former = server.ask("GET", "/begin")[2]
        assert change(tmp_path / "served_app.py", function) == ended

        assert command_run.outcome is None
        wait_until(lambda: born(server) not in (None, former), DEADLINE, "an answer of the new process")
        (tmp_path / "ask").unlink()
        again = server.ask("GET", "/begin")[2].decode().split()
        (tmp_path / "go").touch()
        assert [str(line) for line in lines] == ["two"]
        assert command_run.wait(timeout=DEADLINE).ok

        assert server.process is not None
        os.killpg(server.process.pid, signal.SIGINT)  # as Ctrl-C does
        server.process.wait(DEADLINE)
        assert store.get(again[1]).wait(timeout=DEADLINE).reason in ("stopped", "lost")
    assert len(list(store.list(key="at import"))) == 1
    assert len(list(store.list())) == 5
    log = (tmp_path / "server.log").read_text()
    assert "runcast/web/" not in log, log


def change(app: Path, function: Run) -> str:
    """Change a file and return how a function ended: again where its reloader had not looked yet."""
    for _ in range(4):
        app.write_text(app.read_text() + "\n# changed\n")
        with contextlib.suppress(WaitTimeout):
            return str(function.wait(timeout=DEADLINE / 4))
    raise AssertionError("expected a reload, got none")


def born(server: Server) -> bytes | None:
    """Return when the process was begun that answers now, if one does: one that ends may answer half."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        status, _, body = server.ask("GET", "/begin")
        return body if status == 200 and body else None
    return None

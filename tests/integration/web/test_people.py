"""Users of a framework's own login: who started and stopped a run is who had logged in."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.sync.client import connect

from runcast import Run, Store
from runcast.who import VISITOR, Who
from tests.helpers.examples import EXAMPLES
from tests.helpers.servers import LONG, Server

pytestmark = pytest.mark.slow

ANA, BEN = Who("user", "ana"), Who("user", "ben")
# A login by a link, so that a client needs no form; the session is the framework's.
DJANGO = """
    from django.conf import settings
    settings.configure(
        SECRET_KEY="x" * 50, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "runcast.web.django"],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER + "/db"}},
        RUNCAST={
            "AUTHORIZE": lambda verb, run, request: request.original.user.is_superuser,
            "ALLOW_ANY_COMMAND": True,
            "COMMANDS": {"greet": "echo hello"},
        },
    )
    from django.core.KIND import get_KIND_application
    app = get_KIND_application()
    from django.contrib.auth import get_user_model, login
    from django.core.management import call_command
    from django.http import HttpResponse
    from django.urls import include, path
    from runcast.web.django import stream
    call_command("migrate", verbosity=0)
    People = get_user_model().objects
    if not People.exists():
        People.create_superuser("ana")
        People.create_superuser("ben")
        People.create_user("eve")

    def enter(request, name):
        login(request, People.get(username=name), "django.contrib.auth.backends.ModelBackend")
        return HttpResponse(name)

    def view(request):
        return stream(request, ["echo", "viewed"])

    urlpatterns = [
        path("enter/<name>", enter), path("view", view), path("", include("runcast.web.django.urls")),
    ]
"""
FLASK = """
    import flask_login
    from flask import Flask, request
    from runcast.web.flask import Runcast
    app = Flask(__name__)
    app.secret_key = "x" * 50
    manager = flask_login.LoginManager(app)

    class User(flask_login.UserMixin):
        def __init__(self, name):
            self.id = name

    manager.user_loader(User)

    def authorize(verb, run, request):
        return flask_login.current_user.is_authenticated and request.who.name != "eve"

    cast = Runcast(app, authorize=authorize, allow_any_command=True, commands={"greet": "echo hello"})

    @app.get("/enter/<name>")
    def enter(name):
        flask_login.login_user(User(name))
        return name

    @app.get("/view")
    def view():
        return cast.stream(["echo", "viewed"])

    @app.get("/begun")
    def begun():
        if (name := request.args.get("as")) is not None:
            with cast.acting_as(name):
                return cast.start(["echo", "begun"]).id
        return cast.start(["echo", "begun"]).id
"""
STARLETTE = """
    from starlette.applications import Starlette
    from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
    from starlette.middleware import Middleware
    from starlette.middleware.authentication import AuthenticationMiddleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from runcast.web.starlette import Runcast

    class Backend(AuthenticationBackend):
        async def authenticate(self, connection):
            if name := connection.cookies.get("name"):
                return AuthCredentials(), SimpleUser(name)

    async def enter(request):
        response = PlainTextResponse("entered")
        response.set_cookie("name", request.path_params["name"])
        return response

    async def view(request):
        return cast.stream(["echo", "viewed"])

    app = Starlette(
        routes=[Route("/enter/{name}", enter), Route("/view", view)],
        middleware=[Middleware(AuthenticationMiddleware, backend=Backend())],
    )
    cast = Runcast(
        app,
        allow_any_command=True,
        share_secret="x" * 50,
        commands={"greet": "echo hello"},
        authorize=lambda verb, run, request: request.who.name in ("ana", "ben"),
    )
"""
APPS = {
    "django-wsgi": ("gunicorn", DJANGO.replace("KIND", "wsgi")),
    "django-asgi": ("uvicorn", DJANGO.replace("KIND", "asgi")),
    "flask": ("gunicorn", FLASK),
    "starlette": ("uvicorn", STARLETTE),
}


class Client:
    """A client with the cookies of its login."""

    def __init__(self, root: str, name: str | None = None) -> None:
        self.netloc = urlsplit(root).netloc
        self.cookie = ""
        if name is not None:
            response, _ = self.ask("GET", f"/enter/{name}")
            assert response.status == 200
            cookies = response.headers.get_all("Set-Cookie") or []
            self.cookie = "; ".join(one.partition(";")[0] for one in cookies)

    def ask(self, method: str, path: str, value: Any = None) -> tuple[http.client.HTTPResponse, bytes]:
        """Send a request, and return the reply and its whole body."""
        connection = http.client.HTTPConnection(self.netloc, timeout=LONG)
        body = None if value is None else json.dumps(value)
        headers = {"Cookie": self.cookie, "X-Runcast": "1", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response, body


@pytest.fixture(name="server", scope="module", params=APPS)
def server_fixture(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str, Store]]:
    """Give the name of a framework, its server and its store."""
    kind, code = APPS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNCAST_STORE", str(folder / "store"))
        with Server(folder, kind, code.replace("FOLDER", repr(str(folder)))) as running:
            yield request.param, running.root, Store(str(folder / "store"))


def lines(store: Store, run: Run) -> list[tuple[str, str, str | None, str]]:
    """Return what the audit has of a run: verb, person, address, result."""
    text = (Path(store.path) / ".audit.jsonl").read_text()
    of_run = [line for line in map(json.loads, text.splitlines()) if line["run"] == run.id]
    return [(line["verb"], line["who"]["name"], line["peer"], line["result"]) for line in of_run]


def opened(server: Server, path: str, cookie: str = "", accept: str = "text/html") -> tuple[int, str | None]:
    """Return the status of a page that a browser opens, and where it is sent."""
    status, headers, _ = server.ask("GET", path, Accept=accept, Cookie=cookie)
    return status, headers.get("location")


@pytest.mark.parametrize(
    ("server_name", "kind", "settings", "login"),
    [
        ("gunicorn", "wsgi", 'LOGIN_URL="/enter/ana"', "/enter/ana"),
        ("uvicorn", "asgi", 'LOGIN_URL="entry", FORCE_SCRIPT_NAME="/app"', "/app/entry"),
        ("gunicorn", "wsgi", 'LOGIN_URL="https://login.example/"', "https://login.example/"),
        ("gunicorn", "wsgi", "", None),
    ],
    ids=["path", "name below a path", "another host", "no such url"],
)
def test_way_to_the_login(
    store: Store, tmp_path: Path, server_name: str, kind: str, settings: str, login: str | None
) -> None:
    """Under Django who is nobody yet is sent to the project's login by a page, and comes back to it."""
    code = DJANGO.replace("KIND", kind).replace("FOLDER", repr(str(tmp_path)))
    code = code.replace("settings.configure(", f"settings.configure({settings},".replace("(,", "("))
    code = code.replace("urlpatterns = [", 'urlpatterns = [path("entry", view, name="entry"), ')
    run = store.start(["true"])
    root = "/app" if "/app" in settings else ""
    with Server(tmp_path, server_name, code) as server:
        found = opened(server, f"/runs/{run.id}?x=1")
        eve, ana = (Client(server.root, name).cookie for name in ("eve", "ana"))
        refused = [opened(server, "/runs", eve), opened(server, "/runs", accept="application/json")]
        refused += [opened(server, f"/runs/{run.id}?share=1.x")]
        allowed = opened(server, "/runs", ana)

    sent = (302, f"{login}?next={root}/runs/{run.id}%3Fx%3D1")
    assert found == (sent if login else (403, None))
    assert refused == 3 * [(403, None)]
    assert allowed == (200, None)


def test_start_by_a_form(store: Store, tmp_path: Path) -> None:
    """Django's example starts a run by who has logged in, and leads to its page; others start nothing."""
    (tmp_path / "views.py").write_text((EXAMPLES / "django_start.py").read_text())
    code = DJANGO.replace("KIND", "wsgi").replace("FOLDER", repr(str(tmp_path)))
    code = code.replace("urlpatterns = [", "import views\n    urlpatterns = [path('deploy', views.deploy), ")
    code = code.replace('path("", include(', 'path("our/", include(')
    code = code.replace('People.create_superuser("ana")', 'People.create_superuser("ana", is_staff=True)')
    login = "path('admin/', include(([path('login', view, name='login')], 'admin')))"  # where others are sent
    code = code.replace("path('deploy'", f"{login}, path('deploy'")
    with Server(tmp_path, "gunicorn", code) as server:
        refused = Client(server.root, "eve").ask("POST", "/deploy")[0].status
        assert list(store.list()) == []
        response, _ = Client(server.root, "ana").ask("POST", "/deploy")
    (run,) = store.list()
    assert (refused, response.status) == (302, 302)
    assert response.headers["Location"] == f"/our/runs/{run.id}"
    assert run.started_by == ANA


def test_logged_in(server: tuple[str, str, Store]) -> None:
    """A run is started and stopped by users, by name; what one may not do is in the audit as well."""
    _, root, store = server
    ana, ben, eve = (Client(root, name) for name in ("ana", "ben", "eve"))

    response, body = ana.ask("POST", "/runs", {"command": ["sleep", "600"]})
    assert response.status == 201, body
    run = store.get(json.loads(body)["id"])
    assert eve.ask("POST", f"/runs/{run.id}/stop", {})[0].status == 403
    assert Client(root).ask("POST", f"/runs/{run.id}/stop", {})[0].status == 403
    assert ben.ask("POST", f"/runs/{run.id}/stop", {})[0].status == 202
    outcome = run.wait(timeout=LONG, check=False)
    assert ana.ask("DELETE", f"/runs/{run.id}")[0].status == 204

    assert json.loads(body)["started_by"] == ANA.to_json()
    assert (run.started_by, outcome.stopped_by) == (ANA, BEN)
    here = "127.0.0.1"
    assert lines(store, run) == [
        ("start", "ana", here, "done"),
        ("stop", "eve", here, "NotAllowed"),
        ("stop", "ben", here, "done"),
        ("delete", "ana", here, "done"),
    ]


def test_view(server: tuple[str, str, Store]) -> None:
    """A run that a view starts was started by who opened it; by a visitor, where nobody had logged in."""
    _, root, store = server
    for name, who in (("ana", ANA), (None, VISITOR)):
        response, body = Client(root, name).ask("GET", "/view")
        assert body == b"viewed\n"
        run = store.get(response.headers["Content-Location"].split("/")[-2])
        assert run.started_by == who


def test_start_in_a_view(server: tuple[str, str, Store]) -> None:
    """`start` in a view of Flask knows whose request is answered, unless the view says somebody else."""
    name, root, store = server
    if name == "flask":
        for path, who in (("/begun", ANA), ("/begun?as=ben", BEN)):
            _, body = Client(root, "ana").ask("GET", path)
            assert store.get(body.decode()).started_by == who


def test_by_websocket(server: tuple[str, str, Store]) -> None:
    """What a WebSocket asks for is asked by who opened it."""
    name, root, store = server
    if name != "starlette":
        return
    run = store.start(["sleep", "600"])
    url = f"{root.replace('http', 'ws')}/runs/{run.id}/log"
    with connect(url, additional_headers={"Cookie": Client(root, "ben").cookie}) as socket:
        socket.send(json.dumps({"stop": {"grace": 5}}))
        outcome = run.wait(timeout=LONG, check=False)

    assert outcome.stopped_by == BEN

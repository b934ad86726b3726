"""A view that streams works alone: with nothing mounted, its page and its log are behind its own URL."""

from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import LONG, Server
from tests.integration.web.frameworks import app_code

pytestmark = pytest.mark.slow

MOUNTS = [
    (".mount()", ""),
    ("app.install(cast)\n", ""),
    ("Runcast(app)", "Runcast()"),
    (', path("", include("runcast.web.django.urls"))', ""),
]


@pytest.mark.parametrize(
    ("name", "framework"),
    [
        ("gunicorn", "flask"),
        ("gunicorn", "bottle"),
        ("gunicorn", "cherrypy"),
        ("gunicorn", "django-wsgi"),
        ("gunicorn", "wsgi"),
        ("uvicorn", "django-asgi"),
        ("uvicorn", "starlette"),
        ("uvicorn", "fastapi"),
        ("uvicorn", "asgi"),
    ],
    ids=lambda value: value,
)
def test_view_alone(name: str, framework: str, store: Store, tmp_path: Path) -> None:
    """A browser is led to the page, which finds its files and the log; nothing else is there."""
    code = app_code(framework, tmp_path)
    for mount, nothing in MOUNTS:
        code = code.replace(mount, nothing)
    with Server(tmp_path, name, code) as server:
        status, headers, _ = server.ask("GET", "/stream", Accept="text/html")
        (run,) = store.list()
        page = f"/stream?runcast=/runs/{run.id}"
        assert (status, headers["location"]) == (303, page)
        status, _, body = server.ask("GET", page, Accept="text/html")
        assert status == 200
        script = body.decode().partition('<script type="module" src="')[2].partition('"')[0]
        status, headers, _ = server.ask("GET", script)
        assert (status, headers["content-type"].partition(";")[0]) == (200, "text/javascript")
        (tmp_path / f"go-{run.id}").touch()
        run.wait(timeout=LONG)
        log = server.ask("GET", f"{page}/log?channel=stdout")[2]
        assert log == b"one\nthree\n"
        assert server.ask("GET", "/stream?runcast=/runs")[0] == 403
        if framework not in ("wsgi", "asgi"):  # which are the API itself
            assert server.ask("GET", f"/runs/{run.id}")[0] == 404
        assert len(list(store.list())) == 1

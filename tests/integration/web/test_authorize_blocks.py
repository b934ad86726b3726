"""An `authorize=` that blocks, or is awaited for long: other requests are answered meanwhile."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.sync.client import connect

from runcast import Run, Store
from tests.helpers.servers import LONG, Server
from tests.helpers.stores import temporary_store
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow

# Who sends `X-How` waits in `authorize` until the file of that name is there. `/waiting` is a view of the
# event loop: it says how many wait.
AUTHORIZE = """
    import asyncio, time
    from pathlib import Path

    waiting = []

    async def later(name):
        waiting.append(name)
        while not Path(name).exists():
            await asyncio.sleep(0.005)
        waiting.remove(name)
        return name.endswith("yes")

    def authorize(verb, run, request):
        kind, _, name = (request.header("x-how") or "").partition(" ")
        if kind == "async":
            return later(name)
        if kind == "sync":
            waiting.append(name)
            while not Path(name).exists():
                time.sleep(0.005)
            waiting.remove(name)
        return not name or name.endswith("yes")
"""
STARLETTE = (
    AUTHORIZE
    + """
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route
    from runcast.web.starlette import Runcast

    async def waiting_now(request):
        return JSONResponse(len(waiting))

    app = Starlette(routes=[Route("/waiting", waiting_now)])
    cast = Runcast(app, authorize=authorize)
"""
)
DJANGO = (
    AUTHORIZE.replace("def authorize", "def decide")
    + """
    from django.conf import settings

    async def authorize(verb, run, request):
        answer = decide(verb, run, request)
        return answer if isinstance(answer, bool) else await answer

    def either(verb, run, request):
        kind = (request.header("x-how") or "").partition(" ")[0]
        return authorize(verb, run, request) if kind == "async" else decide(verb, run, request)

    settings.configure(
        SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], RUNCAST={"AUTHORIZE": either}
    )
    from django.core.asgi import get_asgi_application
    from django.http import JsonResponse
    from django.urls import include, path

    async def waiting_now(request):
        return JsonResponse(len(waiting), safe=False)

    urlpatterns = [path("waiting", waiting_now), path("", include("runcast.web.django.urls"))]
    app = get_asgi_application()
"""
)


@pytest.fixture(scope="module", name="served", params=["starlette", "django"])
def served_fixture(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Give a server whose `authorize` can be made to wait."""
    folder = tmp_path_factory.mktemp(request.param)
    code = {"starlette": STARLETTE, "django": DJANGO}[request.param]
    with temporary_store(folder / "store") as store, Server(folder, "uvicorn", code, store=store) as server:
        yield server


@pytest.fixture(scope="module", name="run")
def run_fixture(served: Server) -> Run:
    """Give a run that goes on."""
    return Store(served.store.path).start(["sh", "-c", "echo one; exec sleep 600"], stdin="pipe")


def waiting(server: Server) -> int:
    """Return how many requests wait in `authorize`, as the server's event loop says."""
    return int(server.ask("GET", "/waiting")[2])


ASKED = {
    "list": ("GET", "/runs"),
    "run": ("GET", "/runs/{id}"),
    "log": ("GET", "/runs/{id}/log?follow=0"),
    "signal": ("POST", "/runs/{id}/signal"),
    "stdin": ("POST", "/runs/{id}/stdin"),
    "create": ("PUT", "/v1/stream/some"),
    "append": ("POST", "/v1/stream/some"),
    "read": ("GET", "/v1/stream/runs/{id}"),
}


@pytest.mark.parametrize("answer", ["yes", "no"])
@pytest.mark.parametrize("how", ["sync", "async"])
def test_others_are_answered(served: Server, run: Run, tmp_path: Path, how: str, answer: str) -> None:
    """The event loop serves other requests until `authorize` has decided; its decision holds then."""
    go = tmp_path / answer
    bodies = {"signal": b'{"signal": "SIGURG"}', "append": b"x"}

    def ask(method: str, path: str, what: str) -> int:
        headers = {"X_How": f"{how} {go}", "Content_Type": "application/json"}
        if what in ("create", "append"):
            headers["Content_Type"] = "text/plain"
        return served.ask(method, path.format(id=run.id), bodies.get(what), **headers)[0]

    assert served.ask("PUT", "/v1/stream/some", Content_Type="text/plain")[0] in (200, 201)
    for what, (method, path) in ASKED.items():
        go.unlink(missing_ok=True)
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(ask, method, path, what)
            try:
                wait_until(lambda: waiting(served) == 1, timeout=LONG, what=f"{what} in authorize")
                assert not asked.done()
            finally:
                go.touch()
            status = asked.result(LONG)
        assert (status < 300) if answer == "yes" else (status == 403), (what, status)


@pytest.mark.parametrize("served", ["starlette"], indirect=True)  # Django has no WebSockets
def test_websockets(served: Server, run: Run, tmp_path: Path) -> None:
    """To connect a WebSocket is decided beside the event loop, too."""
    go = tmp_path / "yes"

    def hear() -> str | bytes:
        url = f"{served.root.replace('http', 'ws')}/runs/{run.id}/log"
        with connect(url, additional_headers={"X-How": f"sync {go}"}, open_timeout=LONG) as socket:
            return socket.recv(timeout=LONG)

    with ThreadPoolExecutor() as pool:
        heard = pool.submit(hear)
        try:
            wait_until(lambda: waiting(served) == 1, timeout=LONG)
        finally:
            go.touch()
        assert run.id in str(heard.result(LONG))

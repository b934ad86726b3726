"""A failure is reported to those whom it concerns: the visitor, the operator, the author of a view."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from runcast import Run, Store
from runcast.wire.forms import FORMS
from tests.helpers.servers import LONG, Server
from tests.helpers.stores import temporary_store
from tests.helpers.wait import wait_until
from tests.integration.web.doors import _CHOOSE, _CHOOSERS
from tests.integration.web.failing import APPS

pytestmark = pytest.mark.slow  # two servers, for all tests

SECRET = "hunter2"
NAMES = [(kind, name) for kind, apps in APPS.items() for name in apps]


class Failing(NamedTuple):
    """An application under its server, and the store of its runs."""

    name: str
    server: Server
    store: Store

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of a GET."""
        return self.server.ask("GET", path, X_App=self.name, **headers)

    def poll(self, path: str) -> dict[str, Any]:
        """Return the answer to a GET without any header of a poll."""
        value: dict[str, Any] = json.loads(self.get(path)[2])
        return value

    def run_of(self, headers: dict[str, str]) -> Run:
        """Return the run that a reply belongs to."""
        return self.store.get(re.findall(r"/runs/(\w+)/log", headers["content-location"])[0])


@pytest.fixture(name="servers", scope="module")
def servers_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Server], Store]]:
    """Give a server for each kind of framework."""
    folder = tmp_path_factory.mktemp("failing")
    with pytest.MonkeyPatch.context() as patch, temporary_store(folder / "store") as store:
        patch.setenv("RUNCAST_STORE", str(folder / "store"))
        servers = {}
        for kind, apps in APPS.items():
            place = folder / kind
            place.mkdir()
            for name, code in apps.items():
                (place / f"in_{name.replace('-', '_')}.py").write_text(code)
            alone = "wsgi" if kind == "gunicorn" else "asgi"
            names = [name.replace("-", "_") for name in apps]
            code = _CHOOSE.format(names=names, kind=alone) + _CHOOSERS[kind].replace('"/view"', '"/-"')
            servers[kind] = Server(place, kind, code)
            servers[kind].start()
        yield servers, store
        for server in servers.values():
            server.kill()


@pytest.fixture(name="app", params=NAMES, ids=[name for _, name in NAMES])
def app_fixture(request: pytest.FixtureRequest, servers: tuple[dict[str, Server], Store]) -> Failing:
    """Give each framework's application."""
    kind, name = request.param
    return Failing(name, servers[0][kind], servers[1])


def test_command_that_cannot_start(app: Failing) -> None:
    """curl gets 500 and the sentence, a program a problem; the log itself stays 200 and says the same."""
    status, headers, body = app.get("/missing")

    assert (status, headers["content-type"].replace(" ", "")) == (500, "text/plain;charset=utf-8")
    assert re.fullmatch(rb"\[runcast: failed to start \(.*/nowhere/at-all.*\)\]\n", body)
    for accept in ("application/json", "text/event-stream", "application/x-ndjson"):
        status, headers, reply = app.get("/missing", Accept=accept)
        assert (status, headers["content-type"]) == (500, "application/problem+json"), accept
        problem = json.loads(reply)
        assert (problem["error"], problem["status"]) == ("StartFailed", 500)
        assert "/nowhere/at-all" in problem["detail"]
    run = app.run_of(headers)
    assert app.get(f"/runs/{run.id}/log")[::2] == (200, body)
    assert app.get(f"/runs/{run.id}/log?end=1")[2] == body


def test_page_of_a_command_that_cannot_start(app: Failing) -> None:
    """A browser is led to the page, which says it."""
    assert app.get("/missing", Accept="text/html")[0] == 303


def test_poll_of_a_command_that_cannot_start(app: Failing) -> None:
    """A poll with a key is 500 as well, and the next one tries again."""
    first, second = (app.get("/missing?key=k") for _ in range(2))

    assert (first[0], second[0]) == (500, 500)
    assert {json.loads(reply[2])["error"] for reply in (first, second)} == {"StartFailed"}


@pytest.mark.parametrize("path", ["/mistake", "/shell"])
def test_mistake_of_the_author(app: Failing, path: str) -> None:
    """A wrong argument is an error of the view: the framework answers 500 and logs where it is."""
    status, headers, body = app.get(path)

    assert status == 500
    assert headers.get("content-type") != "application/problem+json"
    assert b"[runcast" not in body
    if app.name not in ("cherrypy", "bottle", "django-wsgi", "django-asgi"):  # these log elsewhere
        output = "expected the arguments that plain()" if path == "/mistake" else "shell=True"
        where = "" if "sgi" in app.name else f"in view_{path[1:]}\n"
        log = app.server.folder / "server.log"
        wait_until(lambda: where in (text := log.read_text()) and output in text, what=f"{output} in the log")


def test_mistake_of_the_visitor(app: Failing) -> None:
    """What the visitor got wrong is still 400, and starts nothing."""
    before = len(list(app.store.list()))

    assert app.get("/fails?tail=none")[0] == 400
    assert app.get("/fails", Accept="image/png")[0] == 406
    assert len(list(app.store.list())) == before


@pytest.mark.parametrize("path", ["/fails", "/broken"])
def test_traceback_stays_inside(app: Failing, path: str) -> None:
    """Outside of debug mode viewers see a sentence with the run's id; the store has the traceback."""
    _, headers, body = app.get(path)
    run = app.run_of(headers)
    outcome = run.wait(LONG)

    assert SECRET.encode() not in body
    assert f"run {run.id} ended with an error".encode() in body
    for form in (form for form in FORMS.values() if form.media_type):
        assert SECRET.encode() not in app.get(f"/runs/{run.id}/log?format={form}")[2], form
    assert SECRET.encode() not in app.get(f"/runs/{run.id}/log?end=1")[2]
    assert f"ValueError: the password is {SECRET}" in outcome.traceback
    assert (outcome.code, SECRET in outcome.message) == (1, False)


def test_decorated_plain_function(app: Failing) -> None:
    """A plain function below `stream` is a view, and an uncalled generator function can be streamed."""
    for _ in range(2):  # each request has a run of its own
        assert app.get("/plain")[::2] == (200, b"plainly\n")
    assert app.get("/counted")[::2] == (200, b"1\n2\n3\n")
    assert app.get("/uncalled")[::2] == (200, b"1\n2\n3\n")


def test_key_alone_polls(app: Failing) -> None:
    """`?key=` is a poll for a client that sets no header; one that accepts text gets text."""
    seen: list[object] = []
    closed = False
    while not closed:
        answer = app.poll("/counted?key=mine&max=1")
        seen += [value for chunk in answer["chunks"] for value in chunk["values"]]
        closed = answer["closed"]

    assert seen == [1, 2, 3]
    assert app.get("/counted?key=mine", Accept="text/plain")[2] == b"1\n2\n3\n"


def test_poll_after_an_exception(app: Failing) -> None:
    """The reply with the last words says how the run ended, and `count` counts the values alone.

    The state is that of the run, which may be over before its reader is at the end: `closed` says that.
    """
    answer = app.poll("/broken?key=it")
    while not any(chunk["channel"] == "stderr" for chunk in answer["chunks"]):
        assert not answer["closed"]
        answer = app.poll("/broken?key=it")

    assert (answer["state"], answer["closed"], answer["count"]) == ("exited", True, 2)
    assert (answer["outcome"]["ok"], answer["outcome"]["code"]) == (False, 1)

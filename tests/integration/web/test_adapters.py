"""What all adapters offer alike, in each framework under a real server."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import LONG, Server
from tests.helpers.stores import empty_store, temporary_store
from tests.integration.web.frameworks import FULL, full_code
from tests.unit.wire.eventsource import EventSource

pytestmark = pytest.mark.slow

SERVERS = {"starlette": "uvicorn", "django-asgi": "uvicorn", "aiohttp": "itself"}
EVENTS = "text/event-stream"
HTML = "text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.fixture(scope="module", params=FULL)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the application of a framework for all tests."""
    name = SERVERS.get(request.param, "gunicorn")
    folder = tmp_path_factory.mktemp("served")
    with (
        temporary_store(folder / "store") as store,
        Server(folder, name, full_code(request.param, folder), store=store) as running,
    ):
        yield running


@pytest.fixture
def server(served: Server) -> Iterator[Server]:
    """Give the server, whose store is empty."""
    yield served
    empty_store(served.store)


def test_sources(server: Server) -> None:
    """A decorated generator and a function stream in each form, an interval of runs of their own."""
    assert server.ask("GET", "/count")[2] == b"0\n1\n2\n"
    events = EventSource().read(server.ask("GET", "/count", Accept=EVENTS)[2])
    assert next(event.type for event in events) == "run"
    assert json.loads(events[-1].data)["outcome"]["ok"] is True
    polled = json.loads(server.ask("GET", "/count", Accept="application/json")[2])
    assert polled["chunks"][0]["values"][0] == 0
    assert server.ask("GET", "/job")[2] == b"Task 0\nTask 1\n"
    assert [run.name.split(".")[-1] for run in server.store.list()] == ["job", "count", "count", "count"]


def test_function_that_nobody_watches_is_stopped(store: Store, tmp_path: Path) -> None:
    """A function that a viewer started is stopped when the viewer has left, and not come back."""
    code = full_code("flask", tmp_path).replace(
        "cast.stream(job, 2)", "cast.stream(endless, stop_unwatched=0.5)"
    )
    endless = (
        "\nimport time\ndef endless():\n    while True:\n        print('on')\n        time.sleep(0.02)\n"
    )
    with Server(tmp_path, "gunicorn", code + endless) as server:
        with server.stream("/job") as response:
            assert response.read1()
        (run,) = store.list()
        assert run.wait(timeout=LONG).reason == "stopped"


def test_trace(server: Server) -> None:
    """A view's run belongs to the trace of its request; that of a request without one to none."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    server.ask("GET", "/job", traceparent=f"00-{trace_id}-b7ad6b7169203331-01")
    server.ask("GET", "/job")
    assert [run.trace_id for run in server.store.list()] == [None, trace_id]


def test_viewers_share_a_run(server: Server) -> None:
    """With a key two viewers see one run."""
    one, two = (server.ask("GET", "/shared")[2] for _ in range(2))
    assert one == two
    assert one.strip().isdigit()
    assert len(list(server.store.list())) == 1


def test_view_starts_only_for_viewers(server: Server) -> None:
    """HEAD, prefetch, a wrong parameter and the id of a run that is gone start nothing."""
    assert server.ask("HEAD", "/job")[0] in (200, 405)  # Django, Starlette and Bottle decide themselves
    assert server.ask("GET", "/job", Sec_Purpose="prefetch")[0] == 503
    assert server.ask("GET", "/job", Last_Event_ID="01m7xrjgx61gtdp37ey6dhbxpx:0")[0] == 204
    assert server.ask("GET", "/job?format=gif")[0] == 400
    assert server.ask("GET", "/job", Accept="image/png")[0] == 406
    assert not list(server.store.list())


def test_view_resumes_its_own_run(server: Server) -> None:
    """An EventSource that was cut goes on with its run, and gets a 204 when there is no more."""
    browser = EventSource()
    whole = server.ask("GET", "/job", Accept=EVENTS)[2]
    browser.read(whole[: whole.index(b"event: exit")])
    again = {"Accept": EVENTS, "Last-Event-ID": browser.last_event_id}
    assert [event.type for event in browser.read(server.ask("GET", "/job", **again)[2])] == ["run", "exit"]
    assert server.ask("GET", "/count", **again)[0] == 204  # another view's
    again["Last-Event-ID"] = browser.last_event_id
    assert server.ask("GET", "/job", **again)[0] == 204
    assert len(list(server.store.list())) == 1


def test_mounted_api(server: Server, request: pytest.FixtureRequest) -> None:
    """The API is below its prefix: pages, commands, runs; what `authorize` refuses is refused."""
    status, headers, _ = server.ask("GET", "/job", Accept=HTML)
    (run,) = server.store.list()
    assert (status, headers["location"]) == (303, f"/tools/runs/{run.id}")
    page = server.ask("GET", f"/tools/runs/{run.id}", Accept=HTML)[2].decode()
    assert 'data-root="/tools" ' in page
    script = page.partition('<script type="module" src="')[2].partition('"')[0]
    assert server.ask("GET", script)[0] == 200
    assert server.ask("GET", "/tools/runs", Accept=HTML)[0] == 200

    (command,) = json.loads(server.ask("GET", "/tools/commands")[2])["commands"]
    assert (command["name"], command["title"]) == ("greet", "Greet")
    status, headers, body = server.ask("POST", "/tools/runs", b'{"name": "greet"}')
    started = json.loads(body)
    assert (status, headers["location"]) == (201, f"/tools/runs/{started['id']}")
    assert server.ask("GET", started["links"]["log"])[2] == b"hello\n"
    assert server.ask("POST", "/tools/runs", b'{"name": "other"}')[0] == 404
    assert server.ask("POST", "/tools/runs", b'{"command": ["ls"]}')[0] == 403
    assert server.ask("DELETE", f"/tools/runs/{started['id']}")[0] == 403
    too_much = 1 << 20 | 1
    if request.node.callspec.params["served"] == "django-asgi":  # takes the whole body before it asks us
        assert server.ask("POST", "/tools/runs", bytes(too_much))[0] == 413
    else:
        assert server.offer("/tools/runs", too_much) == 413

    begun = server.ask("POST", "/begin", b"")[2].decode()
    assert server.store.get(begun).wait(timeout=LONG).ok


def test_foreign_pages_start_nothing(server: Server) -> None:
    """A page of another site cannot start a command by a visitor's browser; one of ours can."""
    greet = ("POST", "/tools/runs", b'{"name": "greet"}')
    assert server.ask(*greet, Sec_Fetch_Site="cross-site")[0] == 403
    assert server.ask(*greet, Sec_Fetch_Site="same-site")[0] == 403
    assert server.ask(*greet, Origin="http://evil.example")[0] == 403  # a browser that says no more
    assert not list(server.store.list())
    assert server.ask(*greet, Origin=server.root, Sec_Fetch_Site="same-origin")[0] == 201


# Commands of the frameworks


def run_in(folder: Path, *command: str) -> str:
    """Run a command of a framework to its end; return what it printed."""
    env = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, *command], env=env, cwd=folder, capture_output=True, text=True, timeout=LONG
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_flask_runcast(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`flask runcast` is the command line with the application's store."""
    run = store.start(["echo", "hello"])
    run.wait()
    monkeypatch.delenv("RUNCAST_STORE")
    code = "from flask import Flask\nfrom runcast.web.flask import Runcast\napp = Flask(__name__)\n"
    (tmp_path / "app.py").write_text(f"{code}Runcast(app, store={store.path!r})\n")
    assert run_in(tmp_path, "-m", "flask", "--app", "app", "runcast", "log", run.id) == "hello\n"
    assert "runcast" in run_in(tmp_path, "-m", "flask", "--app", "app", "--help")


DJANGO = """
import sys
from django.conf import settings
settings.configure(RUNCAST={SETTINGS}, INSTALLED_APPS=["runcast.web.django", *{APPS}], MIDDLEWARE={MIDDLE})
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


def manage(
    folder: Path,
    *arguments: str,
    settings: object = None,
    apps: object = (),
    middle: object = (),
    code: str = DJANGO,
) -> str:
    """Run a management command of a project with these settings; return what it printed."""
    code = code.replace("{SETTINGS}", repr(settings or {})).replace("{APPS}", repr(apps))
    (folder / "manage.py").write_text(code.replace("{MIDDLE}", repr(list(middle))))  # type: ignore[call-overload]
    env = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env=env,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONG,
    )
    return done.stdout


def test_manage_runcast(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`manage.py runcast` is the command line with the project's store."""
    run = store.start(["echo", "hello"])
    run.wait()
    monkeypatch.delenv("RUNCAST_STORE")
    assert manage(tmp_path, "runcast", "log", run.id, settings={"STORE": store.path}) == "hello\n"
    assert "runcast" in manage(tmp_path, "runcast", "--help", settings={"STORE": store.path})


@pytest.mark.parametrize(
    ("settings", "apps", "middle", "expected"),
    [
        ({}, (), ["django.middleware.gzip.GZipMiddleware"], "no issues"),
        ({"PLACE": "x"}, (), (), "runcast.E001"),
        ({"COMMANDS": ["ls"]}, (), (), "authorize="),
        ({"STORE": "/proc/nope"}, (), (), "(runcast.W004) no run can be started: cannot write to the store"),
        ({}, ("daphne",), (), "runcast.W001"),
        ({}, (), ["compression_middleware.middleware.CompressionMiddleware"], "runcast.W002"),
    ],
    ids=["good", "unknown key", "nobody may", "no place", "daphne", "compression"],
)
def test_django_checks(tmp_path: Path, settings: object, apps: object, middle: object, expected: str) -> None:
    """`manage.py check` finds what would not work, or would hold output back."""
    assert expected in manage(tmp_path, "check", settings=settings, apps=apps, middle=middle)


@pytest.mark.parametrize(
    ("logging", "is_heard"),
    [
        ({}, False),
        ({"handlers": {"all": {"class": "logging.StreamHandler"}}, "root": {"handlers": ["all"]}}, True),
        ({"handlers": {"no": {"class": "logging.NullHandler"}}, "root": {"handlers": ["no"]}}, False),
    ],
    ids=["none", "handler", "null handler"],
)
def test_django_check_of_logging(tmp_path: Path, logging: dict[str, object], is_heard: bool) -> None:
    """`manage.py check --deploy` says where nobody would hear of a function that fails."""
    named = f"settings.LOGGING = {logging | {'version': 1}}\nfrom django.core.management"
    code = DJANGO.replace("from django.core.management", named)
    told = manage(tmp_path, "check", "--deploy", code=code)
    assert "security.W009" in told  # the checks were made
    assert ("runcast.W003" in told) is not is_heard

"""The first article's program: a Flask view that streams a command, its page unchanged."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import Server
from tests.helpers.stores import empty_store, temporary_store
from tests.helpers.wait import MS, wait_until
from tests.unit.wire.eventsource import EventSource

pytestmark = pytest.mark.slow

APP = """
    from flask import Flask
    from runcast.web.flask import Runcast

    app = Flask(__name__)
    cast = Runcast(app)

    @app.get("/stream")
    def stream():
        return cast.stream(["bash", "count.sh"], cwd=FOLDER)

    @app.get("/other")
    def other():
        return cast.stream(["echo", "other"])

    @app.get("/quiet")
    def quiet():
        return cast.stream(["sleep", "60"], interval=0.2)
"""
# Counts to three, then waits for `go`, then counts to six.
COUNT = """
for i in 1 2 3; do echo $i; done
while [ ! -e go ]; do sleep 0.02; done
for i in 4 5 6; do echo $i; done
"""
EVENTS = "text/event-stream"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the article's application with two workers, for all tests."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "count.sh").write_text(COUNT)
    code = APP.replace("FOLDER", repr(str(folder)))
    with (
        temporary_store(folder / "store") as store,
        Server(folder, "gunicorn", code, workers=2, store=store) as running,
    ):
        yield running


@pytest.fixture
def server(served: Server) -> Iterator[Server]:
    """Give the server, whose store is empty, with no run released yet."""
    yield served
    empty_store(served.store)
    (served.folder / "go").unlink(missing_ok=True)


def read_until(response: object, text: bytes) -> bytes:
    """Return what came up to a text."""
    seen = b""
    while text not in seen:
        data = response.read1()  # type: ignore[attr-defined]
        assert data, f"the reply ended before {text!r}: {seen!r}"
        seen += data
    return seen


def test_page_sees_each_line_once_through_a_restart(server: Server) -> None:
    """An EventSource that is cut by a restart of the server goes on with its own run, line by line."""
    browser = EventSource()
    with server.stream("/stream", Accept=EVENTS) as response:
        events = browser.read(read_until(response, b"data: 2\n"))
        server.kill()
    server.start()
    (server.folder / "go").touch()
    again = {"Accept": EVENTS, "Last-Event-ID": browser.last_event_id}
    events += browser.read(server.ask("GET", "/stream", **again)[2])
    lines = [event.data for event in events if event.type == "message"]
    assert lines == ["1", "2", "3", "4", "5", "6"]
    assert len(list(server.store.list())) == 1
    # The browser reconnects once after the end, and the 204 stops it.
    again["Last-Event-ID"] = browser.last_event_id
    assert server.ask("GET", "/stream", **again)[0] == 204
    assert len(list(server.store.list())) == 1


def test_tabs_have_runs_of_their_own(server: Server) -> None:
    """Two tabs that open the page start two runs, and neither sees the other's lines."""
    with server.stream("/stream", Accept=EVENTS) as one, server.stream("/stream", Accept=EVENTS) as two:
        read_until(one, b"data: 3\n")
        read_until(two, b"data: 3\n")
    assert len(list(server.store.list())) == 2


def test_silent_run_is_not_started_twice(server: Server) -> None:
    """A run that says nothing resumes, too: its first event has an id."""
    browser = EventSource()
    with server.stream("/quiet", Accept=EVENTS) as response:
        browser.read(read_until(response, b"\n\n"))
    assert browser.last_event_id
    headers = {"Accept": EVENTS, "Last-Event-ID": browser.last_event_id}
    with server.stream("/quiet", **headers) as response:
        read_until(response, b"event: run\n")
    assert len(list(server.store.list())) == 1


def test_exit_is_seen_after_a_cut_behind_the_last_line(server: Server) -> None:
    """Cut off between the last line and the exit, an EventSource still sees the exit."""
    (server.folder / "go").touch()
    browser = EventSource()
    whole = server.ask("GET", "/stream", Accept=EVENTS)[2]
    events = browser.read(whole[: whole.index(b"event: exit")])
    assert [event.data for event in events if event.type == "message"][-1] == "6"
    again = {"Accept": EVENTS, "Last-Event-ID": browser.last_event_id}
    rest = browser.read(server.ask("GET", "/stream", **again)[2])
    assert [event.type for event in rest] == ["run", "exit"]
    assert json.loads(rest[1].data)["outcome"]["ok"] is True


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {}),
        ("GET", {"Sec-Purpose": "prefetch"}),
        ("GET", {"Purpose": "prefetch"}),
        ("GET", {"Last-Event-ID": "01m7xrjgx61gtdp37ey6dhbxpx:0"}),
        ("GET", {"Last-Event-ID": "nonsense"}),
    ],
)
def test_nothing_is_started(server: Server, method: str, headers: dict[str, str]) -> None:
    """HEAD, prefetch, and the id of a run that is gone or never was start nothing."""
    status = server.ask(method, "/stream", **headers)[0]
    assert status in (200, 204, 503)
    assert not list(server.store.list())


def test_run_of_another_view_is_not_resumed(server: Server) -> None:
    """A view resumes only what it started itself."""
    browser = EventSource()
    browser.read(server.ask("GET", "/other", Accept=EVENTS)[2].partition(b"event: exit")[0])
    headers = {"Accept": EVENTS, "Last-Event-ID": browser.last_event_id}
    assert server.ask("GET", "/stream", **headers)[0] == 204
    assert len(list(server.store.list())) == 1


def test_interval_line_while_the_command_is_silent(server: Server) -> None:
    """`interval=` puts a visible line into a silent reply, outside the log."""
    with server.stream("/quiet") as response:
        assert read_until(response, b"Interval\n").endswith(b"*** Interval\n")


def test_browser_is_led_to_the_live_page(server: Server) -> None:
    """A browser that navigates to the view is sent to the page of the run just started."""
    status, headers, _ = server.ask("GET", "/stream", Accept="text/html,*/*;q=0.8")
    (run,) = server.store.list()
    assert (status, headers["location"]) == (303, f"/runs/{run.id}")
    assert server.ask("GET", headers["location"], Accept="text/html")[0] == 200


def test_mounted_api_needs_an_id(server: Server) -> None:
    """With the mounted API one may read and stop a run whose id one has; not list, nor start."""
    server.ask("GET", "/other")
    (run,) = server.store.list()
    assert server.ask("GET", f"/runs/{run.id}")[0] == 200
    assert server.ask("GET", "/runs")[0] == 403
    assert server.ask("POST", "/runs", b'{"command": ["ls"]}')[0] == 403
    assert server.ask("DELETE", f"/runs/{run.id}")[0] == 403


def test_unwatched_run_is_stopped(store: Store, tmp_path: Path) -> None:
    """A run that a viewer's GET started ends when nobody has read it for a while; others go on."""
    code = APP.replace('["sleep", "60"], interval=0.2', f'["sleep", "60"], stop_unwatched={300 * MS}')
    with Server(tmp_path, "gunicorn", code.replace("FOLDER", repr(str(tmp_path)))) as server:
        kept = store.start(["sleep", "60"])
        with server.stream("/quiet", Accept=EVENTS) as response:
            read_until(response, b"event: run\n")
            (run,) = (run for run in store.list() if run.id != kept.id)
            assert run.outcome is None
        wait_until(lambda: run.outcome is not None, timeout=20000 * MS, what="the end of the unwatched run")
    assert run.wait().reason == "stopped"
    assert kept.outcome is None

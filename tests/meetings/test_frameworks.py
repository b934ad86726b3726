"""Frameworks without an adapter, as the docs mount the API in them: live, the head, who left, and SIGTERM.

Each is the example of docs/howto/other-frameworks.md, under a server of the environment of the meetings.
"""

import contextlib
import http.client
import json
import signal
import sys
from pathlib import Path

import pytest
from websockets.sync.client import connect

from runcast import Run, Store
from tests.helpers.examples import EXAMPLES
from tests.helpers.servers import Server
from tests.helpers.wait import MS
from tests.helpers.workers import MEETINGS
from tests.integration.web.frameworks import STEPS
from tests.integration.web.test_matrix import first_line, vanish
from tests.unit.wire.eventsource import EventSource

pytestmark = [pytest.mark.meetings, pytest.mark.slow]

DEADLINE = 20000 * MS
EVENTS, TEXT = "text/event-stream", "text/plain"
OURS = Path(sys.executable).parent  # where FastAPI and Django are
_UVICORN = "uvicorn --port {port} {app}:app"
SERVES = {
    "quart-hypercorn": (MEETINGS, "hypercorn --bind 127.0.0.1:{port} {app}:app"),
    "quart-uvicorn": (MEETINGS, _UVICORN),
    "litestar-uvicorn": (MEETINGS, _UVICORN),
    "litestar-granian": (MEETINGS, "granian --interface asgi --port {port} {app}:app"),
    "sanic-uvicorn": (MEETINGS, _UVICORN),
    "fastapi-uvicorn": (OURS, _UVICORN),
    "django-uvicorn": (OURS, _UVICORN),
    "django-daphne": (OURS, "daphne -b 127.0.0.1 -p {port} {app}:app"),
    "tornado": (MEETINGS, "python {app}.py {port}"),
}
CUTS = {"django-daphne"}  # which ends at once


class Example(Server):
    """An example of the docs, with a `make` of its own in its folder."""

    def __init__(self, folder: Path, name: str) -> None:
        code = EXAMPLES / "other_frameworks" / f"{name.partition('-')[0]}_app.py"
        super().__init__(folder, "itself", code.read_text())
        programs, command = SERVES[name]
        program, *arguments = command.format(port=self.port, app="served_app").split()
        self._command = [str(programs / program), *arguments]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which a server and its `make` work."""
    (tmp_path / "steps.sh").write_text(STEPS)
    (tmp_path / "Makefile").write_text("all:\n\t@bash steps.sh || true\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def begin(server: Server) -> str:
    """Have a view start its command; return the path of its log."""
    status, headers, body = server.ask("POST", "/build")
    assert status in (302, 303), body
    return headers["location"]


def run_of(store: Store) -> Run:
    """Return the newest run."""
    return next(store.list(1))


@pytest.mark.parametrize("name", [name for name in SERVES if name != "tornado"])
def test_mounted(store: Store, folder: Path, name: str):
    """A view starts a command, and the API beside it streams in every form, until SIGTERM."""
    with Example(folder, name) as server:
        path = begin(server)
        run = run_of(store)
        with server.stream(path, Accept=TEXT) as plain, server.stream(path, Accept=EVENTS) as events:
            seen = [first_line(plain), first_line(events)]
            (folder / f"go-{run.id}").touch()
            text = (seen[0] + plain.read()).split()
            read = EventSource().read(seen[1] + events.read())
        assert sorted(text) == [b"one", b"three", b"two"]
        assert (read[0].type, read[-1].type) == ("run", "exit")

        with connect(f"ws://127.0.0.1:{server.port}{path}") as socket:
            said = [json.loads(message) for message in socket]
        chunks = [chunk for message in said for chunk in message.get("chunks", [])]
        assert sorted("".join(chunk["text"] for chunk in chunks).split()) == ["one", "three", "two"]
        assert said[-1]["outcome"]["ok"]

        silent = store.start(["sleep", "600"])
        log = path.replace(run.id, silent.id)
        vanish(server, log, head=True)

        with contextlib.ExitStack() as opened:
            events, plain = (opened.enter_context(server.stream(log, Accept=form)) for form in (EVENTS, TEXT))
            events.read1()
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            if name not in CUTS:
                assert b"event: restart" in events.read()
                with pytest.raises(http.client.IncompleteRead):  # not to be taken for the end
                    plain.read()
            server.process.wait(DEADLINE)
        assert silent.outcome is None
        silent.kill()
    assert "Traceback" not in (folder / "server.log").read_text()


def test_foreign(store: Store, folder: Path):
    """A page of another site stops nothing, whatever the application beside it would allow."""
    with Example(folder, "quart-uvicorn") as server:
        path = begin(server)
        stop = path.replace("/log", "/stop")
        assert server.ask("POST", stop, Sec_Fetch_Site="cross-site")[0] == 403
        assert server.ask("POST", stop, Sec_Fetch_Site="same-origin")[0] in (200, 202, 204)


def test_tornado(store: Store, folder: Path):
    """Tornado's handler is live, sends its head at once, and lets go of who left; the run goes on."""
    with Example(folder, "tornado") as server:
        with server.stream("/build") as response:
            assert response.status == 200
            run = run_of(store)
            assert response.getheader("X-Run") == run.id
            seen = first_line(response)
            (folder / f"go-{run.id}").touch()
            said = (seen + response.read()).decode().splitlines()
        assert {"one", "two", "three"} <= set(said)
        assert said[-1].startswith("exit code")

        vanish(server, "/build", head=True)
        silent = run_of(store)
        assert silent.id != run.id
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(DEADLINE)
        assert silent.outcome is None
        silent.kill()
    assert "Traceback" not in (folder / "server.log").read_text()

"""Runs in traces: the context of whatever starts a run reaches its command, and its record."""

import json
import os
import subprocess
from pathlib import Path

import flask
import pytest
from starlette.testclient import TestClient

from runcast import Store, attach
from runcast.server.app import ServerApp
from runcast.server.guard import Guard
from runcast.web.flask import Runcast
from tests.helpers.cli import cli, cli_begun

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
SHOW = ["sh", "-c", 'echo "$TRACEPARENT $TRACESTATE"']
TOKEN = "correct-horse-battery-staple"


def shown(store: Store) -> tuple[str, str, str]:
    """Return the trace id, the span id and the state that the newest run's command had."""
    run = next(store.list())
    run.wait()
    parent, _, state = run.output().strip("\n").partition(" ")
    _, trace_id, span_id, _ = parent.split("-") if parent else [""] * 4
    assert (run.trace_id or "") == trace_id
    return trace_id, span_id, state


def test_command_line(store: Store):
    """`runcast run` hands the context of its environment on, and `runcast ls --json` has the trace's id."""
    variables = {"TRACEPARENT": PARENT, "TRACESTATE": "a=1"}
    assert cli("run", "--", *SHOW, env=os.environ | variables).code == 0

    trace_id, span_id, state = shown(store)
    assert (trace_id, state) == (TRACE, "a=1")
    assert span_id not in ("", SPAN)
    assert json.loads(cli("ls", "--json").out)["trace_id"] == TRACE


@pytest.fixture(name="client")
def client_fixture(store: Store, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A client of a server that is itself a part of another trace."""
    monkeypatch.setenv("TRACEPARENT", f"00-{'9' * 32}-{SPAN}-01")
    app = ServerApp(store, Guard(["127.0.0.1"], TOKEN), commands={}, allow_any_command=True)
    return TestClient(app, "http://127.0.0.1:8765", headers={"Authorization": f"Bearer {TOKEN}"})


def test_client(store: Store):
    """`runcast run --server` sends the context of its environment with the start."""
    server = ["serve", "--no-auth", "--port", "0", "--allow-any-command"]
    with cli_begun(*server, stderr=subprocess.DEVNULL) as serving:
        url = serving.stdout.readline().decode().strip()
        variables = {"TRACEPARENT": PARENT, "TRACESTATE": "a=1"}
        assert cli("run", "--server", url, "--", *SHOW, env=os.environ | variables).code == 0
        serving.terminate()

    assert shown(store)[::2] == (TRACE, "a=1")


@pytest.mark.parametrize(
    ("header", "trace_id", "state"), [(PARENT, TRACE, "a=1"), ("nonsense", "", ""), (None, "", "")]
)
def test_request(client: TestClient, store: Store, header: str | None, trace_id: str, state: str):
    """POST /runs, and a repetition, take the context of their request, and never that of the server."""
    headers = {"tracestate": "a=1"} | ({} if header is None else {"traceparent": header})
    reply = client.post("/runs", headers=headers, json={"command": SHOW})
    assert reply.status_code == 201
    assert reply.json().get("trace_id", "") == trace_id
    assert shown(store)[::2] == (trace_id, state)

    assert client.post(f"/runs/{reply.json()['id']}/rerun", headers=headers, json={}).status_code == 201
    assert shown(store)[::2] == (trace_id, state)


def test_view_of_an_adapter(store: Store):
    """A view that streams a command, or starts one, gives it the context of the request."""
    app = flask.Flask("traced")
    cast = Runcast(app, store=store, authorize=lambda *_: True)

    @app.get("/show")
    def show() -> object:
        return cast.stream(SHOW)

    @app.post("/start")
    def start() -> str:
        return cast.start(SHOW).id

    with app.test_client() as client:
        assert TRACE in client.get("/show", headers={"traceparent": PARENT}).get_data(as_text=True)
        assert shown(store)[0] == TRACE
        client.post("/start", headers={"traceparent": PARENT.replace(TRACE, "3" * 32)})
        assert shown(store)[0] == "3" * 32


def test_block_in_this_process(store: Store, monkeypatch: pytest.MonkeyPatch):
    """A run without a process of its own has the trace in its record."""
    monkeypatch.setenv("TRACEPARENT", PARENT)
    with attach("nightly", store=store) as run:
        pass

    assert run.trace_id == TRACE
    assert run.to_json()["trace_id"] == TRACE


def test_explicit_variables(store: Store):
    """The context in `env=` is what starts the run; its command gets that of the run."""
    store.start(SHOW, env={"TRACEPARENT": PARENT}).wait()

    trace_id, span_id, state = shown(store)
    assert (trace_id, state) == (TRACE, "")
    assert span_id != SPAN


def test_again(store: Store, monkeypatch: pytest.MonkeyPatch):
    """A repetition is not in the trace of the run that it repeats, but in that of whoever repeats it."""
    run = store.start(SHOW, env={"TRACEPARENT": PARENT, "KEPT": "yes"})
    run.wait()
    store.rerun(run).wait()
    assert shown(store)[0] == ""
    assert next(store.list()).request["env"] == {"KEPT": "yes"}

    monkeypatch.setenv("TRACEPARENT", PARENT.replace(TRACE, "4" * 32))
    store.rerun(run).wait()
    assert shown(store)[0] == "4" * 32


def test_no_trace(store: Store, tmp_path: Path):
    """Most runs are in no trace: their commands have no variable for it, and their JSON no field."""
    run = store.start(SHOW, cwd=tmp_path)
    run.wait()

    assert run.output() == " \n"
    assert "trace_id" not in run.to_json()

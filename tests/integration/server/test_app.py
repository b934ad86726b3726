"""The server's application with real runs: what it says is what its description says."""

import json
from importlib.resources import files
from typing import Any

from starlette.testclient import TestClient

from runcast import Store
from runcast.server.app import ServerApp
from runcast.server.guard import Guard

TOKEN = "correct-horse-battery-staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
DESCRIPTION: dict[str, Any] = json.loads(files("runcast.server").joinpath("openapi.json").read_bytes())
SCHEMAS = DESCRIPTION["components"]["schemas"]


def test_described_run(store: Store):
    """A run over HTTP has exactly the fields that are described."""
    run = store.start(["true"])
    run.wait()
    app = ServerApp(store, Guard(["127.0.0.1"], TOKEN), commands={})
    client = TestClient(app, "http://127.0.0.1:8765")

    shown = client.get(f"/runs/{run.id}", headers=BEARER).json()
    polled = client.get(f"/runs/{run.id}/log?format=json", headers=BEARER).json()

    assert shown.pop("disk_bytes") == run.disk_bytes
    assert (shown.pop("artifacts"), shown.pop("left_out")) == (None, [])  # which lists leave out
    assert sorted(shown) == sorted(SCHEMAS["Run"]["required"])
    assert sorted(shown["outcome"]) == sorted(SCHEMAS["Outcome"]["required"])
    assert sorted(polled) == sorted(SCHEMAS["Poll"]["required"])


def test_started_runs_are_counted(store: Store):
    """A run that was started through the server is in its metrics; one of the store's others is not."""
    store.start(["true"])
    app = ServerApp(store, Guard(["127.0.0.1"], TOKEN), commands={}, allow_any_command=True)
    client = TestClient(app, "http://127.0.0.1:8765")

    assert client.post("/runs", headers=BEARER, json={"command": ["true"]}).status_code == 201

    assert "\nruncast_runs_started_total 1.0\n" in client.get("/metrics", headers=BEARER).text

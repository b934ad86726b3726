"""Notes of a run, on every wire that has states: those before a reply begins, and each that comes."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from runcast import Run, Store
from runcast.client import Client
from runcast.errors import RunFinished, UsageError
from tests.helpers.servers import ASGI, LONG, Server
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def run(store: Store) -> Iterator[Run]:
    """Start a run that goes on until it is killed, with one note."""
    run = store.start(["sh", "-c", "printf 'one\\ntwo'; exec sleep 1000"])
    wait_until(lambda: run.tail_offset == 7, LONG)
    run.note("before")
    yield run
    with contextlib.suppress(RunFinished):
        run.kill()


def test_streams(store: Store, run: Run, tmp_path: Path):
    """Each form with events has a note once, as it came, in no place of the log."""
    with Server(tmp_path, "uvicorn", ASGI, store=store) as server:
        for form in ("ndjson", "sse", "sse-json"):
            with server.stream(f"/runs/{run.id}/log?format={form}") as response:
                while b"before" not in response.readline():
                    pass
                run.note(f"for {form}")
                seen = b""
                while b"for " not in seen:
                    seen = response.readline()
                assert json.loads(seen.removeprefix(b"data: "))["text"] == f"for {form}"
        with connect(f"ws://127.0.0.1:{server.port}/runs/{run.id}/log") as socket:
            assert json.loads(socket.recv(timeout=LONG))["notes"][-1]["text"] == "for sse-json"
            run.note("for a socket")
            messages = iter(lambda: json.loads(socket.recv(timeout=LONG)), None)
            note = next(one for one in messages if one.get("event") == "note")
    assert (note["text"], note["line"]) == ("for a socket", 2)
    assert note["offset"] == f"{run.tail_offset:020}"


def test_remote(store: Store, run: Run, tmp_path: Path):
    """A run on a server has its notes and takes some; lists have the newest alone."""
    with Server(tmp_path, "uvicorn", ASGI, store=store) as server, Client(server.root) as client:
        remote = client.get(run.id)
        assert [note.text for note in remote.notes] == ["before"]
        remote.note("from there")
        assert [note[:2] for note in remote.notes] == [note[:2] for note in run.notes]
        assert [note.text for note in run.notes] == ["before", "from there"]
        assert [note.text for note in next(client.list(1)).notes] == ["from there"]
        noted = False
        for chunk in remote.follow(timeout=0.05):
            if not noted:
                run.note("while it is followed")
                noted = True
            if chunk is None and len(remote.notes) == 3:
                break
        assert [note[:2] for note in remote.notes] == [note[:2] for note in run.notes]

        with pytest.raises(UsageError, match="expected a note with something in it"):
            remote.note(" ")
        status, _, reply = server.ask(
            "POST", f"/runs/{run.id}/note", b'{"text": "x", "more": 1}', Content_Type="application/json"
        )
        assert (status, "text" in json.loads(reply)["detail"]) == (400, True)
        run.kill()
        run.wait(timeout=LONG)
        with pytest.raises(RunFinished):
            remote.note("too late")

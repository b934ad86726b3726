"""Streams beside the runs in the API of runs: listed, watched, removed."""

import contextlib
import http.client
import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from runcast import Store
from runcast.durable import FileStreams
from runcast.run.base import files_of
from runcast.wire.durable import Appending, Creation
from tests.helpers.servers import LONG, Server
from tests.helpers.wait import wait_until

TEXT = {"Content-Type": "text/plain"}

pytestmark = pytest.mark.slow


def listed(server: Server, query: str = "") -> list[dict[str, Any]]:
    """Return what the list has."""
    status, _, body = server.ask("GET", f"/runs{query}")
    assert status == 200, body
    runs: list[dict[str, Any]] = json.loads(body)["runs"]
    return runs


def test_list(server: Server, store: Store) -> None:
    """Streams are listed among the runs, newest first, and pages of the list go on where one ended."""
    for number in range(3):
        server.ask("PUT", f"/v1/stream/s{number}", **TEXT)
        made = time.time_ns() // 1_000_000  # ids that two processes mint in one are in no order
        wait_until(lambda made=made: time.time_ns() // 1_000_000 > made, what="the next millisecond")
        store.start(["true"], name=f"r{number}")
    names = ["r2", "s2", "r1", "s1", "r0", "s0"]
    everything = listed(server)

    assert [run["name"] for run in everything] == names
    assert [run["name"] for run in listed(server, "?limit=3")] == names[:3]
    before = everything[2]["id"]
    assert [run["name"] for run in listed(server, f"?limit=2&before={before}")] == names[3:5]


def test_told(server: Server) -> None:
    """The list marks a stream by its source: it has a name, an address of its own, and nothing to stop."""
    server.ask("PUT", "/v1/stream/a/b%20c", b"one\n", **TEXT)
    (run,) = listed(server)

    assert (run["name"], run["source"], run["command"], run["state"]) == ("a/b c", "stream", [], "running")
    assert set(run["links"]) == {"self", "log", "stream"}
    assert server.ask("GET", run["links"]["log"] + "?follow=0")[2] == b"one\n"
    assert server.ask("POST", run["links"]["stream"], b"two\n", **TEXT)[0] == 204
    shown = json.loads(server.ask("GET", run["links"]["self"])[2])
    assert shown == listed(server)[0] | {"artifacts": None, "left_out": []}
    assert server.ask("POST", run["links"]["self"] + "/stop", b"{}")[0] == 409


def test_filters(server: Server, store: Store) -> None:
    """The list can be of streams alone, of one name, or of one state."""
    store.start(["true"], name="same").wait(timeout=LONG)
    server.ask("PUT", "/v1/stream/same", **TEXT)
    server.ask("PUT", "/v1/stream/closed", Stream_Closed="true", **TEXT)

    assert [run["name"] for run in listed(server, "?source=stream")] == ["closed", "same"]
    assert [run["source"] for run in listed(server, "?name=same")] == ["stream", "command"]
    assert [run["source"] for run in listed(server, "?name=same&source=command")] == ["command"]
    assert [run["name"] for run in listed(server, "?state=running")] == ["same"]


def test_gone_and_expired(server: Server) -> None:
    """What was deleted, with forks or without, or whose time is over is not listed."""
    for name in ("deleted", "parent"):
        server.ask("PUT", f"/v1/stream/{name}", **TEXT)
    server.ask("PUT", "/v1/stream/fork", Stream_Forked_From="/v1/stream/parent")
    server.ask("PUT", "/v1/stream/old", Stream_Expires_At="2001-01-01T00:00:00Z", **TEXT)
    for name in ("deleted", "parent"):
        assert server.ask("DELETE", f"/v1/stream/{name}")[0] == 204

    assert [run["name"] for run in listed(server)] == ["fork"]


def test_live_list(server: Server, store: Store) -> None:
    """The live list shows when a stream is created, closed and deleted."""
    with server.stream("/runs", Accept="text/event-stream") as reply:

        def news() -> tuple[list[tuple[str, str]], list[str]]:
            while not (line := reply.readline()).startswith(b"data: "):
                assert line, "the list ended"
            fields = json.loads(line[6:])
            return [(run["name"], run["state"]) for run in fields["runs"]], fields.get("gone", [])

        assert news() == ([], [])
        server.ask("PUT", "/v1/stream/s", **TEXT)
        assert news() == ([("s", "running")], [])
        (stream_id,) = [run["id"] for run in listed(server)]
        server.ask("POST", "/v1/stream/s", Stream_Closed="true")
        assert news() == ([("s", "exited")], [])
        server.ask("DELETE", "/v1/stream/s")
        assert news() == ([], [stream_id])


def test_remove(server: Server, store: Store) -> None:
    """A closed stream is removed like a run; one that is open is refused, and says what to do."""
    server.ask("PUT", "/v1/stream/s", b"kept", **TEXT)
    path = listed(server)[0]["links"]["self"]
    status, _, body = server.ask("DELETE", path)
    fields = json.loads(body)

    assert (status, fields["error"]) == (409, "RunActive")
    assert "'s' is open" in fields["detail"]
    assert server.ask("GET", "/v1/stream/s?offset=-1")[2] == b"kept"
    server.ask("POST", "/v1/stream/s", Stream_Closed="true")
    assert server.ask("DELETE", path)[0] == 204
    assert [server.ask("GET", one)[0] for one in (path, "/v1/stream/s")] == [404, 404]
    assert server.ask("DELETE", path)[0] == 404


def test_deleted_while_it_is_watched(server: Server) -> None:
    """Whoever watches a stream that is deleted is cut off at once, and the server goes on for others."""
    server.ask("PUT", "/v1/stream/s", b"one\n", **TEXT)
    path = listed(server)[0]["links"]["log"]
    with server.stream(path) as reply:
        assert reply.readline() == b"one\n"
        ended = threading.Event()

        def read_on() -> None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                reply.read()
            ended.set()

        reader = threading.Thread(target=read_on)
        reader.start()
        assert server.ask("DELETE", "/v1/stream/s")[0] == 204
        assert ended.wait(LONG)
        reader.join()
    assert server.ask("GET", path)[0] == 404
    assert listed(server) == []


def test_removed_by_another_process(server: Server, store: Store) -> None:
    """A stream that another process removes is gone from the list, and its page is."""
    server.ask("PUT", "/v1/stream/s", b"x", **TEXT)
    (run,) = listed(server)
    FileStreams(store.path).delete_id(run["id"])

    wait_until(lambda: listed(server) == [])
    assert server.ask("GET", run["links"]["self"])[0] == 404


def test_closed_by_another_process(server: Server, store: Store) -> None:
    """A stream that another process closes is closed in the list."""
    server.ask("PUT", "/v1/stream/s", **TEXT)
    FileStreams(store.path).get("s").append(Appending(close=True), b"")

    assert [(run["state"], run["closed"]) for run in listed(server)] == [("exited", True)]


def test_damaged_stream(server: Server, store: Store) -> None:
    """A stream that has lost its description is listed as damaged, beside the others, and can be deleted."""
    streams = FileStreams(store.path)
    good, bad = (streams.create(name, Creation("text/plain"))[0] for name in ("good", "bad"))
    Path(streams.path, bad.id, "run.json").write_text("{")

    assert [(run["id"], "damaged" in run) for run in listed(server)] == [(bad.id, True), (good.id, False)]
    assert server.ask("DELETE", f"/runs/{bad.id}")[0] == 204
    assert [run["id"] for run in listed(server)] == [good.id]


@pytest.mark.parametrize("damage", [None, b"", b'{"command": ["tr', b"{}"])
def test_damaged_run(server: Server, store: Store, damage: bytes | None) -> None:
    """A run whose description a power loss took, or a part of it, is listed as damaged, beside the others."""
    store.start(["true"], name="before").wait()
    damaged = store.start(["true"], name="damaged")
    damaged.wait()
    store.start(["true"], name="behind").wait()
    description = Path(files_of(damaged).path, "run.json")
    if damage is None:
        description.unlink()
    else:
        description.write_bytes(damage)

    runs = listed(server)
    assert [run["name"] for run in runs] == ["behind", damaged.id, "before"]
    assert [str(run.get("damaged"))[:10] for run in runs] == ["None", "run.json: ", "None"]


def test_run_without_its_log(server: Server, store: Store) -> None:
    """A run whose log is gone is listed as damaged, beside the others."""
    store.start(["true"], name="before").wait()
    damaged = store.start(["true"], name="damaged")
    damaged.wait()
    shutil.rmtree(f"{files_of(damaged).path}/log")

    runs = listed(server)
    assert [run["name"] for run in runs] == ["damaged", "before"]
    assert runs[0]["damaged"] == "log: expected a folder, it is missing"

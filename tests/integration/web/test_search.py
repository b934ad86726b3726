"""Searches of a run's log over HTTP."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest

from runcast import Store
from tests.helpers.children import run_python
from tests.helpers.servers import ASGI, LONG, WSGI, Server
from tests.helpers.sockets import connected
from tests.helpers.wait import wait_until
from tests.unit.wire.eventsource import EventSource

pytestmark = pytest.mark.slow


@pytest.fixture(params=["uvicorn", "gunicorn"])
def server(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> Iterator[Server]:
    """Serve a store."""
    code = ASGI if request.param == "uvicorn" else WSGI
    with Server(tmp_path, request.param, code) as running:
        yield running


def query(**parameters: object) -> str:
    return urlencode(parameters)


def objects(body: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in body.splitlines()]


def test_hits(server: Server, store: Store):
    """Each line that matches comes once, with its place, and the last object is the end."""
    run = store.start(["sh", "-c", "seq 1 2000; echo Bad 7 >&2; echo bad 8"])
    run.wait(timeout=LONG)
    path = f"/runs/{run.id}/search"

    status, headers, body = server.ask("GET", f"{path}?{query(q='1999')}")
    (hit, end) = objects(body)
    assert (status, headers["content-type"]) == (200, "application/x-ndjson")
    assert (hit["line"], hit["channel"], hit["text"]) == (1999, "stdout", "1999")
    assert server.ask("GET", f"/runs/{run.id}/log?offset={hit['offset']}")[2].startswith(b"1999\n2000\n")
    assert server.ask("GET", f"/runs/{run.id}/log?line={hit['line']}")[2].startswith(b"1999\n2000\n")
    assert end == {"done": True, "matches": 1, "next": 2003, "stopped": None}

    *hits, end = objects(server.ask("GET", f"{path}?{query(q='^[2-4]$|BAD', regex=1, case=0)}")[2])
    assert sorted(str(hit["text"]) for hit in hits) == ["2", "3", "4", "Bad 7", "bad 8"]
    *hits, end = objects(server.ask("GET", f"{path}?{query(q='7', channel='stderr')}")[2])
    assert [hit["text"] for hit in hits] == ["Bad 7"]
    *hits, end = objects(server.ask("GET", f"{path}?{query(q='1', max=3)}")[2])
    assert [hit["line"] for hit in hits] == [1, 10, 11]
    assert (end["next"], end["stopped"]) == (12, "max")
    *hits, end = objects(server.ask("GET", f"{path}?{query(q='1', max=1, **{'from': end['next']})}")[2])
    assert [hit["line"] for hit in hits] == [12]


def test_events(server: Server, store: Store):
    """For EventSource each hit is an event, and the end one of its own name."""
    run = store.start(["echo", "one"])
    run.wait(timeout=LONG)

    body = server.ask("GET", f"/runs/{run.id}/search?q=one", Accept="text/event-stream")[2]

    events = EventSource().read(body)
    assert [event.type for event in events] == ["message", "done"]
    assert json.loads(events[0].data)["text"] == "one"
    assert json.loads(events[1].data)["matches"] == 1


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, "expected q"),
        ({"q": ""}, "expected 1 to 4,096 characters"),
        ({"q": "a[", "regex": "1"}, "unterminated character set at character 2"),
        ({"q": "a", "regex": "perhaps"}, "expected regex to be 1 or 0"),
        ({"q": "a", "from": "0"}, "expected from to be a whole number of 1 or more"),
        ({"q": "a", "max": "1000000"}, "expected max to be at most 100000"),
        ({"q": "a", "channel": "both"}, "expected channel"),
    ],
)
def test_bad_parameters(server: Server, store: Store, parameters: dict[str, str], words: str):
    """What is wrong with a search is said before it begins."""
    run = store.start(["true"])

    status, headers, body = server.ask("GET", f"/runs/{run.id}/search?{query(**parameters)}")

    assert (status, headers["content-type"]) == (400, "application/problem+json")
    assert words in json.loads(body)["detail"]


def test_client_leaves(server: Server, store: Store):
    """The process that searches is ended when its client has left."""
    run = store.start(["sh", "-c", "echo found; head -c 60 /dev/zero | tr '\\0' a; echo"])
    run.wait(timeout=LONG)

    with connected(server.port) as client:
        path = f"/runs/{run.id}/search?{query(q='found|(a*)*c', regex=1)}"
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        wait_until(lambda: len(searching(server)) == 1, LONG)
    wait_until(lambda: not searching(server), 5.0)


def searching(server: Server) -> list[int]:
    """Return the processes that search for a server now."""
    assert server.process is not None
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"runcast.search.process" in command and os.getsid(pid) == server.process.pid:
                found.append(pid)
    return found


def test_expression_runs_away(store: Store):
    """A regular expression that runs away is stopped when its time is up, and that is said."""
    run = store.start(["sh", "-c", "echo first; head -c 60 /dev/zero | tr '\\0' a; echo"])
    run.wait(timeout=LONG)
    given = {"path": f"{store.path}/{run.id}", "q": "first|(a*)*c", "regex": True, "ignore_case": False}
    given |= {"channels": [], "line": 1, "max": 10, "seconds": 0.5}

    printed = run_python(
        """
        import io, sys
        from runcast.search.process import main
        sys.stdin = io.StringIO(sys.argv[1])
        main()
        """,
        json.dumps(given),
    )

    (end,) = objects(printed.encode())
    assert end == {"done": True, "matches": 0, "next": 1, "stopped": "time"}


def test_all_runs(server: Server, store: Store):
    """A search of all runs begins with the newest, finds some lines of each, and says how to go on."""
    first, second, third = (
        store.start(["sh", "-c", f"seq 1 40; echo bad {name}"], name=name) for name in ("a", "b", "c")
    )
    for run in (first, second, third):
        run.wait(timeout=LONG)

    *hits, end = objects(server.ask("GET", f"/runs/-/search?{query(q='bad')}")[2])
    assert [(hit["run"], hit["name"], hit["line"], hit["text"]) for hit in hits] == [
        (run.id, name, 41, f"bad {name}") for run, name in ((third, "c"), (second, "b"), (first, "a"))
    ]
    assert end == {"done": True, "matches": 3, "runs": 3, "unreadable": 0, "next": None, "stopped": None}

    *hits, end = objects(server.ask("GET", f"/runs/-/search?{query(q='3', each=2, max=5)}")[2])
    assert [(hit["run"], hit.get("line"), hit.get("more")) for hit in hits] == [
        *((third.id, 3, None), (third.id, 13, None), (third.id, None, 14)),
        *((second.id, 3, None), (second.id, 13, None), (second.id, None, 14)),
        *((first.id, 3, None), (first.id, None, 4)),
    ]
    assert (end["next"], end["stopped"]) == (None, None)
    *hits, end = objects(server.ask("GET", f"/runs/-/search?{query(q='3', each=2, max=4)}")[2])
    assert (end["next"], end["stopped"]) == ({"at": first.id, "from": 1}, "max")
    *hits, end = objects(server.ask("GET", f"/runs/-/search?{query(q='bad', **end['next'])}")[2])
    assert [hit["run"] for hit in hits] == [first.id]
    *hits, end = objects(server.ask("GET", f"/runs/-/search?{query(q='bad', name='b')}")[2])
    assert [hit["run"] for hit in hits] == [second.id]
    assert json.loads(server.ask("GET", "/runs/-/search?q=")[2])["status"] == 400


def test_only_what_may_be_read(store: Store, tmp_path: Path):
    """What a client may not read is not searched for it."""
    own, other = (store.start(["echo", "secret"], name=name) for name in ("mine", "theirs"))
    for run in (own, other):
        run.wait(timeout=LONG)
    may = "lambda verb, run, request: run is None or run.name == 'mine'"
    code = WSGI.replace("allow_any_command=True", f"authorize={may}")
    with Server(tmp_path, "gunicorn", code) as server:
        *hits, end = objects(server.ask("GET", "/runs/-/search?q=secret")[2])

    assert [hit["run"] for hit in hits] == [own.id]
    assert end["runs"] == 1


def test_leaving_a_search_of_all_runs(server: Server, store: Store):
    """Its process is ended when its client has left, too."""
    run = store.start(["sh", "-c", "head -c 60 /dev/zero | tr '\\0' a; echo"])
    run.wait(timeout=LONG)

    with connected(server.port) as client:
        path = f"/runs/-/search?{query(q='(a*)*c', regex=1)}"
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        wait_until(lambda: len(searching(server)) == 1, LONG)
    wait_until(lambda: not searching(server), 8.0)

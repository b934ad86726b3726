"""Bad input gets a clear error as problem+json, and nothing happens."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from runcast import Store
from tests.helpers.servers import Server
from tests.integration.web.mounted import mounted_code, prefix_of


def problem(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    """Return the status and the sentence of an error, which must be problem+json."""
    status, headers, body = answer
    assert headers["content-type"] == "application/problem+json"
    value = json.loads(body)
    assert value["status"] == status
    return status, value["detail"]


@pytest.fixture
def done(store: Store) -> str:
    """Return the id of a finished run of 6 bytes."""
    run = store.start(["echo", "hello"])
    run.wait()
    return run.id


def test_unknown_run(server: Server) -> None:
    """A run that is not there is 404, and other runs are not named."""
    status, detail = problem(server.ask("GET", "/runs/01m7xrjgx61gtdp37ey6dhbxpx/log"))
    assert status == 404
    assert "01m7xrjgx61gtdp37ey6dhbxpx" in detail


@pytest.mark.parametrize(
    ("query", "status", "output"),
    [
        ("offset=7", 416, "6"),
        ("offset=x", 400, "offset"),
        ("tail=-1", 400, "tail"),
        ("tail=1&line=2", 400, "choose one"),
        ("channel=stdin", 400, "channel"),
        ("format=gif", 400, "format"),
        ("since=yesterday", 400, "since"),
    ],
)
def test_wrong_parameters(server: Server, done: str, query: str, status: int, output: str) -> None:
    """A parameter that is not what it should be is named, with what was expected."""
    fields, detail = problem(server.ask("GET", f"/runs/{done}/log?{query}"))
    assert fields == status
    assert output in detail


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1001", "²", "9" * 20])
def test_wrong_limit_of_a_list(server: Server, limit: str) -> None:
    """A list is as long as a number says, and no other text."""
    status, detail = problem(server.ask("GET", f"/runs?limit={quote(limit)}"))
    assert (status, detail.partition(",")[0]) == (400, "expected limit as a number from 1 to 1000")


@pytest.mark.parametrize("part", ["bytes=x", "bytes=1-2,4-5", f"bytes=0-{'9' * 5000}"])
def test_wrong_part(server: Server, done: str, part: str) -> None:
    """A Range in bytes that is none is named."""
    status, detail = problem(server.ask("GET", f"/runs/{done}/log", Range=part))
    assert status == 400
    assert "bytes=FIRST-LAST" in detail


def test_part_in_another_unit(server: Server, done: str) -> None:
    """A Range in a unit that is not ours is passed over (RFC 9110, section 14.2)."""
    status, _headers, body = server.ask("GET", f"/runs/{done}/log", Range="lines=1-2")
    assert (status, body) == (200, b"hello\n")


def test_nobody_can_serve_this(server: Server, done: str) -> None:
    """An Accept that nobody can serve is 406, with the list of what there is."""
    status, _headers, body = server.ask("GET", f"/runs/{done}/log", Accept="image/png")
    assert status == 406
    assert "text/event-stream" in json.loads(body)["offered"]


def test_dropped_bytes_are_gone(server: Server, store: Store) -> None:
    """An offset whose bytes the cap dropped is 410, and says where to go on."""
    run = store.start(["head", "-c", "1000000", "/dev/zero"], cap=100_000)
    run.wait()
    gap = next(chunk for chunk in run.follow() if chunk and chunk.channel == "gap")
    status, _headers, body = server.ask("GET", f"/runs/{run.id}/log?offset={gap.offset}")
    assert status == 410
    assert int(json.loads(body)["next"]) == gap.next


def test_malformed_json_says_where(server: Server, store: Store) -> None:
    """A body that is no JSON is 400 with line and column; nothing is started."""
    status, detail = problem(server.ask("POST", "/runs", b'{"command":\n oops}'))
    assert status == 400
    assert "line 2, column 2" in detail
    assert not list(store.list())


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a": ' + b"9" * 5000 + b"}"], ids=["deep", "huge"])
def test_json_that_python_refuses(server: Server, store: Store, body: bytes) -> None:
    """A body whose nesting or whose numbers no parser takes is 400; nothing is started."""
    status, detail = problem(server.ask("POST", "/runs", body))
    assert status == 400
    assert detail.startswith("expected a JSON object")
    assert not list(store.list())


def test_body_over_its_limit(server: Server, store: Store) -> None:
    """A body over the limit is refused with 413 by its length, before any of it was sent."""
    with server.connect() as connection:
        connection.putrequest("POST", "/runs")
        connection.putheader("Content-Length", str(1024 * 1024 + 1))
        connection.endheaders()
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        status, detail = problem((response.status, headers, response.read()))
    assert status == 413
    assert "1048576" in detail
    assert not list(store.list())


@pytest.mark.parametrize(
    ("name", "framework"),
    [("uvicorn", "asgi"), ("hypercorn", "asgi"), ("gunicorn-asgi", "asgi"), ("uvicorn", "starlette")],
)
def test_told_though_it_goes_on_sending(name: str, framework: str, store: Store, tmp_path: Path) -> None:
    """A client that reads only when it has sent all of a body that is too long gets its 413."""
    with Server(tmp_path, name, mounted_code(framework)) as server:
        answer = server.ask("POST", f"{prefix_of(framework)}/runs", b"x" * 20_000_000)
    assert problem(answer)[0] == 413


@pytest.mark.parametrize(
    ("body", "status", "output"),
    [
        ({"command": "a && b"}, 400, "shell"),
        ({"name": "nope"}, 404, "nope"),
        ({}, 400, "name"),
        ({"name": None}, 400, "one of /commands, got None"),
        ({"command": ["ls"], "name": "x"}, 400, "either"),
        ({"command": ["ls"], "shell": True}, 400, "shell"),
        ({"command": ["ls"], "timeout": 10**400}, 400, "timeout"),
    ],
)
def test_wrong_starts(server: Server, store: Store, body: object, status: int, output: str) -> None:
    """A start that is not understood starts nothing."""
    fields, detail = problem(server.ask("POST", "/runs", json.dumps(body).encode()))
    assert fields == status
    assert output in detail
    assert not list(store.list())


def test_wrong_method_and_path(server: Server, done: str) -> None:
    """GET never starts or stops anything; a wrong method is 405 with what is allowed."""
    status, headers, _ = server.ask("GET", f"/runs/{done}/stop")
    assert status == 405
    assert "POST" in headers["allow"]
    assert server.ask("GET", "/nowhere")[0] == 404


def test_stop_of_a_finished_run(server: Server, done: str) -> None:
    """Stopping what has ended is 409, and says how it ended."""
    status, detail = problem(server.ask("POST", f"/runs/{done}/stop", b"{}"))
    assert status == 409
    assert "exit code 0" in detail

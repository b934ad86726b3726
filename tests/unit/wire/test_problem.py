"""Errors as problem+json."""

import json
from typing import Any

import pytest

from runcast import errors
from runcast.wire.problem import problem


def body(error: errors.RuncastError) -> dict[str, Any]:
    status, text = problem(error)
    value: dict[str, Any] = json.loads(text)
    assert value["status"] == status
    return value


def test_usage_error():
    """A problem has the members of RFC 9457, and the error's class for programs."""
    assert body(errors.UsageError("expected tail once, got it twice")) == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "expected tail once, got it twice",
        "error": "UsageError",
    }


@pytest.mark.parametrize(
    ("error", "status", "more"),
    [
        (errors.OffsetGone(3, 10), 410, {"offset": f"{3:020d}", "next": f"{10:020d}"}),
        (errors.OffsetBeyondTail(9, 5), 416, {"offset": f"{9:020d}", "tail": f"{5:020d}"}),
        (errors.NotAcceptable("a/b", ("text/plain",)), 406, {"offered": ["text/plain"]}),
        (errors.RunActive("run x goes on"), 409, {}),
        (errors.RunElsewhere("x", "far"), 409, {"host": "far"}),
        (errors.RunElsewhere("x", "far", unshared=True), 409, {"host": "far", "unshared": True}),
    ],
)
def test_what_one_needs_to_go_on(error: errors.RuncastError, status: int, more: dict[str, Any]):
    """What a program needs to go on stands beside the message."""
    value = body(error)

    assert value["status"] == status
    assert value["detail"] == str(error)
    assert {name: value[name] for name in value if name not in body(errors.UsageError(""))} == more


def test_not_found_names_no_other_run():
    """A 404 tells neither where the store is nor which runs there are: an id is a key."""
    error = errors.RunNotFound("nope", "/home/ann/runs", ("01kahz5m3q8w7e6r5t4y3v2b1n",))

    value = body(error)

    assert value["detail"] == "no run 'nope' here"
    assert "ann" not in str(value)
    assert "01kahz" not in str(value)


@pytest.mark.parametrize(
    "error",
    [errors.StoreUnusable("/home/ann is not a folder"), errors.SupervisorLost("/home/ann/run/control")],
)
def test_our_failures(error: errors.RuncastError):
    """A failure of ours says that it is one, and nothing of this machine."""
    value = body(error)

    assert value["status"] >= 500
    assert "ann" not in str(value)
    assert value["error"] == type(error).__name__


def test_host_unreachable():
    """That a run's host does not answer is no failure of this server, and has its reason."""
    value = body(errors.HostUnreachable("run x: host a does not answer"))

    assert (value["status"], value["error"]) == (503, "HostUnreachable")
    assert value["detail"] == "run x: host a does not answer"


def test_wait_timeout():
    """A wait that ended says what goes on: that is no failure of ours."""
    assert body(errors.WaitTimeout("run x is still running after 5 s"))["detail"].startswith("run x is still")


def test_every_error():
    """Every error of ours has a status that HTTP knows."""
    found = [getattr(errors, name) for name in errors.__all__]
    kinds = [kind for kind in found if issubclass(kind, errors.RuncastError)]  # others never meet HTTP
    assert len(kinds) > 10

    for kind in kinds:
        error = kind.__new__(kind)
        error.run_id, error.offset, error.next, error.tail, error.offered = "", 0, 0, 0, ()
        error.host, error.start, error.end = "", 0, 0
        assert body(error)["title"]

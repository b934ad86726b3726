"""Starts with a key over HTTP: one run, however often the request is sent, for those who may know of it."""

import io
import json
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from runcast import Run, Store
from runcast.client import Client
from runcast.errors import RunExists, UsageError
from runcast.web.http.messages import Request
from runcast.web.wsgi import RunsWSGI
from tests.helpers.cli import cli
from tests.helpers.servers import Server
from tests.helpers.wait import MS

PATIENCE = 15000 * MS
COMMANDS = {
    "hello": {"command": ["echo", "hello"]},
    "say": {"command": ["echo", "{word}"], "params": {"word": {}}},
}

pytestmark = pytest.mark.slow


@pytest.fixture(name="app")
def app_fixture(store: Store) -> RunsWSGI:
    """An application whose users read what they have started."""

    def authorize(verb: str, run: Run | None, request: Request) -> bool:
        return run is None or (run.started_by is not None and run.started_by.name == person(request))

    def person(request: Request) -> str | None:
        return request.original.get("REMOTE_USER")

    return RunsWSGI(store, commands=COMMANDS, allow_any_command=True, authorize=authorize, user=person)


def start(app: RunsWSGI, body: dict[str, Any], user: str = "ana") -> tuple[int, Any]:
    """Return status and JSON of a start by a user."""
    data = json.dumps(body).encode()
    environ: dict[str, Any] = {"REQUEST_METHOD": "POST", "PATH_INFO": "/runs", "REMOTE_USER": user}
    environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(data)), "HTTP_X_RUNCAST": "1"}
    environ["wsgi.input"] = io.BytesIO(data)
    setup_testing_defaults(environ)
    said: list[str] = []
    reply = b"".join(app(environ, lambda status, headers, *_: said.append(status)))  # type: ignore[arg-type]
    return int(said[0].split()[0]), json.loads(reply)


@pytest.mark.parametrize(
    ("body", "other"),
    [
        ({"command": ["echo", "one"]}, {"command": ["echo", "two"]}),
        ({"command": ["echo", "one"]}, {"command": ["echo", "one"], "title": "two"}),
        ({"name": "say", "params": {"word": "one"}}, {"name": "say", "params": {"word": "two"}}),
        ({"name": "hello"}, {"name": "say", "params": {"word": "hello"}}),
    ],
)
def test_one_run(app: RunsWSGI, store: Store, body: dict[str, Any], other: dict[str, Any]):
    """A request that comes again finds the run of the first, going on or over; another one is refused."""
    first = start(app, body | {"key": "k"})
    store.get(first[1]["id"]).wait(timeout=PATIENCE)
    again = start(app, body | {"key": "k"})

    assert (first[0], again[0], again[1]["id"]) == (201, 201, first[1]["id"])
    status, problem = start(app, other | {"key": "k"})
    assert (status, problem["error"]) == (409, "RunExists")
    assert first[1]["id"] in problem["detail"]
    assert start(app, body | {"key": "other"})[1]["id"] != first[1]["id"]


def test_key_of_somebody_else(app: RunsWSGI):
    """A run that a user may not read is not given for its key, nor its id in the refusal."""
    hers = start(app, {"name": "hello", "key": "k"})[1]["id"]
    for body in ({"name": "hello", "key": "k"}, {"command": ["ls"], "key": "k"}):
        status, problem = start(app, body, "ben")
        assert (status, problem["error"]) == (409, "RunExists")
        assert "names a run that this client did not start and may not read" in problem["detail"]
        assert hers not in json.dumps(problem)


def test_key_is_a_text(app: RunsWSGI, store: Store):
    """A key that is none is refused, and nothing is started."""
    for key in ("", 7, None, ["k"]):
        for body in ({"name": "hello"}, {"command": ["ls"]}):
            status, problem = start(app, body | {"key": key})
            assert (status, 'expected "key" as a text' in problem["detail"]) == (400, True)
    assert store.ids() == []


def test_clients(store: Store, server: Server):
    """So do a client and the command line; input is not sent twice, and files are not compared."""
    url = f"http://127.0.0.1:{server.port}/"
    with Client(url) as client:
        run = client.start(["echo", "words"], key="k")
        assert run.output(timeout=PATIENCE) == "words\n"
        assert client.start(["echo", "words"], key="k").id == run.id
        with pytest.raises(RunExists, match=run.id):
            client.start(["echo", "others"], key="k")
        with pytest.raises(UsageError, match="expected no input with a key"):
            client.start(["cat"], input="x", key="k")
        with pytest.raises(UsageError, match="expected no key with a file"):
            client.start(name="load", params={"file": b"x"}, key="k")
    for _ in range(2):
        assert cli("run", "--server", url, "--key", "k", "--", "echo", "words").out == b"words\n"
    assert store.ids() == [run.id]

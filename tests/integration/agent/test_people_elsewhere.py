"""Users of an application on several hosts: each reads and stops the runs of their own, wherever they run."""

import io
import json
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from runcast import Run, Store
from runcast.web.http.messages import Request
from runcast.web.wsgi import RunsWSGI
from tests.helpers.memory_hosts import Turns
from tests.helpers.wait import MS

pytestmark = pytest.mark.slow


def app_on(store: Store) -> RunsWSGI:
    """Return the application of a host, whose users see what they have started."""

    def user(request: Request) -> str | None:
        return request.original.get("REMOTE_USER")

    def authorize(action: str, run: Run | None, request: Request) -> bool:
        return run is None or (run.started_by is not None and run.started_by.name == user(request))

    return RunsWSGI(store, allow_any_command=True, authorize=authorize, user=user)


def ask(
    app: RunsWSGI, person: str, method: str, path: str, body: dict[str, Any] | None = None
) -> tuple[int, Any]:
    """Return status and JSON of a request of a person."""
    data = json.dumps(body).encode() if body else b""
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "REMOTE_USER": person}
    environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(data)), "HTTP_X_RUNCAST": "1"}
    environ |= {"HTTP_ACCEPT": "application/json", "wsgi.input": io.BytesIO(data)}
    setup_testing_defaults(environ)
    said: list[str] = []
    reply = b"".join(app(environ, lambda status, headers, *_: said.append(status)))  # type: ignore[arg-type]
    return int(said[0].split()[0]), json.loads(reply or b"null")


def test_users(turns: Turns):
    """A user reads and stops what they started, on any host, and nothing else; lists are the same."""
    apps = app_on(turns.a), app_on(turns.b)
    ids = {}
    for person in ("ana", "ben"):
        status, value = ask(apps[0], person, "POST", "/runs", {"command": ["sleep", "600"]})
        assert status == 201, value
        ids[person] = value["id"]
        turns.mirror(turns.a.get(value["id"]))

    for person, other in (("ana", "ben"), ("ben", "ana")):
        for app in apps:
            listed = {
                run["id"]: run["started_by"]["name"] for run in ask(app, person, "GET", "/runs")[1]["runs"]
            }
            assert listed == {run_id: name for name, run_id in ids.items()}
            assert ask(app, person, "GET", f"/runs/{ids[person]}")[1]["started_by"]["name"] == person
            assert ask(app, person, "GET", f"/runs/{ids[other]}")[0] in (403, 404)
            assert ask(app, person, "POST", f"/runs/{ids[other]}/stop")[0] in (403, 404)
    for run_id in ids.values():
        turns.a.get(run_id).kill()
        turns.a.get(run_id).wait(timeout=15000 * MS)

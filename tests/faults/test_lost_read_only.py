"""R3: on a store that became read-only a run without a writer is lost all the same, and nothing hangs."""

import subprocess
import sys
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.lost import CLEARED, alive, orphan, started
from tests.helpers.programs import unshare

READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
# Every way to hear of a run; a wait that hangs ends at its deadline.
INSIDE = """
import io, json, os, sys
from runcast import Store
from runcast.cli.app import call
from runcast.errors import StoreUnusable
from runcast.web.wsgi import RunsWSGI

DEADLINE = 20.0
store = Store.open(sys.argv[1])
run = store.get(sys.argv[2])

def ask(method, path, body=b"", **headers):
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": io.BytesIO(body)}
    environ |= {"QUERY_STRING": ""}
    environ |= {"CONTENT_LENGTH": str(len(body)), "SERVER_NAME": "x", "SERVER_PORT": "80", "HTTP_HOST": "x"}
    environ |= {"wsgi.url_scheme": "http", "SERVER_PROTOCOL": "HTTP/1.1", "CONTENT_TYPE": "text/plain"}
    environ |= {"SCRIPT_NAME": "", **headers}
    begun = []
    reply = app(environ, lambda status, headers, *more: begun.extend((status, dict(headers))))
    return begun[0][:3], b"".join(reply), begun[1].get("Content-Type")

assert [line for line in run.lines(timeout=DEADLINE)] == ["ready"]
outcome = store.get(run.id).wait(timeout=DEADLINE)
said = "its supervisor died before the run ended; this cannot be written to the store: read-only file system"
assert (outcome.reason, outcome.message) == ("lost", said), outcome
assert [(one.state, one.closed) for one in store.list()] == [("lost", True)]
assert run.output(timeout=DEADLINE) == "ready\\n"

app = RunsWSGI(store, allow_any_command=True)
for accept in ("text/plain", "text/event-stream", "application/x-ndjson", "application/json"):
    status, body, _kind = ask("GET", f"/runs/{run.id}/log", HTTP_ACCEPT=accept)
    assert status == "200" and b"ready" in body, (status, body)
    assert accept == "text/plain" or b'"lost"' in body, body
assert json.loads(ask("GET", "/runs")[1])["runs"][0]["state"] == "lost"
for method, path, body in (
    ("DELETE", f"/runs/{run.id}", b""),
    ("POST", f"/runs/{run.id}/pin", b""),
    ("PUT", "/v1/stream/name", b"hello"),
    ("POST", "/runs", b'{"command": ["true"]}'),
):
    status, problem, kind = ask(method, path, body)
    assert (status, kind) == ("503", "application/problem+json"), (method, status, problem)
    assert json.loads(problem)["status"] == 503
os.environ["RUNCAST_STORE"] = store.path
codes = {verb: call([verb, run.id]) for verb in ("wait", "follow", "log", "pin", "rm")}
assert codes == {"wait": 1, "follow": 0, "log": 0, "pin": 2, "rm": 2}, codes
assert call(["ls"]) == 0
try:
    store.remove(run)
except StoreUnusable as error:
    assert str(error).startswith(f"cannot write to the store {store.path}: read-only file system: "), error
sys.stdout.flush()
"""

pytestmark = [pytest.mark.fault, pytest.mark.root]


def test_read_only(store: Store, tmp_path: Path):
    """R3: state, wait, follow, list and each form on the wire say lost; what writes is refused with 503."""
    run, pids = started(store, CLEARED, 3)
    orphan(run)

    command = [*unshare("--mount"), "sh", "-c", READ_ONLY, "sh", store.path]
    done = subprocess.run(
        [*command, sys.executable, "-c", INSIDE, store.path, run.id], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    follow, log, _head, listed = done.stdout.splitlines()
    assert (follow, log) == ("ready", "ready")
    assert listed.split()[:2] == [run.id, "lost"]
    assert not any(map(alive, pids))

"""Errors of runs in Sentry, with its own SDK and a server that takes what it sends."""

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from runcast import Store
from tests.helpers.cli import LONG
from tests.helpers.wait import wait_until

SECRET = "hunter2-hunter2"
BEGIN = """
import os, sys
import sentry_sdk
SECRET = os.environ["APP_PASSWORD"]
sentry_sdk.init(dsn=sys.argv[1])
from runcast import Store
store = Store(sys.argv[2])

def add(one, other):
    print(one, other)
    return one + other

def login(password):
    print("as", password)
    raise ValueError("wrong: " + password)
"""


class Sentry:
    """A server that takes envelopes, as Sentry has them.

    Attributes:
        dsn: where an SDK sends to.
        events: those that came.
        text: all that came.
    """

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.text = ""
        sentry = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sentry.take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.dsn = f"http://key@127.0.0.1:{self.server.server_port}/1"

    def take(self, envelope: bytes) -> None:
        """Keep the events in an envelope: lines of JSON, each item behind its header."""
        self.text += envelope.decode()
        lines = envelope.splitlines()
        for header, item in zip(lines[1::2], lines[2::2], strict=False):
            if json.loads(header)["type"] == "event":
                self.events.append(json.loads(item))


@pytest.fixture(name="sentry")
def sentry_fixture() -> Iterator[Sentry]:
    """A server for the test."""
    sentry = Sentry()
    thread = threading.Thread(target=sentry.server.serve_forever, args=(0.02,))
    thread.start()
    yield sentry
    sentry.server.shutdown()
    thread.join()
    sentry.server.server_close()


def report(sentry: Sentry, store: Store, code: str, *, events: int = 0) -> None:
    """Run some code in an application that has Sentry's SDK, which has sent all when it ends.

    Args:
        sentry: what it sends to.
        store: where its runs are.
        code: of the application.
        events: so many are waited for before it ends.
    """
    command = [sys.executable, "-c", f"{BEGIN}{code}\nsys.stdin.read()", sentry.dsn, store.path]
    env = os.environ | {"APP_PASSWORD": SECRET}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=env) as application:
        wait_until(lambda: len(sentry.events) >= events, timeout=LONG, what="the events")
        application.communicate(timeout=LONG)
    assert application.returncode == 0


def values(sentry: Sentry) -> list[tuple[str, str, str]]:
    """Return level, logger and type of the exception of each event."""
    return [(one["level"], one["logger"], one["exception"]["values"][-1]["type"]) for one in sentry.events]


def test_function(sentry: Sentry, store: Store):
    """A function that fails is one event, with its exception, its frames and the id of its run."""
    report(sentry, store, "store.start(add, 1, 'x').wait()")
    run = next(store.list())

    assert values(sentry) == [("error", "runcast.runs", "TypeError")]
    (event,) = sentry.events
    assert run.id in json.dumps(event["logentry"])
    assert event["exception"]["values"][-1]["stacktrace"]["frames"][-1]["function"] == "add"


def test_masked_function(sentry: Sentry, store: Store):
    """Nothing that Sentry gets of a masked run has the secret: no message, no variable of a frame."""
    report(sentry, store, "store.start(login, SECRET, mask=[]).wait()")

    assert values(sentry) == [("error", "runcast.runs", "RunFailed")]
    assert "ValueError: wrong: ***" in sentry.text
    assert SECRET not in sentry.text


def test_no_events(sentry: Sentry, store: Store):
    """What ended well is no event, nor a command that failed, nor a start that was refused."""
    code = """
from runcast.errors import UsageError
store.start(add, 1, 2).wait()
store.start(["sh", "-c", "exit 3"]).wait()
try:
    store.start(["true"], cap="nonsense")
except UsageError:
    pass
"""
    report(sentry, store, code)

    assert sentry.events == []


def test_command_that_cannot_start(sentry: Sentry, store: Store):
    """A command that could not be started is one event, without its arguments and variables."""
    code = 'store.start(["/does/not/exist", SECRET], env={"TOKEN": SECRET}, mask=[SECRET]).wait()'
    report(sentry, store, code, events=1)

    assert values(sentry) == [("error", "runcast.runs", "StartFailed")]
    assert SECRET not in sentry.text

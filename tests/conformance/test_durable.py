"""The conformance suite of the Durable Streams protocol, all of it, on each backend and kind of server.

Its tests mostly wait, for long-polls and lifetimes to end, so the suites run at the same time.
"""

import faulthandler
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from runcast.web.api.durable import reads
from tests.helpers.servers import Server
from tests.helpers.wait import MS

HERE = Path(__file__).parent
TESTS = 332  # that count; six more are of subscriptions, which the suite leaves out unless asked
SUBSCRIPTIONS = 6
POLL_SECONDS = 3

FILES = """
    from runcast import Store
    from runcast.web.asgi import RunsASGI
    from runcast.web.api.durable.routes import Durable
    app = RunsASGI(Store({store!r}))
    app.durable = Durable(app.responder, poll_seconds={poll})
"""
MEMORY = """
    from runcast import Store
    from runcast.durable import MemoryStreams
    from runcast.web.asgi import RunsASGI
    from runcast.web.api.durable.routes import Durable
    app = RunsASGI(Store({store!r}))
    app.durable = Durable(app.responder, MemoryStreams(), poll_seconds={poll})
"""
SERVERS = {
    "files-uvicorn": ("uvicorn", FILES, 1),
    "memory-uvicorn": ("uvicorn", MEMORY, 1),
    "files-gunicorn": ("gunicorn-kept", FILES.replace("asgi", "wsgi").replace("ASGI", "WSGI"), 2),
    "files-serve": ("serve", "", 1),  # `runcast serve`, as users have it
    "memory-gunicorn": ("gunicorn-kept", MEMORY.replace("asgi", "wsgi").replace("ASGI", "WSGI"), 1),
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Serve(Server):
    """`runcast serve` without a token, which is open to the programs of this machine alone."""

    def __init__(self, folder: Path, store: str) -> None:
        super().__init__(folder, "uvicorn", "")
        serve = ["runcast", "--store", store, "serve", "--no-auth", "--port", str(self.port)]
        self._command = [sys.executable, "-m", *serve]


class Suite:
    """The suite, running against a server of its own."""

    def __init__(self, folder: Path, server: Server, poll_seconds: float) -> None:
        self.report = folder / "report.json"
        self._log = folder / "vitest.log"
        vitest = HERE / "node_modules" / "vitest" / "vitest.mjs"
        command = [
            "node",
            str(vitest),
            "run",
            "--reporter=default",
            "--reporter=json",
            f"--outputFile.json={self.report}",
        ]
        environment = os.environ | {
            "RUNCAST_URL": server.root,
            "RUNCAST_CACHE": str(folder / "cache"),
            "RUNCAST_LONG_POLL_MS": f"{poll_seconds * 1000:.0f}",
        }
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=HERE, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def result(self) -> dict[str, list[str]]:
        """Wait for the end; return the names of the tests by how they ended."""
        self.process.wait(300000 * MS)
        assert self.report.exists(), self._log.read_text()
        found: dict[str, list[str]] = {}
        for file in json.loads(self.report.read_text())["testResults"]:
            for test in file["assertionResults"]:
                said = f"{test['fullName']}: {' '.join(test['failureMessages'])[:300]}".rstrip(": ")
                found.setdefault(test["status"], []).append(said)
        return found

    def log(self) -> str:
        """Return what the suite said last, with the causes of what failed."""
        return self._log.read_text()[-8000:]

    def close(self) -> None:
        """End it if it has not ended."""
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Suite]]:
    """Start a suite against each server."""
    assert shutil.which("node"), "expected node and npm, which the conformance suite is written for"
    assert (HERE / "node_modules").is_dir(), "expected the suite to be installed: run `make conformance`"
    with ExitStack() as stack:
        running = {}
        for name, (server, code, workers) in SERVERS.items():
            folder = tmp_path_factory.mktemp(name)
            store = str(folder / "store")
            if server == "serve":
                served = stack.enter_context(Serve(folder, store))
                running[name] = Suite(folder, served, reads.POLL_SECONDS)
            else:
                code = code.format(store=store, poll=POLL_SECONDS)
                served = stack.enter_context(Server(folder, server, code, workers=workers))
                running[name] = Suite(folder, served, POLL_SECONDS)
            stack.callback(running[name].close)
        yield running


@pytest.mark.parametrize("name", SERVERS)
def test_conformance(suites: dict[str, Suite], name: str) -> None:
    """Every test of the protocol's suite passes, and none but those of subscriptions is left out."""
    faulthandler.cancel_dump_traceback_later()  # it waits for longer than others hang
    result = suites[name].result()

    assert result.get("failed", []) == [], suites[name].log()
    assert len(result["passed"]) == TESTS
    left_out = [test for others in (result.keys() - {"passed"}) for test in result[others]]
    assert len(left_out) == SUBSCRIPTIONS
    assert all("Reserved subscription APIs" in test for test in left_out)

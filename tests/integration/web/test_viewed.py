"""Runs that viewers started are swept: by a server's workers, by many at once, and not under a reader."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runcast import Store
from runcast.keep import Keep
from runcast.retention.sweep import sweep
from runcast.store.kept import VIEW, KeptFiles
from tests.helpers.servers import LONG, Server
from tests.helpers.wait import wait_until
from tests.unit.retention.test_sweep import id_at
from tests.unit.runs import make_run

pytestmark = pytest.mark.slow

# Each request sweeps, and nobody who may come back is waited for; all else as it is.
FLASK = """
    from flask import Flask, request
    from runcast.retention import sweep
    from runcast.web.flask import Runcast

    sweep.EVERY_SECONDS = sweep.QUIET_SECONDS = 0
    app = Flask(__name__)
    app.config["RUNCAST_KEEP_VIEWED"] = HERE
    cast = Runcast(app)

    @app.route("/stream", methods=["GET", "POST"])
    def stream():
        return cast.stream(["echo", "seen"], name="posted" if request.method == "POST" else "viewed")

    @app.get("/shared")
    def shared():
        return cast.stream(["echo", "seen"], name="shared", key="one")

    @app.get("/start")
    def start():
        return cast.start(["echo", "seen"], name="started").id
"""
SWEEPER = """
import sys
from runcast.retention.sweep import sweep
sys.stdin.readline()
print(sum(sweep(sys.argv[1], every=0, quiet=0) for _ in range(20)))
"""


def names(store: Store) -> list[str]:
    """Return the names of the runs; one that is swept meanwhile has none."""
    found = []
    for run in store.list():
        with contextlib.suppress(FileNotFoundError):
            found.append(run.name)
    return sorted(found)


@pytest.mark.parametrize("keep", ["(2, '1d')", "None"])
def test_server(store: Store, tmp_path: Path, keep: str):
    """Of a view's runs the newest stay; those of a POST, a key and `start` stay; with None all do."""
    with Server(tmp_path, "gunicorn", FLASK.replace("HERE", keep), workers=2) as server:
        for _ in range(3):
            assert server.ask("POST", "/stream")[2] == b"seen\n"
            assert server.ask("GET", "/shared")[2] == b"seen\n"
            server.ask("GET", "/start")
        for _ in range(5):
            assert server.ask("GET", "/stream")[2] == b"seen\n"
        others = ["posted"] * 3 + ["shared"] + ["started"] * 3
        if keep == "None":
            assert names(store) == [*others, *["viewed"] * 5]
            return

        def swept() -> bool:
            server.ask("GET", "/stream")  # the newest three: this one may go on yet
            viewed = [name for name in names(store) if name == "viewed"]
            return len(viewed) <= 3

        wait_until(swept, timeout=LONG)
        assert [name for name in names(store) if name != "viewed"] == others


def test_many_at_once(store: Store, tmp_path: Path):
    """Processes that sweep one store at once remove each run once, and none that somebody reads."""
    folder = Path(store.path)
    others = {make_run(folder, id_at(time.time() - 9000 - at)) for at in range(20)}
    runs = [store.get(make_run(folder, id_at(time.time() - 5000 - at))) for at in range(100)]
    for run in runs:
        KeptFiles(store.path).note(VIEW, "view", run.id, Keep(10, 3600 * 24))
    read = runs[50]
    log = read.log()
    first = log.read(0, 4)

    command = [sys.executable, "-c", SWEEPER, store.path]
    sweepers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    removed = [sweeper.communicate("go\n", timeout=LONG)[0] for sweeper in sweepers]

    assert sum(map(int, removed)) == 89
    assert {run.id for run in store.list()} == others | {run.id for run in runs[:10]} | {read.id}
    whole = first.chunks[0].data + b"".join(chunk.data for chunk in log.read(first.next).chunks)
    log.close()
    assert whole == read.output(encoding=None) == b"one\ntwo\r\nthree"


def test_reader_of_another_process(store: Store):
    """Who follows a run from anywhere, however slowly, reads it to its end."""
    run = store.start(["seq", "100000"])
    run.wait()
    KeptFiles(store.path).note(VIEW, "view", run.id, Keep(0, 3600))
    follower = """
import json, sys
import runcast
lines = runcast.Store.open(sys.argv[1]).get(sys.argv[2]).lines()
print(next(lines), flush=True)
sys.stdin.readline()
print(json.dumps([sum(1 for _ in lines)]))
"""
    command = [sys.executable, "-c", follower, store.path, run.id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        assert sweep(store.path, every=0, quiet=0) == 0
        assert json.loads(process.communicate("go\n", timeout=LONG)[0]) == [99_999]
    assert sweep(store.path, every=0, quiet=0) == 1

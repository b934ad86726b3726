"""The runs of a store in the metrics: whoever starts them, each is counted once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from starlette.testclient import TestClient

from runcast import Store
from runcast.server.app import ServerApp
from runcast.server.guard import Guard
from runcast.server.run_watch import RunWatch
from tests.helpers.children import supervisor_of
from tests.helpers.cli import LONG
from tests.helpers.wait import wait_until

TOKEN = "correct-horse-battery-staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def test_ended_runs_are_counted_once(store: Store):
    """What ended before the server began does not count; what ends later does, once."""
    store.start(["true"], name="before").wait()
    going = store.start(["sleep", "60"], name="going")
    watch = RunWatch(store.path)

    assert watch.look().ended == {}
    assert watch.look().running == {"going": 1}
    going.stop()
    going.wait()
    store.start(["false"], name="later").wait()
    for _ in range(3):
        counts = watch.look()

    assert counts.ended == {("going", "stopped"): 1, ("later", "failed"): 1}
    assert counts.running == {"going": 0}
    assert sorted(counts.durations) == ["going", "later"]


def test_runs_of_other_processes(store: Store):
    """Runs that several processes start at once are all counted."""
    watch = RunWatch(store.path)
    watch.look()
    code = (
        "import sys, runcast\n"
        "store = runcast.Store(sys.argv[1])\n"
        "for run in [store.start(['true'], name='burst') for _ in range(10)]: run.wait()\n"
    )
    starters = [subprocess.Popen([sys.executable, "-c", code, store.path]) for _ in range(3)]
    while any(starter.poll() is None for starter in starters):
        watch.look()

    assert [starter.returncode for starter in starters] == [0, 0, 0]
    assert watch.look().ended == {("burst", "ok"): 30}


def test_removed_and_queued(store: Store):
    """A run that was removed before a look found it over is `removed`; one that waits is in its queue."""
    first = store.start(["sleep", "60"], name="first", queue="deploy")
    second = store.start(["sleep", "60"], name="second", queue="deploy")
    watch = RunWatch(store.path)

    wait_until(lambda: watch.look().queued == {"deploy": 1}, timeout=LONG, what="the second to wait")
    for run in (second, first):
        run.stop()
        run.wait(timeout=LONG)
    store.remove(first)

    assert watch.look().ended == {("first", "removed"): 1, ("second", "stopped"): 1}


def test_lost_run(store: Store):
    """A run whose supervisor was killed is lost."""
    run = store.start(["sleep", "60"], name="victim")
    watch = RunWatch(store.path)
    watch.look()
    os.kill(supervisor_of(run), signal.SIGKILL)
    wait_until(lambda: watch.look().ended, timeout=LONG, what="the loss to be counted")

    assert watch.look().ended == {("victim", "lost"): 1}


def test_no_store_yet(tmp_path: Path):
    """A store that is made later, by its first run, is found."""
    watch = RunWatch(str(tmp_path / "later"))
    assert watch.look().ended == {}

    Store(str(tmp_path / "later")).start(["true"]).wait()

    assert watch.look().ended == {("true", "ok"): 1}


def test_metrics_have_them(store: Store):
    """`/metrics` has the runs of the store, in the format that Prometheus asks for."""
    app = ServerApp(store, Guard(["127.0.0.1"], TOKEN), commands={})
    client = TestClient(app, "http://127.0.0.1:8765")
    headers = BEARER | {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    assert client.get("/metrics", headers=headers).status_code == 200
    store.start(["sh", "-c", "exit 3"], name="check").wait()

    reply = client.get("/metrics", headers=headers)

    assert reply.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert reply.headers["vary"] == "Accept"
    assert reply.text.endswith("# EOF\n")
    assert 'runcast_runs_ended_total{name="check",outcome="failed"} 1.0\n' in reply.text

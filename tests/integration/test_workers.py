"""Tasks of real workers of Celery and dramatiq: what they print inside runs is their run's, and whole."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Run, Store
from tests.helpers.wait import MS, wait_until

DEADLINE = 40000 * MS  # a worker takes seconds to start
LINES = 200

pytestmark = pytest.mark.slow

# Two tasks meet half way, so that they print at the same time where the worker has two threads or processes.
JOB = """
    import logging, os, sys, threading, time
    import runcast

    def job(name):
        print(name, "begins")
        open(f"begun-{name}", "w").close()
        while not (os.path.exists("begun-one") and os.path.exists("begun-two")):
            time.sleep(0.001)
        for number in range(LINES):
            print(name, number)
        helper = threading.Thread(target=print, args=(name, "helps"))
        helper.start()
        helper.join()
        logging.getLogger("job").warning("%s logged", name)
        print(name, "to stderr", file=sys.stderr)
        return name
"""
CELERY = """
    from celery import Celery

    folders = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
    app = Celery("tasks", broker="filesystem://")
    app.conf.broker_transport_options = folders

    @app.task
    @runcast.record(name="recorded")
    def recorded(name):
        return job(name)

    @app.task
    def started(name):
        runcast.start(job, name).wait()

    @app.task
    def apart(name):
        runcast.start(job, name, process=True).wait()
"""
DRAMATIQ = """
    import dramatiq
    from dramatiq import Worker
    from dramatiq.brokers.stub import StubBroker

    broker = StubBroker()
    dramatiq.set_broker(broker)

    @dramatiq.actor
    @runcast.record(name="recorded")
    def recorded(name):
        return job(name)

    @dramatiq.actor
    def started(name):
        runcast.start(job, name).wait()

    if __name__ == "__main__":
        worker = Worker(broker, worker_threads=2)
        worker.start()
        for name in ("one", "two"):
            {"recorded": recorded, "job": started}[sys.argv[1]].send(name)
        broker.join("default")
        worker.join()
        worker.stop()
"""


@contextlib.contextmanager
def celery_worker(folder: Path, pool: str) -> Iterator[None]:
    """Run a worker of Celery with two places; it ends with the block."""
    options = ["--pool", pool, "--concurrency", "2", "--without-gossip", "--without-mingle"]
    # As its users do, and not by `-m`, which puts the folder on the path for good.
    command = [str(Path(sys.executable).with_name("celery")), "-A", "tasks", "worker", *options]
    for name in ("queue", "control"):
        (folder / name).mkdir()
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def check(store: Store, name: str) -> None:
    """Two runs have what their own task printed, in order, and nothing of the other's."""
    runs = wait_until(lambda: ended(store, name), DEADLINE, "the end of two runs")
    assert sorted(str(run.wait(DEADLINE).value) for run in runs) == ["one", "two"]
    for run in runs:
        task = run.wait(DEADLINE).value
        lines = [f"{task} begins", *(f"{task} {number}" for number in range(LINES)), f"{task} helps"]
        assert run.output(channel="stdout").splitlines() == lines
        errors = run.output(channel="stderr").splitlines()
        assert errors[-1] == f"{task} to stderr"
        assert any(line.endswith(f"{task} logged") for line in errors)
        assert not [line for line in errors if {"one": "two", "two": "one"}[task] in line.split()]


def ended(store: Store, name: str) -> list[Run] | None:
    """Return the two runs of that name, once they are over."""
    runs = [run for run in store.list() if run.name == name]
    return runs if len(runs) == 2 and all(run.closed for run in runs) else None


@pytest.mark.parametrize(
    ("pool", "task"),
    [(pool, task) for pool in ("prefork", "threads") for task in ("recorded", "started")]
    + [("prefork", "apart")],
)
def test_celery(store: Store, tmp_path: Path, pool: str, task: str):
    """Tasks of Celery that print at once, in two processes or two threads, have runs of their own.

    So have functions that they start in a process of its own, which finds the module of the task.
    """
    code = textwrap.dedent(JOB).replace("LINES", str(LINES)) + textwrap.dedent(CELERY)
    (tmp_path / "tasks.py").write_text(code)
    with celery_worker(tmp_path, pool):
        send = f"import tasks; [tasks.{task}.delay(one) for one in ('one', 'two')]"
        subprocess.run([sys.executable, "-c", send], cwd=tmp_path, check=True)
        check(store, "recorded" if task == "recorded" else "job")

    assert "one begins" not in (tmp_path / "worker.log").read_text()


@pytest.mark.parametrize("name", ["recorded", "job"])
def test_dramatiq(store: Store, tmp_path: Path, name: str):
    """Actors of dramatiq that print at once, in two threads of a worker, have runs of their own."""
    code = textwrap.dedent(JOB).replace("LINES", str(LINES)) + textwrap.dedent(DRAMATIQ)
    (tmp_path / "tasks.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "tasks.py", name],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    check(store, name)

    assert done.stdout == ""

"""Real workers of seven task queues: the run of a task, found by the task's id, and what becomes of it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from runcast import Reason, Run, Store
from tests.helpers.cli import cli
from tests.helpers.engines import serving, valkey
from tests.helpers.examples import EXAMPLES
from tests.helpers.servers import Server
from tests.helpers.wait import MS, wait_until
from tests.helpers.workers import WORKERS, children_of, send, working

pytestmark = [pytest.mark.meetings, pytest.mark.slow]

DEADLINE = 40000 * MS  # a worker takes seconds to start
QUEUES = [name for name in WORKERS if name != "apscheduler"]


@pytest.fixture(scope="module", name="url")
def url_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a Valkey."""
    with serving(valkey(), tmp_path_factory.mktemp("valkey")) as server:
        yield server.url


@pytest.fixture(autouse=True)
def _empty_queues(url: str) -> None:
    import redis

    with redis.Redis.from_url(url) as client:
        client.flushall()


def of_task(store: Store, task: str) -> Run:
    """Return the newest run of a task, once it has begun."""
    return wait_until(lambda: next(store.list(1, key=task), None), DEADLINE, f"a run of {task}")


@pytest.mark.parametrize("name", QUEUES)
def test_task(store: Store, tmp_path: Path, url: str, name: str):
    """What a task prints and logs is in a run that is found by the task's id; so is its other process."""
    with working(name, tmp_path, url):
        task = send(name, tmp_path, url, "apart")
        run = of_task(store, task)
        assert run.wait(timeout=DEADLINE).ok, run.output()

    output = run.output(channel="stdout").splitlines()
    errors = run.output(channel="stderr").splitlines()
    assert [line for line in output if not line.endswith("logged")] == [
        *("order apart", "packed apart", "done")
    ]
    assert "to stderr" in errors
    assert [line for line in (*output, *errors) if line.endswith("logged")]
    assert cli("log", "--key", task, "--channel", "stdout").out.decode() == run.output(channel="stdout")


def to_worker(number: int) -> Callable[[Popen[bytes]], None]:
    """Return what sends a signal to a worker."""
    return lambda process: process.send_signal(number)


def to_children(number: int) -> Callable[[Popen[bytes]], None]:
    """Return what sends a signal to the processes that a worker has started."""

    def act(process: Popen[bytes]) -> None:
        for pid in children_of(process.pid):
            os.kill(pid, number)

    return act


def again(number: int) -> Callable[[Popen[bytes]], None]:
    """Return what sends a signal until the worker ends: RQ takes two within a second for one."""

    def act(process: Popen[bytes]) -> None:
        def ended() -> bool:
            process.send_signal(number)
            return process.poll() is not None

        wait_until(ended, DEADLINE, "the worker's end")

    return act


def nothing(process: Popen[bytes]) -> None:
    """Leave a worker alone: a time limit is to end the task."""


TERM, INT, QUIT, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL
GOES_ON = "exit code 0"
RQ_TIMEOUT = WORKERS["rq"].send.replace("ORDER)", "ORDER, job_timeout=1)")
DRAMATIQ_LIMIT = WORKERS["dramatiq"].send.replace(
    "send(ORDER)", "send_with_options(args=(ORDER,), time_limit=500, max_retries=0)"
)
TASKIQ_LIMIT = WORKERS["taskiq"].send.replace(
    "send_order.kiq", "send_order.kicker().with_labels(timeout=1).kiq"
)
# By worker and what happens to it: what does it, the outcome, and options, code or changes of the example.
ENDS: dict[tuple[str, str], tuple[Callable[[Popen[bytes]], None], str | tuple[str, ...], dict[str, Any]]] = {
    ("celery", "soft limit"): (
        nothing,
        "exit code 1 (billiard.exceptions.SoftTimeLimitExceeded",
        {"options": ("--soft-time-limit", "1")},
    ),
    ("celery", "hard limit"): (nothing, "exit code 15", {"options": ("--time-limit", "1")}),
    ("celery", "TERM"): (to_worker(TERM), GOES_ON, {}),
    ("celery", "QUIT"): (to_worker(QUIT), "exit code 15", {}),
    ("celery", "kill -9"): (to_worker(KILL), "lost", {}),
    ("celery", "kill -9 of its children"): (to_children(KILL), "lost", {}),
    ("rq", "timeout"): (nothing, "exit code 1 (rq.timeouts.JobTimeoutException", {"code": RQ_TIMEOUT}),
    ("rq", "TERM"): (to_worker(TERM), GOES_ON, {}),
    ("rq", "TERM twice"): (again(TERM), "lost", {}),
    ("rq", "kill -9"): (to_worker(KILL), GOES_ON, {}),
    ("rq", "kill -9 of its children"): (to_children(KILL), "lost", {}),
    ("dramatiq", "time limit"): (
        nothing,
        "exit code 1 (dramatiq.middleware.time_limit.TimeLimitExceeded",
        {"code": DRAMATIQ_LIMIT},
    ),
    ("dramatiq", "TERM"): (to_worker(TERM), GOES_ON, {}),
    ("dramatiq", "kill -9 of its children"): (to_children(KILL), "lost", {}),
    ("huey", "INT"): (to_worker(INT), GOES_ON, {}),
    ("huey", "TERM"): (to_worker(TERM), ("stopped", "lost"), {}),
    ("huey", "TERM, process"): (
        to_worker(TERM),
        "exit code 1 (KeyboardInterrupt",
        {"options": ("-k", "process")},
    ),
    ("huey", "kill -9"): (to_worker(KILL), "lost", {}),
    ("taskiq", "timeout"): (nothing, GOES_ON, {"code": TASKIQ_LIMIT}),
    ("taskiq", "TERM"): (to_worker(TERM), GOES_ON, {}),
    ("taskiq", "kill -9 of its children"): (to_children(KILL), "lost", {}),
    ("arq", "job_timeout"): (
        nothing,
        "exit code 1 (asyncio.exceptions.CancelledError",
        {"changes": {"class WorkerSettings:": "class WorkerSettings:\n    job_timeout = 1"}},
    ),
    ("arq", "TERM"): (to_worker(TERM), "exit code 1 (asyncio.exceptions.CancelledError", {}),
    ("arq", "kill -9"): (to_worker(KILL), "lost", {}),
    ("apscheduler", "INT"): (to_worker(INT), GOES_ON, {}),
    ("apscheduler", "TERM"): (to_worker(TERM), "lost", {}),
    ("apscheduler", "kill -9"): (to_worker(KILL), "lost", {}),
}


@pytest.mark.parametrize(("name", "what"), ENDS)
def test_end(store: Store, tmp_path: Path, url: str, name: str, what: str):
    """What ends a task, or its worker, is in the outcome of the run: none is left that seems to go on."""
    act, expected, how = ENDS[name, what]
    changes = how.get("changes", {})
    if name == "apscheduler":
        changes = {'ship("of today")': 'ship("waits")'}
    with working(name, tmp_path, url, *how.get("options", ()), **changes) as process:
        task = "send orders" if name == "apscheduler" else send(name, tmp_path, url, "waits", how.get("code"))
        wait_until((tmp_path / "begun").exists, DEADLINE, "the task has begun")
        run = of_task(store, task)
        act(process)
        if expected == GOES_ON:
            (tmp_path / "go").touch()
        outcome = run.wait(timeout=DEADLINE)

    assert str(outcome).startswith(expected), outcome


STOPPED = """
    if run.outcome.reason is runcast.Reason.STOPPED:
        raise celery.exceptions.Ignore
"""


@pytest.mark.parametrize("is_told", [False, True])
def test_stop(store: Store, tmp_path: Path, url: str, is_told: bool):
    """A stop ends the task's block, and the queue takes it for done unless the task says otherwise."""
    with_run = {
        "self.request.id):": "self.request.id) as run:",
        "        ship(order)\n": f"        ship(order)\n{STOPPED}",
        "import runcast\n": "import celery.exceptions\nimport runcast\n",
    }
    with working("celery", tmp_path, url, "-l", "info", **(with_run if is_told else {})):
        task = send("celery", tmp_path, url, "waits")
        wait_until((tmp_path / "begun").exists, DEADLINE, "the task has begun")
        run = of_task(store, task)
        run.stop()
        (tmp_path / "go").touch()
        outcome = run.wait(timeout=DEADLINE, check=False)
        log = tmp_path / "worker.log"
        said = "ignored" if is_told else "succeeded in"
        wait_until(lambda: said in log.read_text(), DEADLINE, f"{said} in the worker's log")

    assert outcome.reason is Reason.STOPPED


def test_retries(store: Store, tmp_path: Path, url: str):
    """Each try of a task is a run; the task's id finds them all, the newest first."""
    retried = "@app.task(bind=True, autoretry_for=(ValueError,), default_retry_delay=0)"
    with working("celery", tmp_path, url, **{"@app.task(bind=True)": retried}):
        task = send("celery", tmp_path, url, "fails twice")
        wait_until(lambda: len(list(store.list(key=task))) == 3, DEADLINE, "three runs")
        outcomes = [run.wait(timeout=DEADLINE) for run in store.list(key=task)]

    assert [str(one) for one in outcomes] == ["exit code 0", *2 * ["exit code 1 (ValueError: out of stock)"]]


def test_delivered_again(store: Store, tmp_path: Path, url: str):
    """A task delivered again after a kill -9 is another run, and joins the first one's command by its key."""
    late = "@app.task(bind=True, acks_late=True, reject_on_worker_lost=True)"
    with working("celery", tmp_path, url, **{"@app.task(bind=True)": late}) as process:
        task = send("celery", tmp_path, url, "starts")
        wait_until((tmp_path / "begun").exists, DEADLINE, "the command has begun")
        to_children(KILL)(process)
        wait_until(lambda: len(list(store.list(key=task))) == 2, DEADLINE, "the second run")
        (tmp_path / "go").touch()
        outcomes = [str(run.wait(timeout=DEADLINE)) for run in store.list(key=task)]
        (command,) = store.list(key="of the order")

    assert [one.partition(":")[0].partition(" (")[0] for one in outcomes] == [GOES_ON, "lost"]
    assert str(command.wait(timeout=DEADLINE)) == GOES_ON
    assert f"{command.id} exit code 0" in next(store.list(1, key=task)).output()


def test_from_django(tmp_path: Path, url: str):
    """The example's task, whose store only Django's settings name, is watched by its id while it goes on."""
    example = (EXAMPLES / "django_celery.py").read_text().replace("redis://localhost", url)
    assert "time.sleep(1)" in example
    example = example.replace("time.sleep(1)", "while not Path('go').exists(): time.sleep(0.01)")
    (tmp_path / "django_celery.py").write_text(example)
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    with Server(tmp_path, "gunicorn", "from django_celery import wsgi as app", workers=2) as server:
        status, _, task = server.ask("POST", "/orders", b"order=books", **form)
        assert status == 202
        address = f"/orders/{task.decode()}"
        status, headers, body = server.ask("GET", address)
        assert (status, headers["refresh"], body) == (202, "1", b"not begun\n")

        environment = {name: value for name, value in os.environ.items() if name != "RUNCAST_STORE"}
        command = [sys.executable, "-m", "celery", "-A", "django_celery", "worker", "-c", "1"]
        with (tmp_path / "worker.log").open("wb") as log:
            worker = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
        try:
            led = wait_until(
                lambda: server.ask("GET", address, Accept="text/html")[1].get("location"),
                DEADLINE,
                "its page",
            )
            assert led.startswith(f"{address}?runcast=/runs/")
            assert server.ask("GET", led, Accept="text/html")[0] == 200
            assert server.ask("GET", led.partition("=")[2])[0] == 403
            with server.connect() as connection:
                connection.request("GET", address)
                live = connection.getresponse()
                assert live.readline() == b"packing books, 0\n"  # while the task waits
                (tmp_path / "go").touch()
                assert live.read().splitlines() == [b"packing books, %d" % number for number in range(1, 5)]
        finally:
            worker.terminate()
            worker.wait(timeout=DEADLINE)

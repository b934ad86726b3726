"""Workers of a task queue on two hosts: who takes a task starts its run; any host follows and stops it.

Each host is a store with an agent, a worker and a server of its own; a third one has no worker.
"""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Run
from tests.helpers.cli import cli
from tests.helpers.engines import Server, serving, valkey
from tests.helpers.examples import EXAMPLES
from tests.helpers.link_hosts import Host, linked_hosts
from tests.helpers.servers import ASGI
from tests.helpers.servers import Server as Web
from tests.helpers.wait import MS, wait_until
from tests.helpers.workers import programs

pytestmark = [pytest.mark.meetings, pytest.mark.slow]

DEADLINE = 60000 * MS
MAKEFILE = """
%:
\t@echo building $@ on $(HOST)
\t@until test -e go-$@; do sleep 0.05; done
\t@echo built $@
"""
# What starts a worker that has one task at a time, and what sends a task and prints its id.
QUEUES = {
    "rq": (
        ("rq", "worker", "--url", "URL"),
        "import redis, rq, rq_builds; queue = rq.Queue(connection=redis.Redis.from_url('URL')); "
        "print(queue.enqueue(rq_builds.build, 'TARGET').id)",
    ),
    "celery": (
        ("python", "-m", "celery", "-A", "celery_builds", "worker", "-c", "1", "--prefetch-multiplier", "1"),
        "from celery_builds import build; print(build.delay('TARGET').id)",
    ),
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Server]:
    """A server of Valkey, which has the queue and the link."""
    with serving(valkey(), tmp_path / "valkey") as server:
        yield server


@contextlib.contextmanager
def workers(queue: str, hosts: list[Host], folder: Path, url: str) -> Iterator[None]:
    """Have a worker on each host."""
    (folder / "Makefile").write_text(MAKEFILE)
    file = folder / f"{queue}_builds.py"
    file.write_text((EXAMPLES / "hosts" / file.name).read_text().replace("redis://localhost", url))
    with contextlib.ExitStack() as stack:
        for host in hosts:
            command = [part.replace("URL", url) for part in QUEUES[queue][0]]
            env = os.environ | {"RUNCAST_STORE": f"{url}?store={host.store.path}", "HOST": host.name}
            with open(folder / f"worker-{host.name}.log", "wb") as log:
                worker = subprocess.Popen(
                    [str(programs(queue) / command[0]), *command[1:]],
                    cwd=folder,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            stack.callback(worker.wait)
            stack.callback(os.killpg, worker.pid, signal.SIGKILL)
        yield


def send(queue: str, folder: Path, url: str, target: str, code: str | None = None) -> str:
    """Send a task; return its id."""
    code = (code or QUEUES[queue][1]).replace("URL", url).replace("TARGET", target)
    done = subprocess.run(
        [str(programs(queue) / "python"), "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def of_task(host: Host, task: str) -> Run:
    """Return the run of a task, as a host has it."""
    return wait_until(lambda: next(host.store.list(1, key=task), None), DEADLINE, f"a run of {task}")


@pytest.mark.parametrize("queue", QUEUES)
def test_dispatch(tmp_path: Path, engine: Server, queue: str):
    """Two tasks run on two hosts; a third host follows one by its task's id, and stops the other."""
    with (
        linked_hosts(tmp_path, engine.url, "rc:", "abc") as (a, b, web),
        workers(queue, [a, b], tmp_path, engine.url),
        Web(tmp_path, "uvicorn", ASGI, store=web.store) as server,
    ):
        first, second = (send(queue, tmp_path, engine.url, target) for target in ("one", "two"))
        runs = [of_task(web, task) for task in (first, second)]
        lines = [run.lines(timeout=DEADLINE) for run in runs]
        begun = [next(each) for each in lines]
        assert sorted(line.split()[-1] for line in begun) == ["a", "b"], "both workers have one"

        status, _, body = server.ask("GET", f"/runs?key={first}&limit=1")
        assert (status, json.loads(body)["runs"][0]["id"]) == (200, runs[0].id)
        found = cli("--store", web.store.path, "ls", "--key", second, "--json")
        assert json.loads(found.out)["id"] == runs[1].id
        assert server.ask("POST", f"/runs/{runs[1].id}/stop", X_Runcast="1")[0] in (200, 202, 204)
        (tmp_path / "go-one").touch()
        followed = cli("--store", web.store.path, "follow", "--key", first)
        assert followed.out.decode().splitlines() == [begun[0], "built one"]
        outcomes = [str(run.wait(timeout=DEADLINE)) for run in runs]
        assert outcomes[0] == "exit code 0"
        assert outcomes[1].startswith("stopped")


def test_taken_again_elsewhere(tmp_path: Path, engine: Server):
    """A task that is taken again by another host, since its worker was killed, joins the run that goes on."""
    with linked_hosts(tmp_path, engine.url, "rc:", "ab") as (a, b):
        with workers("rq", [a], tmp_path, engine.url):
            task = send("rq", tmp_path, engine.url, "one")
            run = of_task(a, task)
            assert next(run.lines(timeout=DEADLINE)) == "building one on a"
        again = QUEUES["rq"][1].replace("'TARGET'", f"'TARGET', job_id={task!r}")
        with workers("rq", [b], tmp_path, engine.url):
            assert send("rq", tmp_path, engine.url, "one", again) == task
            wait_until(lambda: engine.command("KEYS", f"rq:execution:{task}*"), DEADLINE, "the second try")
            mirror = of_task(b, task)
            (tmp_path / "go-one").touch()
            result = wait_until(lambda: results(tmp_path, engine.url, task), DEADLINE, "its result")
        assert (result, str(run.outcome)) == ("exit code 0", "exit code 0")
        assert [one.id for one in b.store.list(key=task)] == [run.id] == [mirror.id]


def results(folder: Path, url: str, task: str) -> str:
    """Return what a task of RQ has returned; nothing until it has."""
    code = f"import redis, rq; connection = redis.Redis.from_url({url!r}); "
    code += f"print(rq.job.Job.fetch({task!r}, connection=connection).return_value() or '')"
    return send("rq", folder, url, "", code)

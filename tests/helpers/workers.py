"""Real workers of task queues with the examples of the docs, on a real Valkey.

Owns how each is started, and how a task is sent to it. Celery is that of the tests; the others are in an
environment of their own, which `make test-meetings` installs: arq needs an older Redis client than Celery.
"""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.helpers.examples import EXAMPLES
from tests.helpers.wait import MS

__all__ = ["MEETINGS", "WORKERS", "children_of", "programs", "send", "working"]

MEETINGS = EXAMPLES.parent / ".venv-meetings" / "bin"
_PATIENCE = 40000 * MS
SHOP = """
import logging, os, sys, time
from pathlib import Path

def ship(order):
    print("order", order)
    print("to stderr", file=sys.stderr)
    logging.getLogger("shop").warning("logged")
    if order == "apart":
        import runcast
        print(runcast.start(pack, order, process=True).output().strip())
    if order == "starts":
        import runcast
        wait = "until test -e go; do sleep 0.05; done"
        run = runcast.start(["sh", "-c", wait], key="of the order")
        Path("begun").touch()
        print(run.id, run.wait())
    if order == "fails twice":
        with open("tries", "a") as tries:
            tries.write("x")
        if os.path.getsize("tries") < 3:
            raise ValueError("out of stock")
    if order == "waits":
        Path("begun").touch()
        while not Path("go").exists():
            time.sleep(0.01)
    print("done")

def pack(order):
    print("packed", order)
"""


class Worker(NamedTuple):
    """How the worker of an example is started, and what sends it a task and prints the task's id."""

    command: tuple[str, ...]
    send: str = ""


WORKERS = {
    "celery": Worker(
        ("celery", "-A", "celery_tasks", "worker", "-c", "1", "--without-gossip", "--without-mingle"),
        "from celery_tasks import send_order; print(send_order.delay(ORDER).id)",
    ),
    "rq": Worker(
        ("rq", "worker", "--url", "URL"),
        "import rq, redis, rq_tasks; queue = rq.Queue(connection=redis.Redis.from_url('URL')); "
        "print(queue.enqueue(rq_tasks.send_order, ORDER).id)",
    ),
    "dramatiq": Worker(
        ("dramatiq", "dramatiq_tasks", "--processes", "1", "--threads", "1"),
        "from dramatiq_tasks import send_order; print(send_order.send(ORDER).message_id)",
    ),
    "huey": Worker(
        ("huey_consumer", "huey_tasks.huey"),
        "from huey_tasks import send_order; print(send_order(ORDER).id)",
    ),
    "taskiq": Worker(
        ("taskiq", "worker", "taskiq_tasks:broker", "--workers", "1"),
        "import asyncio; from taskiq_tasks import broker, send_order\n"
        "async def send():\n"
        "    await broker.startup()\n"
        "    print((await send_order.kiq(ORDER)).task_id)\n"
        "    await broker.shutdown()\n"
        "asyncio.run(send())",
    ),
    "arq": Worker(
        ("arq", "arq_tasks.WorkerSettings"),
        "import arq, asyncio; from arq_tasks import WorkerSettings\n"
        "async def send():\n"
        "    queue = await arq.create_pool(WorkerSettings.redis_settings)\n"
        "    print((await queue.enqueue_job('send_order', ORDER)).job_id)\n"
        "asyncio.run(send())",
    ),
    "apscheduler": Worker(("python", "apscheduler_tasks.py")),
}


def _prepare(name: str, folder: Path, url: str, changes: dict[str, str]) -> None:
    text = (EXAMPLES / "workers" / f"{name}_tasks.py").read_text()
    for old, new in {"redis://localhost": url, **changes}.items():
        assert name in ("rq", "apscheduler") or old in text, old
        text = text.replace(old, new)
    (folder / f"{name}_tasks.py").write_text(text)
    (folder / "shop.py").write_text(textwrap.dedent(SHOP))


def programs(name: str) -> Path:
    """Return the folder of the programs of a queue's environment."""
    return Path(sys.executable).parent if name == "celery" else MEETINGS


@contextlib.contextmanager
def working(
    name: str, folder: Path, url: str, *options: str, **changes: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the worker of an example in a folder, with more options, and parts of its text replaced."""
    assert MEETINGS.exists(), "expected .venv-meetings: run `make test-meetings`"
    _prepare(name, folder, url, changes)
    program, *arguments = (part.replace("URL", url) for part in (*WORKERS[name].command, *options))
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [str(programs(name) / program), *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def send(name: str, folder: Path, url: str, order: str, code: str | None = None) -> str:
    """Have a task sent to a worker; return the id of the task."""
    code = (code or WORKERS[name].send).replace("ORDER", repr(order)).replace("URL", url)
    done = subprocess.run(
        [str(programs(name) / "python"), "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(one) for one in text.split()]

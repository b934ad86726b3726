"""The parent of a server's workers, which end in each way; `serve` itself is in test_workers.py."""

import os
import subprocess
import sys

import pytest

from runcast import Store
from tests.helpers.cli import LONG, RUNCAST

pytestmark = pytest.mark.slow

_PARENT = """
import logging, os, signal, sys
from runcast.server.scoreboard import Scoreboard
from runcast.server.workers import WorkerFailed, Workers

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def end_all():
    os.kill(os.getppid(), signal.SIGTERM)

def serve(report):
    report.ready()
    signal.pause()

board, begun = Scoreboard({workers}), os.memfd_create("begun")

def starts():
    "Count a start of any worker."
    os.write(begun, b".")
    return os.fstat(begun).st_size

def ready():
    print("ready", flush=True)
{code}
logging.basicConfig(level=logging.INFO, format="%(message)s")
try:
    Workers(board, work, ready).run()
    print("ended")
except WorkerFailed as error:
    print(error)
"""


def parent_of(workers: int, code: str) -> tuple[list[str], str]:
    """Return what a parent of such workers prints, and its log."""
    done = subprocess.run(
        [sys.executable, "-c", _PARENT.format(workers=workers, code=code)],
        capture_output=True,
        text=True,
        check=True,
        timeout=LONG,
        start_new_session=True,
    )
    return done.stdout.splitlines(), done.stderr


def test_ended_while_another_is_started():
    """Workers that end while others are being started are seen and replaced like any."""
    code = """
def work(worker, report):
    if board.restarts:
        end_all()
    serve(report) if board.restarts else (report.ready(), die())
"""
    printed, log = parent_of(16, code)

    assert printed[-1] == "ended"
    assert log.count("was ended by SIGKILL: another is started") == 16


@pytest.mark.parametrize("ends", ["die()", "raise OSError(24, 'no loop just now')"])
def test_replacement_cannot_begin(ends: str):
    """One that cannot begin where another serves is tried again: the server goes on."""
    code = f"""
def work(worker, report):
    if worker.number == 1:
        serve(report)
    match starts():
        case 1: report.ready(), signal.sigtimedwait([], 0.5), die()
        case 2: {ends}
        case 3: end_all()
    serve(report)
"""
    printed, log = parent_of(2, code)

    assert printed == ["ready", "ended"]
    assert log.count("a worker cannot serve: ") == log.count("; it is tried again") == 1


def test_nobody_serves():
    """One that says why it cannot begin, while none serves, ends the server."""
    code = """
def work(worker, report):
    if starts() > 1:
        raise OSError(24, "no loop any more")
    report.ready(), signal.sigtimedwait([], 0.5), die()
"""
    printed, _ = parent_of(1, code)

    assert printed == ["ready", "a worker cannot serve: OSError: [Errno 24] no loop any more"]


def test_signal_for_all_of_them():
    """A signal that ends workers and comes to the parent as well replaces none."""
    code = """
def ready():
    print("ready", flush=True)
    os.killpg(0, signal.SIGTERM)
    for pid in board.pids:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

def work(worker, report):
    serve(report)
"""
    assert parent_of(2, code) == (["ready", "ended"], "")


def test_interrupted_while_it_is_started():
    """Ctrl-C that comes to a worker before its first step is no error with a traceback."""
    code = """
def work(worker, report):
    serve(report)

os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGINT))
"""
    assert parent_of(1, code) == (["a worker cannot serve: KeyboardInterrupt: "], "")


def test_cannot_announce(store: Store):
    """Where the address cannot be printed the server ends, and its workers with it."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [RUNCAST, "serve", "--port", "0", "--workers", "2"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=LONG,
            env=os.environ,
        )

    assert (done.returncode, done.stderr) == (2, "runcast: cannot write to stdout: no space left on device\n")

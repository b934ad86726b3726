"""R5, R6, R7, R8, R14 in full: thousands of runs, and whatever they do to end badly."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runcast import Reason, Store
from tests.faults.test_last_words import last_words
from tests.faults.test_leaks import held, once
from tests.faults.test_stop import COMMANDS, survivors
from tests.helpers.children import marked
from tests.helpers.processes import MIB, Held, peak_kib, zombies
from tests.helpers.stores import supervisors
from tests.helpers.terminals import in_both
from tests.helpers.wait import wait_until

RUNS = 10_000
SHORT_RUNS = 5_000
STOPS = 50  # of each command and way
LATE_SECONDS = 0.5
GRACE = 0.5
WRITING_SECONDS = 60
EXITS = 300
EXIT_SECONDS = 0.1

Say = Callable[[str], None]
Sized = Callable[[int], int]
Counted = Callable[[int], Iterator[int]]


@in_both
def test_last_words(store: Store, tty: bool, sized: Sized, say: Say):
    """R5: 10,000 programs that write and end, with all codes and signals: every byte, the exact outcome."""
    begun, size = time.monotonic(), max(sized(RUNS), 400)
    last_words(store, size, tty=tty)
    say(f"{size:,} runs in {time.monotonic() - begun:.0f} s, no byte lost, each outcome exact")


@in_both
def test_short_runs(store: Store, tty: bool, sized: Sized, counted: Counted, say: Say):
    """R8: 5,000 short runs leave no descriptor, watch, thread, zombie, and less than 10 MiB."""
    for _ in range(50):
        once(store, tty=tty)
    before, former = held(), Held.of(os.getpid())

    for _ in counted(sized(SHORT_RUNS)):
        once(store, tty=tty)

    after = Held.of(os.getpid())
    say(f"before {former}, after {after}")
    say(f"memory {(after.resident - former.resident) / MIB:+.1f} MiB")
    assert all(now <= then for now, then in zip(held(), before, strict=True))
    assert after.resident < former.resident + 10 * MIB
    assert zombies(os.getpid()) == []
    wait_until(lambda: len(supervisors(Path(store.path))) <= 1 + 4, what="the spare supervisors to leave")
    peaks = {pid: peak_kib(pid) for pid in supervisors(Path(store.path))}
    say(f"most memory of a supervisor {max(peaks.values()) / 1024:.1f} MiB")
    assert max(peaks.values()) <= 25 * 1024
    assert [pid for pid in peaks if zombies(pid)] == []


@in_both
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_stops(store: Store, how: str, tty: bool, sized: Sized, counted: Counted, say: Say):
    """R7: whatever a run does to survive, nothing does, and it is over half a second behind the grace."""
    latest = 0.0
    for at in counted(sized(STOPS) * len(COMMANDS)):
        name = list(COMMANDS)[at % len(COMMANDS)]
        run = store.start(COMMANDS[name], tty=tty)
        assert next(run.lines()) == "up"
        if name.endswith("from the first"):  # its first process ends by itself, the others hold the pipe
            wait_until(lambda run=run: run.outcome is not None)
        begun = time.monotonic()
        if how == "stop":
            run.stop(grace=GRACE)
        else:
            run.kill()
        outcome = run.wait(timeout=60)
        wait_until(lambda run=run: run.closed, timeout=60)
        latest = max(latest, time.monotonic() - begun - (GRACE if how == "stop" else 0))
        assert survivors(run) == set(), name
        assert outcome.reason is (Reason.EXITED if name.endswith("from the first") else Reason.STOPPED)
        store.remove(run)
    say(f"over at the latest {1000 * latest:.0f} ms behind the grace")
    assert latest < LATE_SECONDS


@in_both
def test_exit_beside_a_grandchild(store: Store, tty: bool, sized: Sized, counted: Counted, say: Say):
    """R6: with the pipe held by a grandchild, each exit is told within 100 ms."""
    lags = []
    for _ in counted(sized(EXITS)):
        # A terminal's hang-up ends it before it holds anything up.
        code = (
            "import os, signal, time; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
            "os.fork() or time.sleep(60); print(time.time(), flush=True); os._exit(5)"
        )
        run = store.start(["python3", "-I", "-S", "-c", code], tty=tty)
        assert run.wait(timeout=60).code == 5
        now = time.time()
        lags.append(now - float(next(run.lines())))
        run.kill()
        wait_until(lambda run=run: run.closed, timeout=60)
    lags.sort()
    say(f"told after {1000 * lags[len(lags) // 2]:.1f} ms in the median, {1000 * lags[-1]:.1f} ms at most")
    assert lags[-1] < EXIT_SECONDS


def test_grandchild_that_writes_on(store: Store, sized: Sized, say: Say):
    """R6: a grandchild writes on for a minute: the exit is told at once, the log closes by grace."""
    seconds = max(sized(WRITING_SECONDS), 8)
    code = f"(end=$(($(date +%s) + {seconds})); while [ $(date +%s) -lt $end ]; do echo more; done) & exit 5"
    run = store.start(["sh", "-c", code])
    begun = time.monotonic()
    assert run.wait(timeout=60).code == 5
    told = time.monotonic() - begun
    followed = sum(len(chunk.data) for chunk in run.follow() if chunk)
    closed = time.monotonic() - begun
    say(f"exit told after {1000 * told:.0f} ms, the log closed after {closed:.1f} s with {followed:,} bytes")
    assert followed == run.tail_offset > 0
    assert closed < 10
    wait_until(lambda: not marked(run.id), timeout=2 * WRITING_SECONDS, what="the grandchild's end")

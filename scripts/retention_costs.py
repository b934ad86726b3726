#!/usr/bin/env python3
"""What sweeps of many finished runs cost, and whether starts wait for them.

    scripts/retention_costs.py [--runs 100000] [--seconds 12] [FOLDER]

Makes a store with so many finished runs of one name in a new folder below FOLDER, times a sweep by each
kind of rule that removes nothing, and times starts of `true` in this process for so many seconds, in turns
while a thread sweeps every six seconds, ten times as often as it ever happens, and while none does. Prints
seconds, milliseconds and their ratio, and removes the store.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import threading
import time

from runcast.ids import new_run_id
from runcast.keep import Keep, parse_keep
from runcast.model import Outcome, Reason
from runcast.retention import sweep as sweeps
from runcast.runs import Store
from runcast.store.kept import NAME, KeptFiles
from runcast.store.run_files import RunFiles

ROUNDS = 3
EVERY = 6.0
RULES = {"a number": 10**8, "a time": "1000d", "a size": "1000G", "all three": [10**8, "1000d", "1000G"]}


def make(store: str, count: int) -> None:
    """Make so many runs that are over, each with a rule."""
    index, keep = KeptFiles(store), Keep(10**8)
    for _ in range(count):
        run_id = new_run_id()
        request = {"format": 1, "id": run_id, "name": "made", "source": "command", "command": ["true"]}
        files = RunFiles.create(f"{store}/{run_id}", request | {"created_at": time.time()})
        files.acquire()
        files.write_state({"state": "exited"})
        files.write_outcome(Outcome(Reason.EXITED, 0, ended_at=time.time()))
        files.release()
        os.utime(f"{files.path}/outcome.json", (time.time() - 3600,) * 2)
        index.note(NAME, "made", run_id, keep)


def seconds(act: object) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    act()  # type: ignore[operator]
    return time.perf_counter() - began


def starts(store: Store, seconds: float) -> list[float]:
    """Return how long each start takes for so long; each run ends before the next one is started."""
    found = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        run = store.start(["true"])
        found.append(time.perf_counter() - began)
        run.wait()
    return found


def sweeping(store: str, ended: threading.Event) -> None:
    """Sweep by both kinds of rules every few seconds."""
    while not ended.wait(EVERY / 2):
        sweeps.sweep(store, every=0)
        sweeps.sweep_all(store, Keep(10**8, 10**9, 10**12), every=0)
        ended.wait(EVERY / 2)


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("folder", nargs="?")
    given = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="retention-", dir=given.folder)
    try:
        store = Store.open(f"{folder}/store")
        store.start(["true"]).wait()
        made = seconds(lambda: make(store.path, given.runs))
        print(f"{given.runs} runs made in {made:.0f} s")
        print(f"sweep by the rules of starts: {seconds(lambda: sweeps.sweep(store.path, every=0)):.3f} s")
        for name, rule in RULES.items():
            keep = parse_keep(rule)
            first, second = (
                seconds(lambda keep=keep: sweeps.sweep_all(store.path, keep, every=0)) for _ in range(2)
            )
            print(f"sweep of all by {name}: {first:.3f} s, again {second:.3f} s")
        quiet: list[float] = []
        beside: list[float] = []
        for _ in range(ROUNDS):
            quiet += starts(store, given.seconds)
            ended = threading.Event()
            thread = threading.Thread(target=sweeping, args=(store.path, ended))
            thread.start()
            beside += starts(store, given.seconds)
            ended.set()
            thread.join()
        for name, figure in (("median", statistics.median), ("p99", p99)):
            one, other = figure(quiet) * 1000, figure(beside) * 1000
            print(f"start, {name}: {one:.2f} ms, beside a sweep {other:.2f} ms, {other / one:.2f}x")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

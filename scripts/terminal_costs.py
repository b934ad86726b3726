"""Measure what a terminal costs a run: its start, its output, the memory of its supervisor.

Each figure is one of a pair, measured in turns in one go, so that a busy machine slows both alike: runs
with a terminal beside runs with pipes, and capture through a terminal beside a bare loop that reads one.
The medians are printed, and their ratio. Processor time tells more than speed where the machine is busy.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from runcast import Run, Store
from runcast.run.base import files_of

MIB = 1024 * 1024
OUTPUT = 16 * MIB
STARTS, ROUNDS = 100, 15
BLOCKS = ["sh", "-c", f"stty -opost <&1; exec head -c {OUTPUT} /dev/zero"]
LINES = ["sh", "-c", f"yes 0123456789012345678901234567890123456789 | head -c {OUTPUT}"]


class Capture(NamedTuple):
    """How fast output was read, and at what cost."""

    speed: float  # MB/s
    cost: float  # ms of the reader's processor time for each MB


def in_turns(
    one: Callable[[], Sequence[float]], other: Callable[[], Sequence[float]], times: int
) -> list[tuple[float, float]]:
    """Return the medians of the figures that two measurements give, made in turns."""
    ones, others = zip(*[(one(), other()) for _ in range(times)], strict=True)
    medians = [list(map(statistics.median, zip(*all_of, strict=True))) for all_of in (ones, others)]
    return list(zip(*medians, strict=True))


def start(store: Store, *, tty: bool) -> Sequence[float]:
    """Return how many milliseconds it takes until a command has been started and its end is known."""
    began = time.perf_counter()
    store.start(["true"], tty=tty).wait()
    return [1000 * (time.perf_counter() - began)]


def supervisor_of(run: Run) -> int:
    """Return the process that supervises a run."""
    while not (pid := files_of(run).state().get("supervisor")):
        time.sleep(0.001)
    return int(pid)


def memory(store: Store, *, tty: bool) -> Sequence[float]:
    """Return how many MiB a supervisor has for itself while its command runs."""
    run = store.start(["sh", "-c", "echo up; exec sleep 60"], tty=tty)
    run.wait_for("up")
    rollup = Path(f"/proc/{supervisor_of(run)}/smaps_rollup").read_text()
    run.kill()
    run.wait()
    kib = [int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private")]
    return [sum(kib) / 1024]


def processor_ns(pid: int) -> int:
    """Return how long a process has had a processor, in nanoseconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def capture(store: Store, command: list[str], *, tty: bool) -> Capture:
    """Have a program's output written to a log; the speed is that from the first byte to the end."""
    run = store.start([*command[:2], f"{command[2]}; sleep 0.2"], tty=tty)
    supervisor = supervisor_of(run)
    before = processor_ns(supervisor)
    for last in run.follow():
        if last is not None and last.next >= OUTPUT:
            break
    after = processor_ns(supervisor)
    first = run.log().read(0, 1).chunks[0]
    run.wait()
    size = run.tail_offset
    end = run.log().read(size - 1, 1).chunks[0].time
    store.remove(run)
    return Capture(size / (end - first.time) / 1e6, (after - before) / size)


def read(command: list[str]) -> Capture:
    """Read a program's terminal and do nothing else."""
    master, slave = os.openpty()
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.ttyname(slave), os.O_RDWR, 0)]
    actions += [(os.POSIX_SPAWN_DUP2, 0, 1), (os.POSIX_SPAWN_DUP2, 0, 2)]
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions, setsid=True)
    os.close(slave)
    size = len(os.read(master, 1))
    began, before = time.perf_counter(), processor_ns(os.getpid())
    try:
        while True:
            size += len(os.read(master, 65536))
    except OSError:  # EIO: the end
        pass
    taken, used = time.perf_counter() - began, processor_ns(os.getpid()) - before
    os.close(master)
    os.waitpid(pid, 0)
    return Capture(size / taken / 1e6, used / size)


def show(one: str, other: str, rows: dict[str, tuple[float, float]]) -> None:
    """Print pairs as a table."""
    print(f"{'':40}{one:>16}{other:>16}{'ratio':>9}{'more':>9}")
    for name, (first, second) in rows.items():
        print(f"{name:40}{first:16.2f}{second:16.2f}{first / second:9.2f}{first - second:9.2f}")
    sys.stdout.flush()


def main() -> None:
    """Measure all, and print it."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # how fast a disk is does not matter
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        store, pipes = Store(f"{folder}/terminals"), Store(f"{folder}/pipes")  # a supervisor may run several
        start(store, tty=True)
        start(pipes, tty=False)
        [starts] = in_turns(lambda: start(store, tty=True), lambda: start(pipes, tty=False), STARTS)
        [owned] = in_turns(lambda: memory(store, tty=True), lambda: memory(pipes, tty=False), ROUNDS)
        rows = {"start and end of `true`, ms": starts, "own memory of its supervisor, MiB": owned}
        for kind, command in (("blocks", BLOCKS), ("lines", LINES)):
            speeds, costs = in_turns(
                lambda command=command: capture(store, command, tty=True),
                lambda command=command: capture(pipes, command, tty=False),
                ROUNDS,
            )
            rows |= {f"{kind}, MB/s": speeds, f"{kind}, processor time, ms/MB": costs}
        show("with a terminal", "with pipes", rows)
        rows = {}
        for kind, command in (("blocks", BLOCKS), ("lines", LINES)):
            speeds, costs = in_turns(
                lambda command=command: capture(store, command, tty=True),
                lambda command=command: read(command),
                ROUNDS,
            )
            rows |= {f"{kind}, MB/s": speeds, f"{kind}, processor time, ms/MB": costs}
        show("with a terminal", "a bare loop", rows)


if __name__ == "__main__":
    main()

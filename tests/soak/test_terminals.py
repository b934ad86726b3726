"""Terminals, and who dies at random moments: those at a run, a run's supervisor, its server."""

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Run, State, Store
from runcast.client import Client, RemoteRun
from runcast.errors import RuncastError, RunFinished
from tests.helpers.children import Collected, Printer, collect, supervisor_of
from tests.helpers.servers import ASGI, Server
from tests.helpers.terminals import verbatim
from tests.helpers.wait import MS, wait_until
from tests.integration.cli.test_attach import BASH, ending, killed

KILLS = 100
ROUNDS = 60
LONG = 60000 * MS


def test_killed(store: Store, sized: Callable[[int], int], say: Callable[[str], None]):
    """100 times `runcast attach` is killed with SIGKILL: the modes are those of before, the run goes on."""
    begun, count = time.monotonic(), max(sized(KILLS), 10)
    run = store.start(BASH, tty=True, env={"PS1": "ready> "})
    with ending(run):
        for seed in range(count):
            killed(run, seed)
        assert run.outcome is None
    say(f"{count} kills in {time.monotonic() - begun:.0f} s, each terminal as it was")


@pytest.mark.parametrize("victim", ["server", "supervisor"])
def test_resized_and_killed(
    store: Store, tmp_path: Path, victim: str, sized: Callable[[int], int], say: Callable[[str], None]
):
    """R2, R3: who dies while a run prints in a terminal and is resized: no byte and no size is wrong."""
    rounds, sizes = max(sized(ROUNDS), 3), 0
    with Server(tmp_path, "uvicorn", ASGI) as server, Client(server.root) as client:
        for seed in range(rounds):
            printer = Printer(tmp_path / str(seed), lines=0, block=20, channels=("stdout",))
            run = store.start(verbatim(printer.argv, True), tty=True)
            with ending(run):
                seen = while_one_dies(run, client.get(run.id), printer, server, victim, random.Random(seed))
            check(run, printer, seen, victim)
            sizes += len(run.sizes)
    say(f"{rounds} times: each byte and all {sizes:,} sizes in their places")


def while_one_dies(
    run: Run, remote: RemoteRun, printer: Printer, server: Server, victim: str, chance: random.Random
) -> Collected:
    """Watch a run to its end over a server, while it is resized and one of them is killed."""
    collected: list[Collected] = []
    viewer = threading.Thread(target=lambda: collected.append(collect(remote.follow())))
    viewer.start()
    stop = threading.Event()
    resizes = threading.Thread(target=resize, args=(remote, stop, chance))
    resizes.start()
    least = chance.randrange(500_000)
    wait_until(lambda: run.tail_offset > least, LONG)
    if victim == "server":
        server.kill()
        server.start()
    else:
        os.kill(supervisor_of(run), signal.SIGKILL)
    before = run.tail_offset
    wait_until(lambda: run.tail_offset > before or run.state is State.LOST, LONG)
    stop.set()
    resizes.join(LONG)
    printer.enough()
    run.wait(timeout=LONG, check=False)
    viewer.join(LONG)
    return collected[0]


def resize(remote: RemoteRun, stop: threading.Event, chance: random.Random) -> None:
    """Give a run one size after the other; the rows follow from the columns."""
    while not stop.wait(0.002):
        columns = chance.randrange(1, 300)
        try:
            remote.resize(columns, 300 - columns)
        except RunFinished:
            return
        except RuncastError:  # the server is away, or the supervisor
            continue


def check(run: Run, printer: Printer, seen: Collected, victim: str) -> None:
    """Assert that what was kept is what was written, and that the sizes are whole and in order."""
    kept, written = run.output(encoding=None), printer.copy("stdout")
    assert seen.faults == []
    assert bytes(seen.data) == kept
    if victim == "server":
        assert kept == written
    else:
        assert run.state is State.LOST
        assert written.startswith(kept)
    for before, size in itertools.pairwise(run.sizes):
        assert size.columns + size.rows == 300
        assert 0 <= before.offset <= size.offset <= run.tail_offset

"""R1, R8, R17 in full: viewers of every transport that are cut, leave, and lose their workers."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runcast import Store
from tests.faults.test_cut_readers import SERVERS, leave, resume, serving
from tests.faults.test_web import children
from tests.helpers.children import Printer
from tests.helpers.cut_readers import WSGI_READERS, CutReader, Poll, read_cut
from tests.helpers.processes import MIB, zombies
from tests.helpers.servers import WSGI, Server
from tests.helpers.terminals import in_both, verbatim
from tests.helpers.wait import wait_until

CUTS = 1_000_000
LEAVERS = 10_000  # of each transport
LINES = 600_000  # of each channel: 10,000 a second in all while workers die
CUT_BYTES = 256 * 1024
HOUR = 3600.0
LEAST_LINES, LEAST_KILLS = 25_000, 3  # some seconds, or nobody would be killed

Say = Callable[[str], None]
Sized = Callable[[int], int]


@pytest.mark.parametrize(("kind", "code", "readers"), SERVERS, ids=["asgi", "wsgi"])
def test_a_million_cuts(
    kind: str, code: str, readers: list[type[CutReader]], store: Store, tmp_path: Path, sized: Sized, say: Say
):
    """R17: half a million cuts at any byte under each server: nothing lost, doubled or out of order."""
    wanted, cuts, begun, spoken = sized(CUTS // 2), 0, time.monotonic(), time.monotonic()
    seed = 0
    with Server(tmp_path, kind, code) as server:
        while cuts < wanted:
            seed += 1
            cuts += resume(store, server, readers, seed, tmp_path, again=5)
            if time.monotonic() - spoken > 10:
                spoken = time.monotonic()
                say(f"{cuts:,} of {wanted:,} cuts after {spoken - begun:.0f} s")
    taken = time.monotonic() - begun
    say(f"{cuts:,} cuts in {seed:,} runs, nothing lost or doubled; {cuts / taken:,.0f} cuts a second")


@pytest.mark.parametrize(("kind", "code", "readers"), SERVERS, ids=["asgi", "wsgi"])
def test_viewers_that_leave(
    kind: str, code: str, readers: list[type[CutReader]], store: Store, tmp_path: Path, sized: Sized, say: Say
):
    """R8: 10,000 viewers of each transport that leave at any byte leave nothing behind, and < 10 MiB."""
    begun = time.monotonic()
    with Server(tmp_path, kind, code) as server:
        assert server.process is not None
        main = server.process.pid
        before, after = leave(store, server, readers, lambda: serving(main, kind), sized(LEAVERS))
    count = sized(LEAVERS) * len(readers)
    say(f"{count:,} viewers in {time.monotonic() - begun:.0f} s; before {before}, after {after}")
    say(f"memory {(after.resident - before.resident) / MIB:+.1f} MiB")

    assert after.within(before)
    assert zombies(os.getpid()) == []


class LongPoll(Poll):
    """Takes as much as a reply may have: of five lines each there would be 240,000 polls."""

    target = "/runs/{run}/log?wait=2&offset={offset}"


@in_both
def test_killed_workers(store: Store, tty: bool, tmp_path: Path, sized: Sized, say: Say):
    """R1: a random worker killed every second, 10,000 lines a second, 8 clients: nothing lost, none twice."""
    printer = Printer(tmp_path / "copy", lines=max(sized(LINES), LEAST_LINES), block=50, pause=0.01)
    with Server(tmp_path, "gunicorn", WSGI, workers=2) as server:
        assert server.process is not None
        main = server.process.pid
        run = store.start(verbatim(printer.argv, tty), tty=tty)
        kinds = [LongPoll if kind is Poll else kind for kind in WSGI_READERS]
        readers = [kind(server.port, run.id) for kind in kinds]
        wrong: list[str] = []
        # Seldom cut by themselves, but so often that what a reader looks through again stays small.
        reading = threading.Thread(target=lambda: wrong.extend(read_cut(readers, 1, CUT_BYTES, HOUR)))
        reading.start()
        kills = 0
        for worker in _victims(main, run.id, store):
            os.kill(worker, signal.SIGKILL)
            kills += 1
            if not reading.is_alive():
                break
        reading.join()
        cuts = sum(reader.cuts for reader in readers)
    say(f"{kills} workers killed, {cuts} replies cut, {run.tail_offset / MIB:.0f} MiB of output")

    assert kills >= LEAST_KILLS
    assert wrong == []
    whole = run.output(encoding=None)
    for reader in readers:
        reader.expect(whole)


def _victims(main: int, run_id: str, store: Store) -> Iterator[int]:
    """Give a worker every second, as long as the run goes on."""
    chance = random.Random(1)
    run = store.get(run_id)
    while run.outcome is None:
        try:
            run.wait(timeout=1.0)
        except TimeoutError:
            workers = wait_until(lambda: children(main), what="a worker")
            yield chance.choice(workers)

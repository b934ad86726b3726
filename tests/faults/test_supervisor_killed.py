"""R3: the supervisor dies in mid-output. Viewers hear of it, nothing false is said, little is lost."""

import contextlib
import os
import random
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Reason, Run, State, Store
from runcast.errors import RunFinished
from runcast.run.base import files_of
from tests.helpers.children import Collected, Printer, collect, marked, supervisor_of
from tests.helpers.stores import supervisors, temporary_store
from tests.helpers.terminals import in_both, verbatim
from tests.helpers.wait import MS, wait_until

DEADLINE = 10000 * MS
PIPE_BYTES = 1024 * 1024  # what a pipe that was grown may hold
READ_BYTES = 2 * 64 * 1024  # what one read may have in flight, and what is carried

pytestmark = pytest.mark.fault

LEAVES = 'setsid sh -c \'trap "" TERM HUP PIPE; while :; do sleep 1000; done\' & exec "$@"'
"""A shell that leaves a process behind which has its own session and holds the pipes."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Give a store in memory, where there is room: how long a disk takes to sync is not what is tested."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(tmp_path)
    with tempfile.TemporaryDirectory(dir=parent) as folder, temporary_store(Path(folder) / "store") as store:
        yield store


class Viewer(threading.Thread):
    """Follows a run, beginning to end."""

    def __init__(self, run: Run) -> None:
        super().__init__(daemon=True)
        self._run = run
        self.collected = Collected()
        self.start()

    def run(self) -> None:
        """Collect all there is."""
        self.collected = collect(self._run.follow())


def start_printer(store: Store, printer: Printer, *, tty: bool = False) -> Run:
    """Start an endless printer that leaves a process behind, and return when it is well under way."""
    run = store.start(verbatim(["sh", "-c", LEAVES, "sh", *printer.argv], tty), tty=tty)
    wait_until(lambda: run.tail_offset > 500_000, DEADLINE)
    wait_until(lambda: len(marked(run.id)) >= 3)
    return run


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


@in_both
@pytest.mark.parametrize("settler", ["forkserver", "follower"])
def test_lost(store: Store, tmp_path: Path, settler: str, tty: bool):
    """R3: a follower ends within 2 s, the run is lost, its output a prefix, and nothing of it is left."""
    channels = ("stdout",) if tty else ("stdout", "stderr")
    printer = Printer(tmp_path / "copy", lines=0, block=50, channels=channels)
    run = start_printer(store, printer, tty=tty)
    viewer = Viewer(run)
    wait_until(lambda: viewer.is_alive() and run.tail_offset > 1_000_000, DEADLINE)
    supervisor = supervisor_of(run)
    if settler == "follower":
        os.kill(parent(supervisor), signal.SIGKILL)

    os.kill(supervisor, signal.SIGKILL)
    viewer.join(2000 * MS)

    assert not viewer.is_alive()
    assert run.state is State.LOST
    assert run.closed
    outcome = run.wait(timeout=0)
    assert (outcome.reason, outcome.code, outcome.signal, outcome.ok) == (Reason.LOST, None, None, False)
    assert outcome.message == "its supervisor died before the run ended"
    assert marked(run.id) == []
    assert viewer.collected.faults == []
    for channel in channels:
        kept, written = viewer.collected.of(channel), printer.copy(channel)
        assert written.startswith(kept)
        assert len(written) - len(kept) <= PIPE_BYTES + READ_BYTES + printer.block * printer.width


@in_both
def test_lost_with_nobody_looking(store: Store, tmp_path: Path, tty: bool):
    """R3: the forkserver settles a lost run by itself: there is an outcome although nobody asks."""
    run = start_printer(store, Printer(tmp_path / "copy", lines=0, block=50), tty=tty)

    os.kill(supervisor_of(run), signal.SIGKILL)

    wait_until(lambda: os.path.exists(f"{files_of(run).path}/outcome.json"), 2000 * MS)
    assert marked(run.id) == []
    wait_until(lambda: not os.path.exists(files_of(run).control_path))


@in_both
def test_all_die_and_somebody_comes(store: Store, tmp_path: Path, tty: bool):
    """R3: whoever looks at a run later, when all that watched over it is dead, finds it lost."""
    run = start_printer(store, Printer(tmp_path / "copy", lines=0, block=50), tty=tty)
    supervisor = supervisor_of(run)
    os.kill(parent(supervisor), signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not files_of(run).held)

    [found] = store.list()

    assert found.state is State.LOST
    assert marked(run.id) == []


def test_many_settle_at_once(store: Store, tmp_path: Path):
    """R3: of many who find the same lost run each is told so, and its outcome is written once."""
    run = start_printer(store, Printer(tmp_path / "copy", lines=0, block=50))
    supervisor = supervisor_of(run)
    outcomes = []
    waiting = [
        threading.Thread(target=lambda: outcomes.append(store.get(run.id).wait(timeout=DEADLINE)))
        for _ in range(8)
    ]
    for thread in waiting:
        thread.start()

    os.kill(supervisor, signal.SIGKILL)
    for thread in waiting:
        thread.join(DEADLINE)

    assert len(outcomes) == 8
    assert len(set(outcomes)) == 1
    assert outcomes[0].reason is Reason.LOST


def test_nothing_can_be_asked_of_a_lost_run(store: Store, tmp_path: Path):
    """R3: stopping a lost run says that it has ended, and removing it works."""
    run = start_printer(store, Printer(tmp_path / "copy", lines=0, block=50))
    os.kill(supervisor_of(run), signal.SIGKILL)

    with pytest.raises(RunFinished, match=f"run {run.id} has ended .lost"):
        run.stop()
    store.remove(run)
    assert list(store.list()) == []


def test_other_runs_go_on(store: Store, tmp_path: Path):
    """R3: the death of one supervisor is nothing to the runs of the others."""
    other = store.start(["cat"], stdin="pipe")
    run = start_printer(store, Printer(tmp_path / "copy", lines=0, block=50))

    os.kill(supervisor_of(run), signal.SIGKILL)
    wait_until(lambda: run.state is State.LOST, 2000 * MS)

    other.send("hello", eof=True)
    assert other.output(timeout=DEADLINE) == "hello"
    assert store.start(["echo", "next"]).output(timeout=DEADLINE) == "next\n"


@in_both
def test_killed_at_any_moment(store: Store, tty: bool):
    """R3: supervisors and forkservers killed at random: each run ends, whole or lost, and none is left."""
    chance = random.Random(3)
    ended: list[tuple[Run, str]] = []
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            run = store.start(["sh", "-c", "echo one; sleep 0.02; echo two"], tty=tty)
            ended.append((run, "\n".join(line or "" for line in run.lines())))

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for _ in range(40):
        before = len(ended)
        wait_until(lambda before=before: len(ended) > before, DEADLINE)
        active = [files_of(run).state().get("supervisor") for run in store.list(4) if run.outcome is None]
        victim = next(filter(None, active), 0)
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            if victim and chance.random() < 0.2:
                victim = parent(victim)
            if victim in supervisors(Path(store.path)):  # its forkserver may be dead, and init its parent
                os.kill(victim, signal.SIGKILL)
    over.set()
    for worker in workers:
        worker.join(40000 * MS)
        assert not worker.is_alive()

    for run, text in ended:
        if run.wait(timeout=2000 * MS).reason is Reason.EXITED:
            assert run.outcome is not None
            assert (run.outcome.code, text) == (0, "one\ntwo")
        else:
            assert run.state is State.LOST
            assert "one\ntwo".startswith(text)
        assert marked(run.id) == []
    assert {run.state for run, _ in ended} == {State.EXITED, State.LOST}

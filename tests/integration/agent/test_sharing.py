"""Two hosts share runs: what is mirrored is the same, whatever the link does meanwhile."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Store
from runcast.errors import Full, SegmentAway
from runcast.link import Reply
from runcast.link.memory import MemoryLink
from runcast.log import FileLog
from runcast.log.fetch import patient
from runcast.model import Reason, State
from runcast.run.base import files_of
from runcast.store.links import read_status
from runcast.supervisor.control import ask
from runcast.testing.faulty_link import FaultyLink
from tests.helpers.link_hosts import files, same
from tests.helpers.lost import CLEARED, alive, orphan, started
from tests.helpers.memory_hosts import Turns, agent_of, hosts
from tests.helpers.wait import MS

DEADLINE = 15000 * MS
LINES = "for i in $(seq 200); do echo line $i; echo error $i >&2; done; exit 3"
WIDE = "for i in 1 2 3 4 5 6 7 8; do seq 1 20000; done"

pytestmark = pytest.mark.slow


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Turns]:
    """Two hosts."""
    with hosts(tmp_path) as two:
        yield two


def test_mirror_is_the_same(two: Turns):
    """Bytes, channels, index, request and outcome are those of the run, and nothing is left to do."""
    run = two.a.start(["sh", "-c", LINES])
    mirror = two.whole(run)

    same(run, mirror)
    assert (mirror.outcome, mirror.started_at) == (run.wait(timeout=DEADLINE), run.started_at)
    assert mirror.output(timeout=DEADLINE) == run.output(timeout=DEADLINE)
    assert files_of(mirror).mirror_of == "a"
    two.until(lambda: not two.agents[0].shipping.runs)
    assert not two.agents[1].mirrors.runs


def test_stub_has_no_log(two: Turns):
    """Before anybody wants it a mirror has state, size and outcome, and a log that is not closed nor here."""
    run = two.a.start(["sh", "-c", LINES])
    run.wait(timeout=DEADLINE)
    two.until(lambda: not two.agents[0].shipping.runs)
    mirror = two.mirror(run)

    assert (mirror.state, mirror.outcome, mirror.closed) == (State.EXITED, run.outcome, False)
    assert os.listdir(files_of(mirror).log_path) == []
    found, expected = mirror.to_json(), run.to_json()
    assert "damaged" not in found
    assert [found[name] for name in ("tail_offset", "lines", "pid")] == [
        expected[name] for name in ("tail_offset", "lines", "pid")
    ]
    with pytest.raises(SegmentAway):
        mirror.log().read(100)
    assert mirror.log().lines == 400


def test_reader_waits_for_what_is_not_here(two: Turns):
    """A read that needs bytes of a stub waits until they have come, and finds the same."""
    run = two.a.start(["sh", "-c", WIDE])
    run.wait(timeout=DEADLINE)
    two.until(lambda: not two.agents[0].shipping.runs)
    mirror = two.mirror(run)
    log = FileLog(files_of(mirror).path)

    def wait(away: SegmentAway, here: object) -> None:
        two.agents[1].mirrors.want(run.id, time.monotonic())
        two.until(here)  # type: ignore[arg-type]

    log.on_away(wait)
    at = log.offset_of_tail(3)
    assert log.read(at).chunks[0].data == b"19998\n19999\n20000\n"
    assert log.offset_of_line(20_001) == run.log().offset_of_line(20_001)
    assert patient(run.log()).offset_of_tail(3) == at


@pytest.mark.parametrize("seed", range(3))
def test_faulty_links(tmp_path: Path, seed: int):
    """With requests lost, doubled, delayed and connections cut, the mirror is the same in the end."""
    with hosts(tmp_path, lambda link: FaultyLink(link, seed, 0.05)) as two:
        runs = [two.a.start(["sh", "-c", command]) for command in (LINES, WIDE, "true")]
        for run in runs:
            same(run, two.whole(run))


def test_engine_loses_its_data(two: Turns):
    """Emptied in the middle of a run, the engine is filled again, and the mirror goes on to the same end."""
    run = two.a.start(["sh", "-c", f"{WIDE}; read word; {WIDE}; echo $word"], stdin="pipe")
    mirror = two.mirror(run)
    two.agents[1].mirrors.want(run.id, time.monotonic())
    two.until(lambda: mirror.tail_offset > 500_000)
    two.engine.clear()
    two.until(lambda: run.id in two.engine.runs, "the run at the engine again")
    run.send(b"end\n")

    same(run, two.whole(run))
    assert two.engine.runs[run.id].tail == run.tail_offset


def test_cut_connection_is_found_again(two: Turns):
    """After a cut the store says that it is not shared, and then that it is."""
    run = two.a.start(["sh", "-c", "echo begin; read word; echo $word"], stdin="pipe")
    two.until(lambda: run.id in two.engine.runs)
    link = next(iter(two.engine.links))
    for link in list(two.engine.links):
        link.cut()
    two.until(lambda: (status := read_status(two.a.path)) is not None and not status.up)
    run.send(b"end\n")

    same(run, two.whole(run))
    status = read_status(two.a.path)
    assert status is not None
    assert (status.up, status.message) == (True, None)


def test_first_in_first_out(two: Turns):
    """A run with much output does not keep others waiting: each has its turn."""
    big = two.a.start(["sh", "-c", "head -c 3000000 /dev/zero"])
    big.wait(timeout=DEADLINE)
    small = [two.a.start(["echo", str(number)]) for number in range(5)]
    for run in small:
        run.wait(timeout=DEADLINE)
    two.until(lambda: all(run.id in two.engine.runs for run in small))
    seen = two.until(
        lambda: all(two.engine.runs[run.id].tail for run in small) and two.engine.runs[big.id].tail
    )
    assert seen < 3_000_000
    same(big, two.whole(big))


class FullLink(MemoryLink):
    """A link to an engine that takes nothing for a while."""

    full = True

    def put(self, run: str, start: int, end: int, data: bytes, records: bytes) -> Reply[int | None]:
        """Refuse."""
        if not self.full:
            return super().put(run, start, end, data, records)
        reply: Reply[int | None] = Reply()
        reply.fail(Full("expected room, there is none"))
        return reply


def test_full_engine(two: Turns, tmp_path: Path):
    """An engine that is full is left alone for a while, and people are told; then all of it is there."""
    link = FullLink(two.engine)
    agent = agent_of(str(tmp_path / "c"), link, "c")
    store = Store(str(tmp_path / "c"))
    two.agents.append(agent)
    try:
        run = store.start(["sh", "-c", WIDE])
        two.until(lambda: (status := read_status(store.path)) and status.message)
        status = read_status(store.path)
        assert status is not None
        assert (status.up, status.message) == (True, "expected room, there is none")
        assert run.wait(timeout=DEADLINE).ok
        link.full = False
        same(run, two.whole(run))
        two.until(lambda: (status := read_status(store.path)) and status.message is None)
    finally:
        agent.close()


def test_silent_host_loses_its_runs(tmp_path: Path):
    """A host that is silent for too long has its runs ended, once; they go on there, and stay whole."""
    with hosts(tmp_path, lost_after=1.0) as two:
        run = two.a.start(["sh", "-c", "echo begin; read word; echo $word"], stdin="pipe")
        mirror = two.mirror(run)
        first, second = two.agents
        two.agents.remove(first)
        two.until(lambda: two.engine.runs[run.id].fence)
        two.agents.append(first)
        two.agents[:] = [first, second]
        found = two.whole(run)

        assert found.outcome is not None
        assert (found.outcome.reason, found.outcome.message) == (Reason.LOST, "host a was silent for 1 s")
        assert mirror.state is State.LOST
        two.until(lambda: run.id in first.shipping.fenced)
        run.send(b"end\n")
        assert run.wait(timeout=DEADLINE).ok
        assert run.output(timeout=DEADLINE) == "begin\nend\n"
        two.until(lambda: run.id in str(read_status(two.a.path)), "what people are to know")


def test_copied_store_is_refused(two: Turns, tmp_path: Path):
    """A second store under the name of the first shares nothing, and says why."""
    run = two.a.start(["echo", "words"])
    two.until(lambda: run.id in two.engine.runs)
    other = Store(str(tmp_path / "copy"))
    agent = agent_of(other.path, MemoryLink(two.engine), "a")
    two.agents.append(agent)
    try:
        mine = other.start(["true"])
        two.until(lambda: (status := read_status(other.path)) and status.message)
        mine.wait(timeout=DEADLINE)
        for _ in range(50):
            two.turn()
        assert mine.id not in two.engine.runs
        status = read_status(other.path)
        assert status is not None
        assert "another store has it: was a store folder copied?" in str(status.message)
    finally:
        agent.close()


def test_removed_run_is_dropped(two: Turns):
    """A run that is removed where it belongs is removed at the engine; mirrors that are whole stay."""
    run = two.a.start(["echo", "words"])
    mirror = two.whole(run)
    two.until(lambda: not two.agents[0].shipping.runs)
    two.a.remove(run)
    two.until(lambda: run.id not in two.engine.runs)

    assert mirror.output(timeout=DEADLINE) == "words\n"


def test_removed_mirror_stays_away(two: Turns):
    """A mirror that is removed, be it a stub or whole, does not come back, from the next agent neither."""
    runs = [two.a.start(["echo", word]) for word in ("one", "two")]
    for run in runs:
        run.wait(timeout=DEADLINE)
    two.until(lambda: not two.agents[0].shipping.runs)
    stub, whole = two.mirror(runs[0]), two.whole(runs[1])
    assert not stub.closed
    for mirror in (stub, whole):
        two.b.remove(mirror)
    for _ in range(5):
        two.turn()
    two.agents[1].close()
    os.close(two.agents[1]._lock_fd)
    two.agents[1] = agent_of(two.b.path, MemoryLink(two.engine), "b")
    later = two.a.start(["true"])
    two.mirror(later)

    assert two.b.ids() == [later.id]
    assert {run.id for run in runs} < two.engine.runs.keys()


def test_notes_and_sizes(two: Turns):
    """Notes and the sizes of a terminal are those of the run, while it goes on."""
    run = two.a.start(["cat"], tty=True, columns=90, rows=30)
    mirror = two.mirror(run)
    two.agents[1].mirrors.want(run.id, time.monotonic())
    two.until(lambda: run.state is State.RUNNING)
    run.resize(100, 40)
    ask(files_of(run).control_path, {"op": "note", "text": "so far", "run": run.id})

    two.until(lambda: mirror.size == run.size and mirror.notes)
    assert (mirror.size.columns, mirror.sizes, mirror.notes) == (100, run.sizes, run.notes)


def test_names_that_are_no_ids(two: Turns, tmp_path: Path):
    """What another host calls a run becomes the name of a folder only if it is an id."""
    other = MemoryLink(two.engine)
    other.wait(other.hello())
    for name in ("evil", "../evil", ".owners", "a/b"):
        other.wait(other.create(name, b"{}", "x"))
    two.mirror(two.a.start(["true"]))
    other.close()

    assert not (tmp_path / "evil").exists()
    assert not [name for name in os.listdir(two.b.path) if name.startswith((".new", "a", "evil"))]


def test_lost_run_is_settled(two: Turns):
    """A run whose supervisor is killed while nobody looks is lost at all hosts, without its processes."""
    run, pids = started(two.a, CLEARED, 3)
    two.until(lambda: run.id in two.engine.runs and two.engine.runs[run.id].fields.get("state"))
    orphan(run)
    mirror = two.whole(run)

    assert mirror.outcome is not None
    assert mirror.outcome.reason is Reason.LOST
    assert not any(map(alive, pids))


def test_agent_goes_on_with_mirrors(two: Turns):
    """The next agent of a store goes on with what the last one left, and ships what it had not."""
    run = two.a.start(["sh", "-c", f"{WIDE}; read word; echo $word"], stdin="pipe")
    mirror = two.mirror(run)
    two.agents[1].mirrors.want(run.id, time.monotonic())
    two.until(lambda: mirror.tail_offset > 100_000)
    for number, store in enumerate((two.a, two.b)):
        two.agents[number].close()
        os.close(two.agents[number]._lock_fd)
        two.agents[number] = agent_of(store.path, MemoryLink(two.engine), "ab"[number])
    run.send(b"end\n")

    same(run, two.whole(run))
    assert files(mirror)[-4:] == b"end\n"

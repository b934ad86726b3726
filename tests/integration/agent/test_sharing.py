"""Two hosts share runs: what is mirrored is the same, whatever the link does meanwhile."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Store
from runcast.errors import Full, SegmentAway
from runcast.link import Reply, Stretch
from runcast.link.memory import MemoryLink
from runcast.log import FileLog
from runcast.log.fetch import patient
from runcast.model import Reason, State
from runcast.run.base import files_of
from runcast.store.links import LinkFile, read_status
from runcast.supervisor.control import ask
from runcast.testing.faulty_link import FaultyLink
from tests.helpers.cli import RUNCAST
from tests.helpers.link_hosts import files, same
from tests.helpers.lost import CLEARED, alive, orphan, started
from tests.helpers.memory_hosts import Turns, agent_of, hosts
from tests.helpers.wait import MS, wait_until

DEADLINE = 15000 * MS
LINES = "for i in $(seq 200); do echo line $i; echo error $i >&2; done; exit 3"
WIDE = "for i in 1 2 3 4 5 6 7 8; do seq 1 20000; done"

pytestmark = pytest.mark.slow


def test_mirror_is_the_same(turns: Turns):
    """Bytes, channels, index, request and outcome are those of the run, and nothing is left to do."""
    run = turns.a.start(["sh", "-c", LINES])
    mirror = turns.whole(run)

    same(run, mirror)
    assert (mirror.outcome, mirror.started_at) == (run.wait(timeout=DEADLINE), run.started_at)
    assert mirror.output(timeout=DEADLINE) == run.output(timeout=DEADLINE)
    assert files_of(mirror).mirror_of == "a"
    turns.until(lambda: not turns.agents[0].shipping.runs)
    assert not turns.agents[1].mirrors.runs


def test_stub_has_no_log(turns: Turns):
    """Before anybody wants it a mirror has state, size and outcome, and a log that is not closed nor here."""
    run = turns.a.start(["sh", "-c", LINES])
    run.wait(timeout=DEADLINE)
    turns.until(lambda: not turns.agents[0].shipping.runs)
    mirror = turns.mirror(run)

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


def test_stub_of_a_run_that_goes_on(turns: Turns):
    """A stub that nobody reads says how many lines and bytes its run has by now, and keeps up."""
    run = turns.a.start(["sh", "-c", "seq 1 1000; read word; seq 1 500; sleep 600"], stdin="pipe")
    mirror = turns.mirror(run)

    def said(lines: int) -> bool:
        turns.agents[1].mirrors.looked = time.monotonic()
        value = mirror.to_json()
        return (value["lines"], int(value["tail_offset"])) == (lines, run.tail_offset)

    turns.until(lambda: said(1000))
    run.send(b"go\n")
    turns.until(lambda: said(1500))
    assert os.listdir(files_of(mirror).log_path) == []
    turns.until(lambda: mirror.state is State.RUNNING)
    run.kill()


def test_fields_of_a_run_that_writes_on_and_on(turns: Turns):
    """State, lines and progress come to other hosts though there is always more output to be shipped."""
    run = turns.a.start(["sh", "-c", f"seq 1 2000000; {RUNCAST} progress 3 4; read word"], stdin="pipe")
    wait_until(lambda: run.progress, DEADLINE, "all that it writes")
    shared = turns.until(lambda: turns.engine.runs.get(run.id), "the run at the engine")
    turns.until(lambda: b"lines_so_far" in shared.fields.get("state", b""), "lines of it")

    assert json.loads(shared.fields["state"])["state"] == "running"
    assert json.loads(shared.fields["progress"])["done"] == 3
    assert 0 < shared.tail < run.tail_offset
    run.kill()


@pytest.mark.parametrize("key", [None, "job"])
def test_stub_of_a_failed_start(turns: Turns, key: str | None):
    """A run whose command could not be started has failed on all hosts, with the same error, stub or not."""
    for command, options in ((["no-such-command"], {}), (["true"], {"cwd": "/nowhere"})):
        run = turns.a.start(command, key=key, **options)
        mirror = turns.mirror(run)
        turns.until(lambda mirror=mirror: mirror.outcome)
        assert mirror.outcome is not None
        assert (mirror.outcome, mirror.state) == (run.outcome, run.state)
        assert mirror.outcome.reason is Reason.FAILED_TO_START
        assert mirror.outcome.message
        key = None


def test_reader_waits_for_what_is_not_here(turns: Turns):
    """A read that needs bytes of a stub waits until they have come, and finds the same."""
    run = turns.a.start(["sh", "-c", WIDE])
    run.wait(timeout=DEADLINE)
    turns.until(lambda: not turns.agents[0].shipping.runs)
    mirror = turns.mirror(run)
    log = FileLog(files_of(mirror).path)

    def wait(away: SegmentAway, here: object) -> None:
        turns.agents[1].mirrors.want(run.id, time.monotonic())
        turns.until(here)  # type: ignore[arg-type]

    log.on_away(wait)
    at = log.offset_of_tail(3)
    assert log.read(at).chunks[0].data == b"19998\n19999\n20000\n"
    assert log.offset_of_line(20_001) == run.log().offset_of_line(20_001)
    assert patient(run.log()).offset_of_tail(3) == at


@pytest.mark.parametrize("seed", range(3))
def test_faulty_links(tmp_path: Path, seed: int):
    """With requests lost, doubled, delayed and connections cut, the mirror is the same in the end."""
    with hosts(tmp_path, lambda link: FaultyLink(link, seed, 0.05)) as turns:
        runs = [turns.a.start(["sh", "-c", command]) for command in (LINES, WIDE, "true")]
        for run in runs:
            same(run, turns.whole(run))


def test_engine_loses_its_data(turns: Turns):
    """Emptied in the middle of a run, the engine is filled again, and the mirror goes on to the same end."""
    run = turns.a.start(["sh", "-c", f"{WIDE}; read word; {WIDE}; echo $word"], stdin="pipe")
    mirror = turns.mirror(run)
    turns.agents[1].mirrors.want(run.id, time.monotonic())
    turns.until(lambda: mirror.tail_offset > 500_000)
    turns.engine.clear()
    turns.until(lambda: run.id in turns.engine.runs, "the run at the engine again")
    run.send(b"end\n")

    same(run, turns.whole(run))
    assert turns.engine.runs[run.id].tail == run.tail_offset


def test_cut_connection_is_found_again(turns: Turns):
    """After a cut the store says that it is not shared, and then that it is."""
    run = turns.a.start(["sh", "-c", "echo begin; read word; echo $word"], stdin="pipe")
    turns.until(lambda: run.id in turns.engine.runs)
    link = next(iter(turns.engine.links))
    for link in list(turns.engine.links):
        link.cut()
    turns.until(lambda: (status := read_status(turns.a.path)) is not None and not status.up)
    run.send(b"end\n")

    same(run, turns.whole(run))
    status = read_status(turns.a.path)
    assert status is not None
    assert (status.up, status.message) == (True, None)


def test_agent_that_ends_says_nothing_of_the_engine(turns: Turns):
    """What is under way when an agent ends comes to nothing, and nobody is told that the link is down."""
    agent = turns.agents[0]
    run = turns.a.start(["sh", "-c", "echo one; read word"], stdin="pipe")
    turns.until(lambda: run.id in agent.shipping.runs and agent.hosts.leased)
    agent.shipping.rejoin()
    turns.agents.remove(agent)
    agent.close()
    os.close(agent._lock_fd)

    status = read_status(turns.a.path)
    assert status is not None
    assert (status.up, status.message) == (True, None)
    run.kill()


class TwoConnections(MemoryLink):
    """A link whose news and replies come over two connections, so that news may overtake a reply.

    Attributes:
        keeps: whether the next reply to a read is held back.
        kept: has it come; None while there is none.
    """

    keeps = False
    kept: Callable[[], None] | None = None

    def read(self, run: str, offset: int, limit: int) -> Reply[Stretch]:
        """Read now; settle with the version of when the reply comes."""
        mine: Reply[Stretch] = Reply()

        def settle(reply: Reply[Stretch]) -> None:
            def come() -> None:
                mine.succeed(reply.result()._replace(version=self._versions.get(run)))

            if self.keeps and self.kept is None:
                self.kept = come
            else:
                come()

        super().read(run, offset, limit).then(settle)
        return mine


def test_news_overtake_a_reply(tmp_path: Path):
    """An outcome that is known before the last bytes is taken with them, though nothing else changes."""
    links: list[TwoConnections] = []

    def wrap(link: MemoryLink) -> TwoConnections:
        link.close()
        links.append(TwoConnections(link._engine))
        return links[-1]

    with hosts(tmp_path, wrap) as turns:  # type: ignore[arg-type]
        run = turns.a.start(
            ["sh", "-c", "echo one; read word; echo two; read word; echo three"], stdin="pipe"
        )
        mirror = turns.mirror(run)
        turns.agents[1].mirrors.want(run.id, time.monotonic())
        turns.until(lambda: mirror.tail_offset == len("one\n"), "the first line")
        links[1].keeps = True
        run.send(b"\n")
        turns.until(lambda: links[1].kept, "a reply with the second line alone")
        run.send(b"\n")
        run.wait(timeout=DEADLINE)
        turns.until(lambda: not turns.agents[0].shipping.runs)
        assert links[1].kept is not None
        links[1].kept()
        turns.until(lambda: mirror.closed, "its outcome")
        same(run, mirror)


def test_first_in_first_out(turns: Turns):
    """A run with much output does not keep others waiting: each has its turn."""
    big = turns.a.start(["sh", "-c", "head -c 3000000 /dev/zero"])
    big.wait(timeout=DEADLINE)
    small = [turns.a.start(["echo", str(number)]) for number in range(5)]
    for run in small:
        run.wait(timeout=DEADLINE)
    turns.until(lambda: all(run.id in turns.engine.runs for run in small))
    seen = turns.until(
        lambda: all(turns.engine.runs[run.id].tail for run in small) and turns.engine.runs[big.id].tail
    )
    assert seen < 3_000_000
    same(big, turns.whole(big))


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


def test_full_engine(turns: Turns, tmp_path: Path):
    """An engine that is full is left alone for a while, and people are told; then all of it is there."""
    link = FullLink(turns.engine)
    agent = agent_of(str(tmp_path / "c"), link, "c")
    store = Store(str(tmp_path / "c"))
    turns.agents.append(agent)
    try:
        run = store.start(["sh", "-c", WIDE])
        turns.until(lambda: (status := read_status(store.path)) and status.message)
        status = read_status(store.path)
        assert status is not None
        assert (status.up, status.message) == (True, "expected room, there is none")
        assert run.wait(timeout=DEADLINE).ok
        link.full = False
        same(run, turns.whole(run))
        turns.until(lambda: (status := read_status(store.path)) and status.message is None)
    finally:
        agent.close()


def test_silent_host_loses_its_runs(tmp_path: Path):
    """A host that is silent for too long has its runs ended, once; they go on there, and stay whole."""
    with hosts(tmp_path, lost_after=1.0) as turns:
        run = turns.a.start(["sh", "-c", "echo begin; read word; echo $word"], stdin="pipe")
        mirror = turns.mirror(run)
        first, second = turns.agents
        turns.agents.remove(first)
        turns.until(lambda: turns.engine.runs[run.id].fence)
        turns.agents.append(first)
        turns.agents[:] = [first, second]
        found = turns.whole(run)

        assert found.outcome is not None
        assert (found.outcome.reason, found.outcome.message) == (Reason.LOST, "host a was silent for 1 s")
        assert mirror.state is State.LOST
        turns.until(lambda: run.id in first.shipping.fenced)
        run.send(b"end\n")
        assert run.wait(timeout=DEADLINE).ok
        assert run.output(timeout=DEADLINE) == "begin\nend\n"
        turns.until(lambda: run.id in str(read_status(turns.a.path)), "what people are to know")


def test_copied_store_is_refused(turns: Turns, tmp_path: Path):
    """A second store under the name of the first shares nothing, and says why."""
    run = turns.a.start(["echo", "words"])
    turns.until(lambda: run.id in turns.engine.runs)
    other = Store(str(tmp_path / "copy"))
    agent = agent_of(other.path, MemoryLink(turns.engine), "a")
    turns.agents.append(agent)
    try:
        mine = other.start(["true"])
        turns.until(lambda: (status := read_status(other.path)) and status.message)
        mine.wait(timeout=DEADLINE)
        for _ in range(50):
            turns.turn()
        assert mine.id not in turns.engine.runs
        status = read_status(other.path)
        assert status is not None
        assert "another store has it: was a store folder copied?" in str(status.message)
    finally:
        agent.close()


def test_silence_is_seen_when_it_begins(tmp_path: Path):
    """A host looks again at the moment when another one's lease ends, not when it renews its own."""
    with hosts(tmp_path, lost_after=12.0) as turns:
        first, second = turns.agents
        turns.until(lambda: first.hosts.leased and second.hosts.leased)
        turns.agents.remove(first)
        first.close()
        end = turns.engine.leases["a"][0]
        dues = []

        def seen() -> bool:
            due = second.hosts.due()
            if due is not None and time.monotonic() < end:
                dues.append(due)
            return "a" in second.hosts.silent

        turns.until(seen, "silence")
        assert max(dues) <= end + 100 * MS


def test_copy_takes_the_name(tmp_path: Path):
    """A copy that has the name of a store that is gone has its runs lost, though not at once."""
    with hosts(tmp_path, lost_after=8.0) as turns:
        run = turns.a.start(["sleep", "600"])
        turns.until(lambda: run.id in turns.engine.runs and run.state is State.RUNNING)
        turns.agents.pop(0).close()
        copy = str(tmp_path / "copy")
        subprocess.run(["cp", "-a", turns.a.path, copy], check=True)
        agent = agent_of(copy, MemoryLink(turns.engine), "a", 8.0)
        turns.agents.append(agent)
        try:
            turns.until(lambda: agent.hosts.leased, "the lease of the store that is gone")
            mine = Store(copy).start(["true"])
            turns.until(
                lambda: mine.id in turns.engine.runs and "outcome" in turns.engine.runs[mine.id].fields
            )
            assert "outcome" not in turns.engine.runs[run.id].fields
            Store(copy).remove(mine)
            turns.until(lambda: mine.id not in turns.engine.runs, "what is its own can be removed")
            turns.until(lambda: "outcome" in turns.engine.runs[run.id].fields, "nobody has said more of it")
            assert b"was moved or copied" in turns.engine.runs[run.id].fields["outcome"]
            assert run.state is State.RUNNING
        finally:
            agent.close()


def test_removed_run_is_dropped(turns: Turns):
    """A run that is removed where it belongs is removed at the engine; mirrors that are whole stay."""
    run = turns.a.start(["echo", "words"])
    mirror = turns.whole(run)
    turns.until(lambda: not turns.agents[0].shipping.runs)
    turns.a.remove(run)
    turns.until(lambda: run.id not in turns.engine.runs)

    assert mirror.output(timeout=DEADLINE) == "words\n"


def test_renamed_host(turns: Turns):
    """A store that has another name at the link now says nothing of runs that it shared under the first."""
    run = turns.a.start(["echo", "words"])
    run.wait(timeout=DEADLINE)
    turns.until(lambda: not turns.agents[0].shipping.runs and run.id in turns.engine.runs)
    turns.agents[0].close()
    os.close(turns.agents[0]._lock_fd)
    turns.agents[0] = agent_of(turns.a.path, MemoryLink(turns.engine), "c")
    later = turns.a.start(["true"])
    later.wait(timeout=DEADLINE)
    turns.until(lambda: later.id in turns.engine.runs and not turns.agents[0].shipping.runs)
    status = read_status(turns.a.path)
    assert status is not None
    assert (status.up, status.message) == (True, None)
    assert turns.engine.runs[later.id].host == "c"


def test_removed_mirror_stays_away(turns: Turns):
    """A mirror that is removed, be it a stub or whole, does not come back, from the next agent neither."""
    runs = [turns.a.start(["echo", word]) for word in ("one", "two")]
    for run in runs:
        run.wait(timeout=DEADLINE)
    turns.until(lambda: not turns.agents[0].shipping.runs)
    stub, whole = turns.mirror(runs[0]), turns.whole(runs[1])
    assert not stub.closed
    LinkFile("memory:", None, "b").write(turns.b.path)  # as a store that is shared is known
    for mirror in (stub, whole):
        turns.b.remove(mirror)
    os.unlink(f"{turns.b.path}/link.json")
    for _ in range(5):
        turns.turn()
    turns.agents[1].close()
    os.close(turns.agents[1]._lock_fd)
    turns.agents[1] = agent_of(turns.b.path, MemoryLink(turns.engine), "b")
    later = turns.a.start(["true"])
    turns.mirror(later)

    assert turns.b.ids() == [later.id]
    assert {run.id for run in runs} < turns.engine.runs.keys()


def test_notes_and_sizes(turns: Turns):
    """Notes and the sizes of a terminal are those of the run, while it goes on."""
    run = turns.a.start(["cat"], tty=True, columns=90, rows=30)
    mirror = turns.mirror(run)
    turns.agents[1].mirrors.want(run.id, time.monotonic())
    turns.until(lambda: run.state is State.RUNNING)
    run.resize(100, 40)
    ask(files_of(run).control_path, {"op": "note", "text": "so far", "run": run.id})

    turns.until(lambda: mirror.size == run.size and mirror.notes)
    assert (mirror.size.columns, mirror.sizes, mirror.notes) == (100, run.sizes, run.notes)


def test_names_that_are_no_ids(turns: Turns, tmp_path: Path):
    """What another host calls a run becomes the name of a folder only if it is an id."""
    other = MemoryLink(turns.engine)
    other.wait(other.hello())
    for name in ("evil", "../evil", ".owners", "a/b"):
        other.wait(other.create(name, b"{}", "x"))
    turns.mirror(turns.a.start(["true"]))
    other.close()

    assert not (tmp_path / "evil").exists()
    assert not [name for name in os.listdir(turns.b.path) if name.startswith((".new", "a", "evil"))]


def test_lost_run_is_settled(turns: Turns):
    """A run whose supervisor is killed while nobody looks is lost at all hosts, without its processes."""
    run, pids = started(turns.a, CLEARED, 3)
    turns.until(lambda: run.id in turns.engine.runs and turns.engine.runs[run.id].fields.get("state"))
    orphan(run)
    mirror = turns.whole(run)

    assert mirror.outcome is not None
    assert mirror.outcome.reason is Reason.LOST
    assert not any(map(alive, pids))


def test_agent_goes_on_with_mirrors(turns: Turns):
    """The next agent of a store goes on with what the last one left, and ships what it had not."""
    run = turns.a.start(["sh", "-c", f"{WIDE}; read word; echo $word"], stdin="pipe")
    mirror = turns.mirror(run)
    turns.agents[1].mirrors.want(run.id, time.monotonic())
    turns.until(lambda: mirror.tail_offset > 100_000)
    for number, store in enumerate((turns.a, turns.b)):
        turns.agents[number].close()
        os.close(turns.agents[number]._lock_fd)
        turns.agents[number] = agent_of(store.path, MemoryLink(turns.engine), "ab"[number])
    run.send(b"end\n")

    same(run, turns.whole(run))
    assert files(mirror)[-4:] == b"end\n"

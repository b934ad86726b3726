"""Readers of bytes that are not on this disk: they request them, wait, and get the same as anybody else."""

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable
from itertools import count, pairwise
from pathlib import Path

import pytest

import runcast
import runcast.aio
from runcast import Run
from runcast.errors import SegmentAway
from runcast.ids import new_run_id
from runcast.log import SEGMENT_BYTES, FileLog, FileLogWriter, Log, LogWriter
from runcast.log import fetch as fetching
from runcast.log.fetch import Fetch, patient
from runcast.log.segments import segment_starts
from runcast.model import Channel, Outcome, Reason
from runcast.store.run_files import RunFiles
from runcast.testing import FilePlace, check_log
from runcast.web.api.log_reply import log_reply
from runcast.web.http.messages import Request
from runcast.web.live import long_poll
from runcast.web.live.long_poll import PollStream
from runcast.web.live.once_here import here
from runcast.wire import Query
from tests.helpers.away import Agent, AwayLog, make_run, take
from tests.helpers.wait import MS, wait_until

LONG = 10000 * MS
OUT, ERR = Channel.STDOUT, Channel.STDERR
APPENDS = [(ERR if n % 7 == 0 else OUT, b"line %d\n" % n) for n in range(300)]
TEXT = b"".join(data for _, data in APPENDS)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Where the bytes go that are taken away."""
    return tmp_path / "shelf"


@pytest.fixture
def run(tmp_path: Path) -> str:
    """A run that has ended, in segments of 256 bytes."""
    return make_run(tmp_path, APPENDS, 256)


def test_nobody_fetches(run: str, shelf: Path, monkeypatch: pytest.MonkeyPatch):
    """A reader that waits says so after a while where nobody hears it."""
    monkeypatch.setattr(fetching, "_UNHEARD_SECONDS", 0.0)
    take(run, shelf)

    with pytest.raises(SegmentAway, match="see that the store's agent runs, then read again"):
        patient(FileLog(run)).read(0)


def test_follower_of_an_agent_that_is_gone(run: str, shelf: Path, monkeypatch: pytest.MonkeyPatch):
    """Who follows waits for the next agent longer than who looks once, and not for ever."""
    monkeypatch.setattr(fetching, "_UNHEARD_SECONDS", 0.0)
    take(run, shelf)
    log = FileLog(run)
    with pytest.raises(SegmentAway) as away:
        log.read(0)

    follower = Fetch(log, follows=True)
    assert follower.ask(away.value) > 0
    with pytest.raises(SegmentAway):
        Fetch(log).ask(away.value)
    monkeypatch.setattr(fetching, "_FOLLOWS_SECONDS", 0.0)
    with pytest.raises(SegmentAway):
        follower.ask(away.value)


def test_request_beyond_its_time(run: str, shelf: Path):
    """A request that may wait no longer asks once for what is away, and is answered."""
    take(run, shelf)
    waits: list[bool] = []
    request = Request("GET", "", query="format=json&wait=0", headers={}, arrived=time.monotonic() - 2)
    with pytest.raises(SegmentAway) as caught:
        log_reply(Run(run), request)

    assert not asyncio.run(here(caught.value, lambda: waits.append(True) is None))
    assert waits == []


def test_poll_by_key_beyond_its_time(run: str, shelf: Path, monkeypatch: pytest.MonkeyPatch):
    """A poll that goes on where the server knows has nothing yet then."""
    monkeypatch.setattr(long_poll, "_AWAY_SECONDS", 0.0)
    take(run, shelf)

    (reply,) = PollStream(Run(run), Query(wait=0.0), 0, "/poll?key=1", keyed=True).steps()

    assert isinstance(reply, bytes)
    assert (json.loads(reply)["chunks"], json.loads(reply)["closed"]) == ([], False)


def test_tail_needs_two_segments(tmp_path: Path, shelf: Path):
    """Of a long log that is away, a tail brings at most two segments, a line and a time at most as many."""
    run = make_run(tmp_path, [(OUT, b"%7d\n" % n) for n in range(20_000)], 4096)
    whole = FileLog(run)
    expected = whole.offset_of_tail(100), whole.offset_of_line(10_000), whole.offset_of_tail(3, [OUT])
    whole.close()
    with Agent(tmp_path, shelf) as agent:
        for number, find in enumerate(
            (
                lambda log: log.offset_of_tail(100),
                lambda log: log.offset_of_line(10_000),
                lambda log: log.offset_of_tail(3, [OUT]),
            )
        ):
            take(run, shelf)
            agent.forget()
            log = patient(FileLog(run))
            assert find(log) == expected[number]
            assert len(log.read(expected[number], 800, labelled=False).chunks) == 1
            assert 1 <= len(set(agent.asked)) <= 2


class AwayPlace(FilePlace):
    """Keeps a log in a folder, of which everything is away whenever a read begins, or often."""

    def __init__(self, path: str, shelf: Path, chance: random.Random) -> None:
        super().__init__(path)
        self._shelf, self._chance = shelf, chance

    def writer(self, *, segment_bytes: int = SEGMENT_BYTES, cap_bytes: int | None = None) -> LogWriter:
        take(self.directory.path, self._shelf)
        return super().writer(segment_bytes=segment_bytes, cap_bytes=cap_bytes)

    def log(self) -> Log:
        return patient(AwayLog(self.directory.path, self._shelf, lambda: self._chance.random() < 0.004))


@pytest.mark.slow
def test_every_promise_is_kept(tmp_path: Path, shelf: Path):
    """The log in files keeps every promise while all that can be spared of it is taken away again."""
    numbers, chance = count(), random.Random(5)
    with Agent(tmp_path, shelf) as agent:
        check_log(lambda: AwayPlace(str(tmp_path / f"{next(numbers)}"), shelf, chance))

        assert len(agent.asked) > 25


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))])
def test_any_segments(tmp_path: Path, shelf: Path, seed: int):
    """Whichever segments are away, a reader at any offset gets the same bytes."""
    chance = random.Random(seed)
    appends = [
        (chance.choice([OUT, ERR]), chance.randbytes(chance.randrange(1, 60)) + b"\n" * chance.randrange(2))
        for _ in range(60)
    ]
    data = b"".join(part for _, part in appends)
    run = make_run(tmp_path, appends, chance.choice([64, 200, 500]))
    plain = FileLog(run)
    labels = [list(plain.read(offset, 100).chunks) for offset in range(0, len(data), 37)]
    lines = [plain.offset_of_line(number) for number in range(1, plain.lines + 2)]
    tails = [plain.offset_of_tail(number, [ERR]) for number in (1, 3, 9)]
    plain.close()
    with Agent(tmp_path, shelf):
        for _ in range(3):
            kept = {start for start in segment_starts(f"{run}/log") if chance.random() < 0.4}
            take(run, shelf, kept.__contains__)
            log = patient(FileLog(run))
            assert joined(log, chance.randrange(len(data))) == data
            take(run, shelf, kept.__contains__)
            assert [list(log.read(offset, 100).chunks) for offset in range(0, len(data), 37)] == labels
            take(run, shelf, kept.__contains__)
            assert [log.offset_of_line(number) for number in range(1, log.lines + 2)] == lines
            assert [log.offset_of_tail(number, [ERR]) for number in (1, 3, 9)] == tails


def joined(log: Log, at: int) -> bytes:
    """Return the whole log, read in two pieces that meet at an offset."""
    parts: list[bytes] = []
    for start, end in pairwise((0, at, log.tail_offset)):
        while start < end:
            reading = log.read(start, end - start)
            parts += [chunk.data for chunk in reading.chunks]
            start = reading.next
    return b"".join(parts)


def taken(run: str, shelf: Path) -> Run:
    """Return a run all of whose bytes were just taken away."""
    assert take(run, shelf) == segment_starts(f"{run}/log")
    return Run(run)


def test_python_readers(tmp_path: Path, run: str, shelf: Path):
    """Every way to read a run in Python gives the same as if all bytes were here."""
    lines = TEXT.decode().splitlines()
    ways: list[tuple[Callable[[Run], object], object]] = [
        (lambda one: one.output(encoding=None), TEXT),
        (lambda one: list(one.lines()), lines),
        (lambda one: list(one.lines(tail=2)), lines[-2:]),
        (lambda one: list(one.lines(line=290, channel="stderr")), lines[294::7]),
        (lambda one: [line for _, line in runcast.follow([one])], lines),
        (lambda one: one.wait_for("line 150").text, "line 150"),
        (lambda one: b"".join(chunk.data for chunk in one.follow(offset=1001) if chunk), TEXT[1001:]),
        (lambda one: one.to_json()["lines"], 300),
        (lambda one: (one.tail_offset, one.closed, one.damaged), (len(TEXT), True, None)),
    ]
    with Agent(tmp_path, shelf):
        for number, (way, expected) in enumerate(ways):
            assert (number, way(taken(run, shelf))) == (number, expected)


def test_tasks_wait(tmp_path: Path, run: str, shelf: Path):
    """A task that waits for what is away does not hold its event loop up."""

    async def read() -> list[str]:
        ticks = asyncio.create_task(asyncio.sleep(0))
        found = [line async for line in runcast.aio.AsyncRun(run).lines(tail=290)]
        assert ticks.done()
        return found

    taken(run, shelf)
    with Agent(tmp_path, shelf, slow=0.02):
        assert asyncio.run(read()) == TEXT.decode().splitlines()[-290:]


def test_follower_of_a_run_that_goes_on(tmp_path: Path, shelf: Path):
    """While a run goes on, a reader behind what is away waits for that, and then follows to the end."""
    directory = RunFiles.create(
        str(tmp_path / new_run_id()), {"name": "ls", "command": ["ls"], "source": "x"}
    )
    assert directory.acquire()
    writer = FileLogWriter(directory, segment_bytes=64)
    for _, data in APPENDS:
        writer.append(OUT, data)
    take(directory.path, shelf)
    run = Run(directory.path)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.extend(chunk.data for chunk in run.follow()))
    with Agent(tmp_path, shelf) as agent:
        reader.start()
        wait_until(lambda: agent.asked)
        writer.append(OUT, b"the end\n")
        writer.close(Outcome(Reason.EXITED, 0))
        reader.join(LONG)

    assert b"".join(got) == TEXT + b"the end\n"


@pytest.mark.slow
def test_taken_dropped_and_read_at_once(tmp_path: Path, shelf: Path):
    """While a writer drops segments and an agent takes and brings others, readers see no silent hole."""
    directory = RunFiles.create(str(tmp_path / new_run_id()), {"name": "ls", "command": ["ls"]})
    assert directory.acquire()
    writer = FileLogWriter(directory, cap_bytes=64 * 1024)
    lines = [b"%7d\n" % number for number in range(100_000)]
    text = b"".join(lines)
    wrong: list[object] = []
    ends: list[int] = []

    def read(start: int) -> None:
        for chunk in Run(directory.path).follow(offset=start):
            if chunk.channel is not Channel.GAP and chunk.data != text[chunk.offset : chunk.next]:
                wrong.append(chunk)
            if chunk.offset != start:
                wrong.append((start, chunk))
            start = chunk.next
        ends.append(start)

    with Agent(tmp_path, shelf):
        readers = [threading.Thread(target=read, args=(0,)) for _ in range(3)]
        for reader in readers:
            reader.start()
        for start in range(0, len(lines), 200):
            writer.append(OUT, b"".join(lines[start : start + 200]))
            if start % 2000 == 0:
                take(directory.path, shelf)
        take(directory.path, shelf)
        writer.close(Outcome(Reason.EXITED, 0))
        for reader in readers:
            reader.join(LONG)

    assert writer.truncated
    assert (wrong, ends) == ([], [len(text)] * 3)

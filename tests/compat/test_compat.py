"""Run directories of every released format open, and say what they said when they were written (R22).

`format-N/<case>/` is a run directory with an `expected.json`; `make_format_N.py` made it once.
They are copied first: looking at a lost run writes its outcome, and git keeps neither modes nor
empty folders.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runcast.log import FileLog, FileLogWriter
from runcast.model import Channel, Chunk, Outcome, Reason
from runcast.run import Run
from runcast.run.base import files_of
from runcast.runs import Store

CASES = sorted(path.parent for path in Path(__file__).parent.glob("format-*/*/expected.json"))
FORMATS = {path.parent.name for path in CASES}


class Golden:
    """A copy of a run directory, in a store, and what is expected of it."""

    def __init__(self, case: Path, store: Path) -> None:
        self.expected: dict[str, Any] = json.loads((case / "expected.json").read_text())
        self.path = store / self.expected["request"]["id"]
        shutil.copytree(case, self.path)
        (self.path / "expected.json").unlink()
        (self.path / "log").mkdir(exist_ok=True)
        self.run = Run(str(self.path))

    def pieces(self) -> list[tuple[int, int, str, float, bytes]]:
        """Return what a reader must find, in order."""
        return [
            (piece["offset"], piece["next"], piece["channel"], piece["time"], piece["data"].encode("latin-1"))
            for piece in self.expected["pieces"]
        ]

    def data(self, *channels: str) -> bytes:
        """Return all bytes, or those of some channels and those of which it is not known."""
        wanted = {*channels, "unknown"}
        return b"".join(piece[4] for piece in self.pieces() if not channels or piece[2] in wanted)


@pytest.fixture(params=CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Golden:
    """Each case that there is."""
    return Golden(request.param, tmp_path / "store")


def read(log: FileLog, offset: int = 0, limit: int = 65536, channels: Any = None) -> Iterator[Chunk]:
    """Read from an offset to the tail."""
    while (reading := log.read(offset, limit, channels)).next != offset:
        offset = reading.next
        yield from reading.chunks


def joined(chunks: Iterator[Chunk]) -> list[tuple[int, int, str, float, bytes]]:
    """Join what belongs to the same append: segments and reads cut it as they like."""
    found: list[tuple[int, int, str, float, bytes]] = []
    for chunk in chunks:
        if found and found[-1][1:4] == (chunk.offset, chunk.channel.value, chunk.time):
            start, _, channel, time, data = found.pop()
            found.append((start, chunk.next, channel, time, data + chunk.data))
        else:
            found.append((*chunk[:2], chunk.channel.value, chunk.time, chunk.data))
    return found


def test_every_format_has_its_cases():
    """No case of a released format has gone missing."""
    assert FORMATS == {"format-1"}
    assert {case.name for case in CASES if case.parent.name == "format-1"} == {
        *("plain", "channels", "gap", "full-disk", "lost", "damaged-index", "no-end", "binary", "silent"),
        "continued",
    }


@pytest.mark.parametrize("limit", [1, 10, 65536])
def test_bytes(golden: Golden, limit: int):
    """Every byte has its offset, its channel and its time; what is missing is a gap."""
    assert joined(read(FileLog(str(golden.path)), 0, limit)) == golden.pieces()


def test_channels(golden: Golden):
    """Each channel can be read alone; bytes of unknown channel and gaps are always there."""
    for channel in (Channel.STDOUT, Channel.STDERR, Channel.DATA):
        chunks = list(read(FileLog(str(golden.path)), channels={channel}))

        assert b"".join(chunk.data for chunk in chunks) == golden.data(channel.value)
        gaps = [(chunk.offset, chunk.next) for chunk in chunks if chunk.channel is Channel.GAP]
        assert gaps == [piece[:2] for piece in golden.pieces() if piece[2] == "gap"]


def test_places(golden: Golden):
    """Tail, lines, and where lines and times begin."""
    log = FileLog(str(golden.path))
    assert (log.tail_offset, log.lines) == (golden.expected["tail_offset"], golden.expected["lines"])
    gap = None  # where the one begins that ends here
    before = b"\n"
    for offset, end, channel, time, data in golden.pieces():
        if channel == "gap":
            gap = offset
            continue
        lines = log.lines_before(offset)
        assert log.lines_before(end) == lines + data.count(b"\n")
        if before.endswith(b"\n") and gap is None:
            assert log.offset_of_line(lines + 1) == offset
        found = log.offset_of_time(time)
        assert found == (offset if gap is None else gap) or (channel == "unknown" and found < offset)
        before, gap = data, None


def test_run(golden: Golden):
    """The run says what was asked, how it ended, and what it printed."""
    run, expected = golden.run, golden.expected
    assert files_of(run).held is False
    assert run.request == expected["request"]
    assert (run.outcome and run.outcome._replace(started_at=0.0)) == (
        expected["outcome"] and Outcome.from_json(expected["outcome"])
    )

    assert run.state.value == expected["state"]
    assert run.closed
    if expected["outcome"] is None:  # looking at it settled it
        assert run.outcome.reason is Reason.LOST
    assert (run.id, run.name, run.command) == (
        expected["request"]["id"],
        expected["request"]["name"],
        expected["request"]["command"],
    )
    assert run.output(encoding=None) == golden.data()
    assert run.to_json()["state"] == expected["state"]


def test_lines(golden: Golden):
    """Its lines are those of each channel; what has no end comes last."""
    gaps = any(piece[2] == "gap" for piece in golden.pieces())
    for channel in ("stdout", "stderr", "data"):
        *whole, last = golden.data(channel).split(b"\n")
        expected = [line.removesuffix(b"\r").decode(errors="replace") for line in whole]
        expected += [last.decode(errors="replace")] if last else []

        if not gaps or golden.data(channel).endswith(b"\n"):
            assert list(golden.run.lines(channel=channel)) == expected


def test_store(golden: Golden):
    """A store that holds it lists it, finds it and removes it."""
    store = Store.open(golden.path.parent)

    assert [run.id for run in store.list()] == [golden.run.id]
    assert store.get(golden.run.id[-6:]).name == golden.expected["request"]["name"]
    store.remove(golden.run.id)
    assert not golden.path.exists()


def test_writing_on(golden: Golden):
    """A writer of today goes on behind it, and nothing of what was there changes."""
    tail, lines = golden.expected["tail_offset"], golden.expected["lines"]
    assert files_of(golden.run).acquire()
    writer = FileLogWriter(files_of(golden.run), cap_bytes=None)
    assert (writer.tail, writer.lines) == (tail, lines)
    writer.append(Channel.STDERR, b"and on\n")

    log = FileLog(str(golden.path))
    *before, new = joined(read(log))
    assert before == golden.pieces()
    assert (new[0], new[1], new[2], new[4]) == (tail, tail + 7, "stderr", b"and on\n")
    assert new[3] >= max((piece[3] for piece in golden.pieces()), default=0)
    assert log.lines == lines + 1
    files_of(golden.run).release()

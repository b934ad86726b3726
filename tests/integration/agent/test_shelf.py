"""Runs that are over go to the shelf; then, and not before, the link and this disk let their output go."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from runcast import Run
from runcast.agent import shelf_threads
from runcast.errors import SegmentAway, ShelfMissing
from runcast.log import FileLog, copied
from runcast.log.fetch import patient
from runcast.log.segments import segment_name, segment_starts
from runcast.run.base import files_of
from runcast.shelf import bringing, keeping
from runcast.shelf.folder import FolderShelf
from runcast.shelf.manifest import fetch_manifest, folder_of
from runcast.store.links import read_status
from runcast.store.run_files import RunFiles
from tests.helpers.memory_hosts import Turns, agent_of, hosts
from tests.helpers.shelves import LARGE, large_run, read
from tests.helpers.wait import MS

DEADLINE = 15000 * MS
OLD = 3600.0  # seconds: older than what stays in any case

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for runs that are over all the time, and cut what is large at less."""
    monkeypatch.setattr(shelf_threads, "_SCAN_SECONDS", 20 * MS)
    monkeypatch.setattr(keeping, "COPY_SEGMENT_BYTES", 64 * 1024)
    monkeypatch.setattr(bringing, "WHOLE_BYTES", 256 * 1024)


@pytest.fixture
def shelf(tmp_path: Path) -> FolderShelf:
    """An empty shelf."""
    (tmp_path / "shelf").mkdir()
    return FolderShelf(str(tmp_path / "shelf"))


def sharing(tmp_path: Path, rules: str = "link_age=0") -> Any:
    """Give two hosts with the shelf."""
    return hosts(tmp_path, shelf=f"file://{tmp_path}/shelf?{rules}")


def kept(shelf: FolderShelf, run: RunFiles | Run) -> bool:
    """Return whether a run is on the shelf."""
    try:
        return bool(fetch_manifest(shelf, run.id))
    except ShelfMissing:
        return False


def at_link(two: Turns, run: RunFiles) -> int | None:
    """Return how many bytes of a run the link has; None if not all were there."""
    there = two.engine.runs.get(run.id)
    if there is None or "outcome" not in there.fields:
        return None
    return there.tail - there.first


def age(files: RunFiles) -> None:
    """Have the output of a run look as if it were old."""
    for start in segment_starts(files.log_path):
        path = f"{files.log_path}/{segment_name(start)}"
        if os.path.exists(path):
            os.utime(path, (time.time() - OLD,) * 2)


def away(files: RunFiles) -> list[int]:
    """Return the segments of a run that are not on this disk."""
    starts = segment_starts(files.log_path)
    return [start for start in starts if not os.path.exists(f"{files.log_path}/{segment_name(start)}")]


def reading(two: Turns, files: RunFiles, at: int | None = None) -> bytes:
    """Read a log while the agents take turns: all of it, or the end from an offset on."""
    found: list[bytes] = []

    def read_on() -> None:
        log, offset = patient(FileLog(files.path)), at or 0
        while chunks := log.read(offset, 1 << 20).chunks:
            found.extend(chunk.data for chunk in chunks)
            offset = chunks[-1].next
        log.close()

    thread = threading.Thread(target=read_on)
    thread.start()
    two.until(lambda: not thread.is_alive())
    thread.join()
    return b"".join(found)


@pytest.fixture
def made(tmp_path: Path) -> RunFiles:
    """A large run of the first host, before that has an agent."""
    return large_run(tmp_path / "a")


def test_another_host_has_it_from_the_shelf(tmp_path: Path, shelf: FolderShelf, made: RunFiles):
    """What the link let go comes from the shelf, as it was: its ends at once, the rest when it is read."""
    with sharing(tmp_path) as two:
        run = Run(made.path)
        two.until(lambda: at_link(two, made) == 0, "nothing is left at the link")
        assert kept(shelf, made)

        mirror = files_of(two.whole(run))

        assert away(mirror)
        assert reading(two, mirror) == LARGE
        assert read(mirror) == read(made)
        assert mirror.outcome() == made.outcome()
        assert away(made) == []


def test_small_run(tmp_path: Path, shelf: FolderShelf):
    """A real run, which is one object, too."""
    with sharing(tmp_path) as two:
        run = two.a.start(["sh", "-c", "seq 1000; echo no >&2; exit 3"])
        run.wait(timeout=DEADLINE)
        two.until(lambda: at_link(two, files_of(run)) == 0)
        mirror = two.whole(run)

        assert read(files_of(mirror)) == read(files_of(run))
        assert mirror.outcome == run.outcome
        assert len(list(shelf.names(folder_of(run.id)))) == 1


@pytest.mark.parametrize("rule", ["local_age=1m", "local_bytes=0"])
def test_evicted_and_read(tmp_path: Path, shelf: FolderShelf, made: RunFiles, rule: str):
    """Output that the rules leave goes from this disk once it is kept, and a reader gets it back."""
    before = read(made)
    age(made)
    with sharing(tmp_path, rule) as two:
        two.until(lambda: len(away(made)) == len(segment_starts(made.log_path)))
        with pytest.raises(SegmentAway):
            read(made)

        assert reading(two, made) == LARGE
        assert read(made) == before


def test_mirror_that_came_live(tmp_path: Path, shelf: FolderShelf, monkeypatch: pytest.MonkeyPatch):
    """A mirror that was copied while its run went on leaves this disk by the rules, once the shelf has it."""
    monkeypatch.setattr(copied.LogCopy.__init__, "__defaults__", (96 * 1024,))  # cut elsewhere than pieces
    with sharing(tmp_path, "local_bytes=0") as two:
        script = "for i in 1 2 3 4 5 6; do seq 1 10000; echo $i >&2; done; read word; echo $word"
        run = two.a.start(["sh", "-c", script], stdin="pipe")
        mirror = two.mirror(run)

        def live() -> bool:
            two.agents[1].mirrors.want(run.id, time.monotonic())
            return mirror.tail_offset > 290_000

        two.until(live, "what it has written so far")
        run.send(b"end\n")
        run.wait(timeout=DEADLINE)
        before = read(files_of(two.whole(run)))
        files = files_of(mirror)
        starts = segment_starts(files.log_path)
        assert len(starts) > 1
        assert any(start % keeping.COPY_SEGMENT_BYTES for start in starts), "the shelf is cut elsewhere"
        age(files)
        two.until(lambda: away(files) == segment_starts(files.log_path), "an empty disk")

        assert b"".join(data for *_, data in before) == reading(two, files)
        assert read(files) == before


def test_shelf_has_another_run(tmp_path: Path, shelf: FolderShelf):
    """A mirror stays whole where the shelf has other bytes under its id."""
    with sharing(tmp_path) as two:
        run = two.a.start(["sh", "-c", "seq 1000"])
        run.wait(timeout=DEADLINE)
        mirror = two.whole(run)
        manifest = two.until(lambda: kept(shelf, run) and fetch_manifest(shelf, run.id))
        assert bringing.is_kept(manifest, files_of(mirror))
        path = Path(files_of(mirror).log_path, segment_name(0))
        data = path.read_bytes()
        path.write_bytes(data[:-2] + b"?\n")
        assert not bringing.is_kept(manifest, files_of(mirror))
        path.write_bytes(data + b"more")
        assert not bringing.is_kept(manifest, files_of(mirror))


def test_tail_takes_one_segment(tmp_path: Path, shelf: FolderShelf, made: RunFiles):
    """Of a log that is away, the tail brings the last segment and no other."""
    age(made)
    with sharing(tmp_path, "local_age=1m") as two:
        starts = segment_starts(made.log_path)
        two.until(lambda: away(made) == starts)

        assert reading(two, made, len(LARGE) - 100) == LARGE[-100:]
        assert away(made) == starts[:-1]


def test_nothing_goes_before_it_is_kept(tmp_path: Path, shelf: FolderShelf, made: RunFiles):
    """While the shelf is away, link and disk have everything, and people learn of it; then it is kept."""
    os.rename(shelf.path, shelf.path + "-away")
    age(made)
    with sharing(tmp_path, "link_age=0&local_age=0") as two:

        def said() -> bool:
            status = read_status(two.a.path)
            return status is not None and "is it mounted" in (status.message or "")

        two.until(lambda: at_link(two, made) == len(LARGE) and said())
        for _ in range(100):
            two.turn()
        assert at_link(two, made) == len(LARGE)
        assert away(made) == []

        os.rename(shelf.path + "-away", shelf.path)
        two.until(lambda: at_link(two, made) == 0 and away(made))
        assert kept(FolderShelf(shelf.path), made)
        two.until(lambda: not said())


def test_shelf_is_down_for_the_mirror(tmp_path: Path, shelf: FolderShelf, made: RunFiles):
    """A mirror waits for a shelf that is away, and has no gap in place of what is there."""
    with sharing(tmp_path) as two:
        two.until(lambda: at_link(two, made) == 0)
        os.rename(shelf.path, shelf.path + "-away")
        mirror = two.mirror(Run(made.path))

        def said() -> bool:
            two.agents[1].mirrors.want(made.id, time.monotonic())
            status = read_status(two.b.path)
            return status is not None and "cannot fetch" in (status.message or "")

        two.until(said)
        assert (mirror.closed, segment_starts(files_of(mirror).log_path)) == (False, [])

        os.rename(shelf.path + "-away", shelf.path)
        assert reading(two, files_of(two.whole(Run(made.path)))) == LARGE


@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_damaged_object(tmp_path: Path, shelf: FolderShelf, made: RunFiles, damage: str):
    """An object that is not what was kept is refused and said, and the segment stays away."""
    age(made)
    with sharing(tmp_path, "local_age=1m") as two:
        two.until(lambda: len(away(made)) == len(segment_starts(made.log_path)))
        path = Path(shelf.path, folder_of(made.id), segment_name(0))
        data = path.read_bytes()
        path.write_bytes(data[:-1] if damage == "truncated" else data[:-1] + b"?")

        def said() -> bool:
            two.agents[0].shelving.want(made.id, 0)
            status = read_status(two.a.path)
            return status is not None and f"it was {'cut off' if damage == 'truncated' else 'changed'}" in (
                status.message or ""
            )

        two.until(said)
        assert 0 in away(made)
        path.write_bytes(data)
        assert reading(two, made) == LARGE


def test_engine_lost_its_data(tmp_path: Path, shelf: FolderShelf, made: RunFiles):
    """After the engine lost everything, hosts still have runs whose output is on the shelf alone."""
    age(made)
    with sharing(tmp_path, "local_age=1m") as two:
        two.until(lambda: len(away(made)) == len(segment_starts(made.log_path)))
        two.engine.clear()
        two.agents[0].close()
        os.close(two.agents[0]._lock_fd)
        link = type(two.agents[0].connection.link)(two.engine)
        two.agents[0] = agent_of(two.a.path, link, "a", shelf=f"file://{shelf.path}")

        assert reading(two, files_of(two.whole(Run(made.path)))) == LARGE


def test_removed_here(tmp_path: Path, shelf: FolderShelf, made: RunFiles):
    """A run that is removed is gone from the store and the link; what the shelf has of it stays."""
    with sharing(tmp_path) as two:
        two.until(lambda: at_link(two, made) == 0)
        two.a.remove(made.id)
        two.until(lambda: made.id not in two.engine.runs)

        assert kept(shelf, made)
        assert not os.path.exists(made.path)


def test_bad_shelf(tmp_path: Path):
    """An agent whose shelf has no meaning shares runs all the same, and says what is wrong."""
    with hosts(tmp_path, shelf="ftp://bucket/") as two:
        run = two.a.start(["true"])
        run.wait(timeout=DEADLINE)
        two.until(lambda: at_link(two, files_of(run)) is not None)
        status = read_status(two.a.path)

        assert status is not None
        assert "expected a folder as the shelf" in (status.message or "")

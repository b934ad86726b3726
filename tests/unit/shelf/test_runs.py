"""Runs on the shelf: kept whole, found again to the byte, and not believed when they are something else."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast.errors import SegmentAway, ShelfDamaged, ShelfDown, ShelfMissing, ShelfTaken
from runcast.log import FileLog
from runcast.log.eviction import evict
from runcast.log.segments import segment_name, segment_starts
from runcast.shelf import bringing, keeping
from runcast.shelf.bringing import bring, lay_out
from runcast.shelf.folder import FolderShelf
from runcast.shelf.keeping import keep_run
from runcast.shelf.manifest import fetch_manifest, folder_of
from runcast.store.run_files import RunFiles
from tests.helpers.shelves import LARGE, SEGMENT, large_run, object_at, read, shelf_at, small_run

SIZES = pytest.mark.parametrize("make", [small_run, large_run])
Make = Callable[[Path], RunFiles]


def copy_of(files: RunFiles, store: Path) -> RunFiles:
    """Make the mirror of a run, without its log."""
    request = Path(files.path, "run.json").read_bytes()
    return RunFiles.create_mirror(str(store / files.id), request, "a")


@SIZES
def test_round_trip(tmp_path: Path, make: Make):
    """Everything is evicted and comes back; a small run is one object, a large one has its segments."""
    shelf, files = shelf_at(tmp_path / "shelf"), make(tmp_path)
    before, lines = read(files), FileLog(files.path).lines

    manifest = keep_run(shelf, files, b'{"lines":2}')
    starts = segment_starts(files.log_path)
    assert all(evict(files, start) for start in starts)
    with pytest.raises(SegmentAway):
        read(files)
    found = fetch_manifest(shelf, files.id)
    assert all(bring(shelf, found, files, start) for start in starts)

    assert read(files) == before
    assert FileLog(files.path).lines == lines
    assert found == manifest
    assert found.request == Path(files.path, "run.json").read_bytes()
    assert (found.outcome, found.state) == (Path(files.path, "outcome.json").read_bytes(), b'{"lines":2}')
    assert len(list(shelf.names(folder_of(files.id)))) == (1 if make is small_run else 1 + 2 * len(starts))
    assert [name for name in os.listdir(tmp_path) if name.startswith(".away")] == []


@SIZES
@pytest.mark.parametrize("piece", [64 * 1024, 1 << 30])
def test_laid_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Make, piece: int):
    """Another host has the log as it was: of a large one only its ends, and the rest piece by piece."""
    monkeypatch.setattr(keeping, "COPY_SEGMENT_BYTES", piece)
    monkeypatch.setattr(bringing, "WHOLE_BYTES", 256 * 1024)
    shelf, files = shelf_at(tmp_path / "shelf"), make(tmp_path / "a")
    manifest = keep_run(shelf, files)
    copy = copy_of(files, tmp_path)

    lay_out(shelf, manifest, copy)
    log = FileLog(copy.path)
    assert (log.tail_offset, log.lines) == (FileLog(files.path).tail_offset, FileLog(files.path).lines)
    away = [start for start in segment_starts(copy.log_path) if log.away(start)]
    assert away or make is small_run
    assert log.away(0) is None
    assert log.away(log.tail_offset - 1) is None
    lay_out(shelf, manifest, copy)  # of one that was killed at the end
    assert all(bring(shelf, manifest, copy, start) for start in away)

    assert read(copy) == read(files)


@pytest.mark.parametrize("have", [1, 8 * 4096 + 5, SEGMENT, SEGMENT + 7, len(LARGE) - 1, len(LARGE)])
def test_copy_goes_on(tmp_path: Path, have: int):
    """The copy of a log that has come in part already ends as the log does."""
    from runcast.log.copied import LogCopy
    from runcast.log.entries import EntryLog

    shelf, files = shelf_at(tmp_path / "shelf"), large_run(tmp_path / "a")
    manifest, copy = keep_run(shelf, files), copy_of(files, tmp_path)
    part = LogCopy(copy)
    for entry in EntryLog(files.path).entries(0, 1000, 1000):
        if entry.end <= have:
            part.append(*entry)
    part.park()

    lay_out(shelf, manifest, copy)

    assert b"".join(data for *_, data in read(copy)) == LARGE
    assert FileLog(copy.path).lines == FileLog(files.path).lines


@SIZES
def test_truncated_anywhere(tmp_path: Path, make: Make):
    """An object that was cut off is refused wherever that was, and what is away stays so."""
    shelf, files = shelf_at(tmp_path / "shelf"), make(tmp_path)
    manifest = keep_run(shelf, files)
    assert evict(files, 0)
    name = "run" if make is small_run else segment_name(0)
    path = object_at(shelf, files, name)
    data = path.read_bytes()
    for size in {0, 1, len(data) // 2, len(data) - 1}:
        path.write_bytes(data[:size])
        with pytest.raises(ShelfDamaged):
            bring(shelf, manifest if name != "run" else fetch_manifest(shelf, files.id), files, 0)
        with pytest.raises(SegmentAway):
            read(files)


@SIZES
def test_changed_anywhere(tmp_path: Path, make: Make):
    """A changed byte is noticed wherever it is, in the manifest, in the output and in the index."""
    shelf, files = shelf_at(tmp_path / "shelf"), make(tmp_path / "a")
    keep_run(shelf, files)
    evict(files, 0)
    copy = copy_of(files, tmp_path)
    names = [name.rpartition("/")[2] for name in shelf.names(folder_of(files.id))]
    assert len(names) == (1 if make is small_run else 7)
    for name in names:
        path = object_at(shelf, files, name)
        data = path.read_bytes()
        for at in {0, len(data) // 3, len(data) - 1}:
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            with pytest.raises(ShelfDamaged):
                lay_out(shelf, fetch_manifest(shelf, files.id), copy)
        path.write_bytes(data)
    lay_out(shelf, fetch_manifest(shelf, files.id), copy)
    assert bring(shelf, fetch_manifest(shelf, files.id), files, 0)
    assert read(copy) == read(files)


@SIZES
def test_kept_again(tmp_path: Path, make: Make):
    """A run is kept again, whatever of it is there already, and by whichever host."""
    shelf, files = shelf_at(tmp_path / "shelf"), make(tmp_path)
    manifest = keep_run(shelf, files)
    for name in list(shelf.names(folder_of(files.id))):
        os.unlink(f"{shelf.path}/{name}")
        assert keep_run(FolderShelf(shelf.path), files) == manifest

    assert keep_run(shelf, files) == fetch_manifest(shelf, files.id) == manifest


@SIZES
@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b"x" + data[1:]]
)
def test_another_of_that_name(tmp_path: Path, make: Make, change: Callable[[bytes], bytes]):
    """A run whose name is taken by other bytes is not acknowledged, and the others stay."""
    shelf, files = shelf_at(tmp_path / "shelf"), make(tmp_path)
    keep_run(shelf, files)
    for name in list(shelf.names(folder_of(files.id))):
        path = Path(shelf.path, name)
        data = path.read_bytes()
        path.write_bytes(change(data))
        with pytest.raises(ShelfTaken, match="another object"):
            keep_run(shelf, files)
        assert path.read_bytes() == change(data)
        path.write_bytes(data)


def test_manifest_comes_last(tmp_path: Path):
    """A run is not on the shelf before all of it is: every step may be the last."""

    class Fails(FolderShelf):
        left = 0

        def keep(self, name: str, file: str) -> bool:
            if not self.left:
                raise ShelfDown("expected a shelf, it is away")
            self.left -= 1
            return super().keep(name, file)

    shelf, files = Fails(shelf_at(tmp_path / "shelf").path), large_run(tmp_path)
    for shelf.left in range(6):
        with pytest.raises(ShelfDown):
            keep_run(shelf, files)
        with pytest.raises(ShelfMissing):
            fetch_manifest(shelf, files.id)
        assert [name for name in os.listdir(tmp_path) if name.startswith(".away")] == []
    shelf.left = 7
    keep_run(shelf, files)
    assert evict(files, 0)
    with pytest.raises(SegmentAway):  # not all of it is here to be kept
        keep_run(shelf, files)


def test_dropped_front(tmp_path: Path):
    """A log whose front was dropped has the gap on the shelf, too."""
    shelf, files = shelf_at(tmp_path / "shelf"), large_run(tmp_path / "a")
    for name in (segment_name(0), segment_name(0) + ".index"):
        os.unlink(f"{files.log_path}/{name}")
    copy = copy_of(files, tmp_path)

    lay_out(shelf, keep_run(shelf, files), copy)

    assert read(copy) == read(files)
    assert read(copy)[0][3] == b""


def test_segment_of_another_run(tmp_path: Path):
    """A segment that the shelf's run does not have like this is not brought."""
    shelf, files = shelf_at(tmp_path / "shelf"), large_run(tmp_path)
    manifest = keep_run(shelf, files)
    assert evict(files, 0)
    mark = Path(files.log_path, segment_name(0) + ".away")
    mark.write_text(json.dumps({"bytes": len(LARGE) + 5, "lines": 0}))

    with pytest.raises(ShelfDamaged, match="another run"):
        bring(shelf, manifest, files, 0)

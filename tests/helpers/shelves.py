"""Runs in segments of a small size, for tests of the shelf, and what is done to its objects."""

from pathlib import Path

from runcast.log import FileLog
from runcast.log.writer import SEGMENT_BYTES
from runcast.model import Channel
from runcast.shelf.folder import FolderShelf
from runcast.shelf.keeping import SMALL_BYTES
from runcast.shelf.manifest import folder_of
from runcast.store.run_files import RunFiles
from tests.helpers.away import make_run

__all__ = ["LARGE", "LINES", "SEGMENT", "large_run", "object_at", "read", "shelf_at", "small_run"]

SEGMENT = 512 * 1024
LINES = [b"%07d\n" % number * 4096 for number in range(40)]  # 32 KiB each
LARGE = b"".join(LINES)
assert len(LARGE) > SMALL_BYTES


def large_run(store: Path) -> RunFiles:
    """Make a run that is more than one object, in three segments."""
    store.mkdir(exist_ok=True)
    channels = (Channel.STDOUT, Channel.STDERR)
    return RunFiles(make_run(store, [(channels[at % 2], data) for at, data in enumerate(LINES)], SEGMENT))


def small_run(store: Path, data: bytes = b"one\ntwo\n") -> RunFiles:
    """Make a run of one segment, which with this output is one object."""
    store.mkdir(exist_ok=True)
    return RunFiles(make_run(store, [(Channel.STDOUT, data)], SEGMENT_BYTES))


def shelf_at(path: Path) -> FolderShelf:
    """Make the folder of a shelf."""
    path.mkdir()
    return FolderShelf(str(path))


def object_at(shelf: FolderShelf, files: RunFiles, name: str) -> Path:
    """Return the path of an object of a run."""
    return Path(shelf.path, folder_of(files.id), name)


def read(files: RunFiles) -> list[tuple[int, int, Channel, bytes]]:
    """Return all chunks of a run's log, as a reader gets them."""
    log, found, at = FileLog(files.path), [], 0
    try:
        while chunks := log.read(at, 1 << 20).chunks:
            found += [(chunk.offset, chunk.next, chunk.channel, chunk.data) for chunk in chunks]
            at = chunks[-1].next
    finally:
        log.close()
    return found

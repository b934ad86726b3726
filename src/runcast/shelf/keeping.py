"""A finished run, onto the shelf: its segments first, its manifest last.

Owns the order, and how a segment is described in pieces. All of it can be done again at any time, by
any host: what is there already is compared with what is here, and nothing is overwritten. So with
the manifest as the answer a caller may let the bytes go. Must not know when that is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Final

from runcast.errors import SegmentAway, ShelfDamaged, ShelfMissing, ShelfTaken
from runcast.log.away import away_at
from runcast.log.copied import COPY_SEGMENT_BYTES
from runcast.log.file import FileLog
from runcast.log.records import RECORD_BYTES, unpack
from runcast.log.segments import INDEX, segment_name, segment_starts
from runcast.shelf.base import Shelf
from runcast.shelf.manifest import KeptSegment, Manifest, Piece, folder_of, sum_of
from runcast.store.run_files import RunFiles
from runcast.sysio.files import open_own, read_own
from runcast.sysio.writes import write_file

__all__ = ["SMALL_BYTES", "keep_run"]

SMALL_BYTES: Final = 1024 * 1024
"""Up to so many bytes of output and index a run is one object."""
_BLOCK = 1024 * 1024
_INDEX_MOST = 2**40


def keep_run(shelf: Shelf, files: RunFiles, state: bytes = b"", progress: bytes = b"") -> Manifest:
    """Keep a run that is over, and return its manifest: all of it is on the shelf, durably.

    Args:
        shelf: the shelf.
        files: of the run.
        state, progress: of the run, as hosts share them.

    Raises:
        FileNotFoundError: the run was removed.
        SegmentAway: not all of its output is on this disk.
        ShelfTaken: the shelf has another run of this id, or what another one had begun.
        ShelfError: it cannot be kept now.
    """
    request = read_own(f"{files.path}/run.json")
    outcome = read_own(f"{files.path}/outcome.json")
    log = FileLog(files.path)
    try:
        segments = tuple(_described(files, log, start) for start in segment_starts(files.log_path))
    finally:
        log.close()
    manifest = Manifest(files.id, request, outcome, state, progress, segments)
    if sum(one.index_bytes + one.bytes for one in segments) <= SMALL_BYTES:
        manifest = manifest._replace(inline=b"".join(_whole(files, one) for one in segments))
    else:
        for one in segments:
            path = f"{files.log_path}/{segment_name(one.start)}"
            if one.bytes:
                _keep(shelf, manifest.name_of(one.start), path, one.pieces)
            if one.index_bytes:
                index = Piece(0, one.index_bytes, 0, 0, one.index_sha256)
                _keep(shelf, manifest.name_of(one.start, INDEX), path + INDEX, (index,))
    data = manifest.encode()
    draft = f"{os.path.dirname(files.path)}/.away-{files.id}.run"
    try:
        write_file(draft, data)
        name = f"{folder_of(files.id)}/run"
        _keep(shelf, name, draft, (Piece(0, len(data), 0, 0, sum_of(data)),))
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
    return manifest


def _keep(shelf: Shelf, name: str, path: str, pieces: tuple[Piece, ...]) -> None:
    """Keep a file; if there is an object of that name, compare it: only the same one will do."""
    if shelf.keep(name, path):
        return
    first, end = pieces[0].start, pieces[-1].end
    try:
        same = all(sum_of(shelf.fetch(name, one.start - first, one.bytes)) == one.sha256 for one in pieces)
        with contextlib.suppress(ShelfDamaged):
            same = same and not shelf.fetch(name, end - first, 1)
    except (ShelfDamaged, ShelfMissing):
        same = False
    if not same:
        raise ShelfTaken(
            f"expected {name} to be free on the shelf {shelf}, or to be the same, it is another object: "
            "the output stays here; look whose that one is"
        )


def _described(files: RunFiles, log: FileLog, start: int) -> KeptSegment:
    """Return what there is to say of a segment."""
    path = f"{files.log_path}/{segment_name(start)}"
    try:
        index = read_own(path + INDEX, _INDEX_MOST)
    except FileNotFoundError:
        index = b""
    try:
        fd = open_own(path, os.O_RDONLY)
    except FileNotFoundError:
        if (away := away_at(path)) is not None:
            raise SegmentAway(files.path, start, start + away.bytes) from None
        raise
    try:
        pieces = tuple(_pieces(fd, index, start, log))
    finally:
        os.close(fd)
    return KeptSegment(start, len(index), sum_of(index), pieces)


def _pieces(fd: int, index: bytes, start: int, log: FileLog) -> Iterator[Piece]:
    """Yield the pieces of a segment, cut where a record of the index begins."""
    end, number = start + os.fstat(fd).st_size, 0
    records, first = unpack(index[RECORD_BYTES:]), start
    for at, record in enumerate(records):
        if record is not None and start + COPY_SEGMENT_BYTES <= record.offset < end:
            size = record.offset - start
            yield Piece(start, size, record.lines, at - number, _sum(fd, start - first, size))
            start, number = record.offset, at
    if start < end:
        checksum = _sum(fd, start - first, end - start)
        yield Piece(start, end - start, log.lines_before(end), len(records) - number, checksum)


def _sum(fd: int, at: int, size: int) -> str:
    import hashlib  # loads OpenSSL: 4 MB that an agent without a shelf does not need

    found = hashlib.sha256()
    while size and (data := os.pread(fd, min(size, _BLOCK), at)):
        found.update(data)
        at, size = at + len(data), size - len(data)
    return found.hexdigest()


def _whole(files: RunFiles, segment: KeptSegment) -> bytes:
    """Return index and bytes of a small segment."""
    path = f"{files.log_path}/{segment_name(segment.start)}"
    index = read_own(path + INDEX) if segment.index_bytes else b""
    return index + read_own(path)

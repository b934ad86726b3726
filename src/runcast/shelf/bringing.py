"""Output from the shelf, back onto this disk: a segment of a log, or the log of another host's run.

Owns which objects, and which ranges of them, that takes. Nothing gets into a log whose checksum is not
that of the manifest. Must not know who wants it.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

from runcast.errors import ShelfDamaged
from runcast.log.away import away_at
from runcast.log.copied import LogCopy
from runcast.log.eviction import restore
from runcast.log.records import RECORD_BYTES
from runcast.log.segments import segment_name
from runcast.shelf.base import Shelf
from runcast.shelf.manifest import KeptSegment, Manifest, Piece
from runcast.store.run_files import RunFiles
from runcast.sysio.files import create
from runcast.sysio.writes import write_all

__all__ = ["WHOLE_BYTES", "bring", "lay_out"]

WHOLE_BYTES: Final = 16 * 1024 * 1024
"""Up to so much output of another host's run is brought at once; of more, its first and last piece."""


def bring(shelf: Shelf, manifest: Manifest, files: RunFiles, start: int) -> bool:
    """Bring the bytes of a segment that is away; return whether they are here now.

    Args:
        shelf: the shelf.
        manifest: of the run.
        files: of the run.
        start: where the segment begins.

    Raises:
        ShelfError: they cannot be had, or are not what was kept: the segment stays away.
        OSError: this disk has no room.
    """
    path = f"{files.log_path}/{segment_name(start)}"
    if (away := away_at(path)) is None:
        return os.path.lexists(path)
    wanted = _pieces_of(manifest, start, start + away.bytes)
    draft = f"{os.path.dirname(files.path)}/.away-{files.id}.bytes"
    try:
        fd = create(draft, os.O_WRONLY | os.O_TRUNC)
        try:
            for segment, piece in wanted:
                write_all(fd, manifest.data_of(shelf, segment, piece))
        finally:
            os.close(fd)
        return restore(files, start, draft)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)


def _pieces_of(manifest: Manifest, start: int, end: int) -> list[tuple[KeptSegment, Piece]]:
    """Return the pieces that make up a part of a log."""
    found = []
    for segment in manifest.segments:
        for piece in segment.pieces:
            if piece.start == start < end:
                found.append((segment, piece))
                start = piece.end
    if start != end:
        raise ShelfDamaged(
            f"expected run {manifest.run_id} on the shelf in pieces that end at {end}, one does at {start}: "
            "it is another run than this one"
        )
    return found


def lay_out(shelf: Shelf, manifest: Manifest, files: RunFiles) -> None:
    """Have the copy of a log, which may have begun, end where the log does: what is large stays away.

    Args:
        shelf: the shelf.
        manifest: of the run.
        files: of the copy, which nobody else writes to meanwhile.

    Raises:
        ShelfError: something cannot be had, or is not what was kept: the copy goes on where it ends.
        OSError: this disk has no room.
    """
    copy = LogCopy(files)
    try:
        pieces = [piece for segment in manifest.segments for piece in segment.pieces]
        whole = sum(piece.bytes for piece in pieces) <= WHOLE_BYTES
        ends = {piece.start for piece in (pieces[:1] + pieces[-1:])}
        for segment in manifest.segments:
            if segment.start > copy.tail:
                copy.append(copy.tail, segment.start, b"", b"")
            if not segment.pieces or segment.pieces[-1].end <= copy.tail:
                continue
            index = manifest.index_of(shelf, segment)[RECORD_BYTES:]
            size, away = 0, b""  # of pieces that stay away together: each mark takes three syncs
            for number, piece in enumerate(segment.pieces, 1):
                records = index[: piece.records * RECORD_BYTES]
                index = index[len(records) :]
                if piece.end <= copy.tail:
                    continue
                if whole or piece.start < copy.tail or piece.start in ends:
                    data = manifest.data_of(shelf, segment, piece)
                    copy.append(piece.start, piece.end, data, records)
                    continue
                size, away = size + piece.bytes, away + records
                if number == len(segment.pieces) or segment.pieces[number].start in ends:
                    copy.append_away(size, piece.lines, away)
                    size, away = 0, b""
        copy.sync()
    finally:
        copy.park()

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
from runcast.log.segments import segment_name, segment_starts
from runcast.shelf.base import Shelf
from runcast.shelf.manifest import KeptSegment, Manifest, Piece
from runcast.store.run_files import RunFiles
from runcast.sysio.files import create, open_own, own_size
from runcast.sysio.writes import write_all

__all__ = ["WHOLE_BYTES", "bring", "is_kept", "lay_out"]

WHOLE_BYTES: Final = 16 * 1024 * 1024
"""Up to so much output of another host's run is brought at once; of more, its first and last piece."""
_BLOCK = 1024 * 1024


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
            end = start + away.bytes
            for segment, piece in wanted:
                data = manifest.data_of(shelf, segment, piece)
                write_all(fd, data[max(start - piece.start, 0) : max(end - piece.start, 0)])
        finally:
            os.close(fd)
        return restore(files, start, draft)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)


def _pieces_of(manifest: Manifest, start: int, end: int) -> list[tuple[KeptSegment, Piece]]:
    """Return the pieces that have a part of a log, which a copy of a live log cuts where it likes."""
    found = []
    for segment in manifest.segments:
        for piece in segment.pieces:
            if piece.start <= start < min(end, piece.end):
                found.append((segment, piece))
                start = piece.end
    if start < end:
        raise ShelfDamaged(
            f"expected run {manifest.run_id} on the shelf up to {end}, it has nothing from {start} on: "
            "it is another run than this one"
        )
    return found


def is_kept(manifest: Manifest, files: RunFiles) -> bool:
    """Return whether the shelf has the output of a closed copy that is on this disk, byte for byte.

    Raises:
        FileNotFoundError: the copy was removed.
    """
    here: list[tuple[int, int]] = []
    for start in segment_starts(files.log_path):
        path = f"{files.log_path}/{segment_name(start)}"
        if os.path.lexists(path):
            here.append((start, start + own_size(path)))
    try:
        for start, end in here:
            for _, piece in _pieces_of(manifest, start, end):
                if (found := _sum_here(files, here, piece)) is not None and found != piece.sha256:
                    return False
    except ShelfDamaged:
        return False
    return True


def _sum_here(files: RunFiles, here: list[tuple[int, int]], piece: Piece) -> str | None:
    """Return the checksum of a piece as it is on this disk; None where not all of it is."""
    import hashlib  # loads OpenSSL: 4 MB that an agent without a shelf does not need

    found, at = hashlib.sha256(), piece.start
    for start, end in here:
        if not start <= at < min(end, piece.end):
            continue
        fd = open_own(f"{files.log_path}/{segment_name(start)}", os.O_RDONLY)
        try:
            while at < min(end, piece.end) and (
                data := os.pread(fd, min(_BLOCK, min(end, piece.end) - at), at - start)
            ):
                found.update(data)
                at += len(data)
        finally:
            os.close(fd)
    return found.hexdigest() if at == piece.end else None


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

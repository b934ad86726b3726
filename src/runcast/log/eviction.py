"""Segments away and back: what the store's agent does with the bytes of a log that are kept elsewhere.

Owns the order of the steps, each of which leaves a whole log behind, wherever a process dies or the power
goes: the mark is durable before the bytes go, and the bytes are before the mark goes. The writer of the
log may drop a segment at any time meanwhile: it removes the mark first and the index last. Must not know
where bytes are kept.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator

from runcast.errors import FileDamaged
from runcast.log.away import away_at
from runcast.log.file import FileLog
from runcast.log.segments import AWAY, INDEX, segment_name
from runcast.store.run_files import RunFiles
from runcast.sysio.files import open_own, own_size
from runcast.sysio.locks import lock
from runcast.sysio.writes import replace, sync_file, sync_folder

__all__ = ["evict", "mark_away", "restore"]


def mark_away(directory: RunFiles, start: int, size: int, lines: int) -> None:
    """Make a segment the log's that is not on this disk; its index must be here, and durable.

    Args:
        directory: of the run.
        start: where the segment begins.
        size: its bytes, more than none.
        lines: how many line feeds the log has up to its end.
    """
    draft = f"{os.path.dirname(directory.path)}/.away-{directory.id}"
    path = f"{directory.log_path}/{segment_name(start)}"
    replace(draft, path + AWAY, json.dumps({"bytes": size, "lines": lines}).encode())


def evict(directory: RunFiles, start: int) -> bool:
    """Remove the bytes of a segment that are kept elsewhere; return whether they are away now.

    They are not where the segment still grows, is empty, was dropped, or has lost its index. Readers that
    have it open go on. Call it when the bytes are safe elsewhere, and never for two segments of a run at
    the same time.

    Args:
        directory: of the run.
        start: where the segment begins.
    """
    path = f"{directory.log_path}/{segment_name(start)}"
    with contextlib.suppress(FileNotFoundError), _alone(path) as index:
        log = FileLog(directory.path)
        try:
            closed, spans = log.closed, log._extents()
            last = spans[-1].start if spans else start
            end = next((span.end for span in spans if span.start == start), start)
            if end == start or (start == last and not closed):
                return False
            size, lines = own_size(path), log.lines_before(end)
        except FileNotFoundError:
            return away_at(path) is not None
        finally:
            log.close()
        os.fsync(index)
        mark_away(directory, start, size, lines)
        os.unlink(path)
        if not os.fstat(index).st_nlink:  # dropped meanwhile
            os.unlink(path + AWAY)
        return True
    return False


def restore(directory: RunFiles, start: int, path: str) -> bool:
    """Put the bytes of a segment that is away into its place; return whether they are there now.

    They are not where the segment was dropped meanwhile.

    Args:
        directory: of the run.
        start: where the segment begins.
        path: of the bytes, in the same file system; gone once they are in their place.

    Raises:
        FileDamaged: there are more bytes or fewer than the segment has.
    """
    place = f"{directory.log_path}/{segment_name(start)}"
    with contextlib.suppress(FileNotFoundError), _alone(place):
        if (away := away_at(place)) is None:
            return os.path.lexists(place)
        if (size := own_size(path)) != away.bytes:
            raise FileDamaged(f"{path}: expected the {away.bytes} bytes of {place}, got {size}")
        sync_file(path)
        os.rename(path, place)
        sync_folder(directory.log_path)
        try:
            os.unlink(place + AWAY)
        except FileNotFoundError:  # dropped meanwhile: the mark goes first
            os.unlink(place)
            return False
        return True
    return False


@contextlib.contextmanager
def _alone(path: str) -> Iterator[int]:
    """Keep others from evicting or restoring a segment meanwhile; give a descriptor of its index.

    Raises:
        FileNotFoundError: the segment was dropped.
    """
    index = open_own(path + INDEX, os.O_RDONLY)
    try:
        lock(index)
        yield index
    finally:
        os.close(index)

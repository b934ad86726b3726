"""The log of a stream in files: complete appends only, and the removal of incomplete ones.

Owns the differences from the log of a run: several processes append, one after the other, and a
reader must see all of an append or nothing, because an append that was interrupted is replaced by the
next one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence

from runcast.durable.pending import Pending, PendingFile
from runcast.errors import FileDamaged, SegmentAway, StreamNotFound
from runcast.log import FileLog
from runcast.log.away import away_at
from runcast.log.base import retried
from runcast.log.segments import segment_name, segment_starts
from runcast.log.spans import Span
from runcast.store.run_files import RunFiles
from runcast.sysio.files import folder, is_folder, open_own, own_size

__all__ = ["StreamLog", "cut_back", "link_segments"]


class StreamLog(FileLog):
    """Reads the log in a stream's folder, up to the last complete append."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._tail_file: PendingFile | None = None

    def _appended(self, offset: int, limit: int) -> bytes:
        return b""  # it may be a part of an append

    @retried
    def _extents(self) -> Sequence[Span]:
        try:
            if self._tail_file is None:
                self._tail_file = PendingFile(f"{self.directory.path}/append/tail", write=False)
            return self._whole(self._tail_file)
        except FileNotFoundError:
            path = self.directory.path
            if is_folder(path):
                raise FileDamaged(f"{path}/append/tail: expected a file, it is missing") from None
            raise StreamNotFound(os.path.basename(path)) from None

    def _whole(self, tail: PendingFile) -> Sequence[Span]:
        kept = 0  # complete appends reached at least this offset before the tail was read
        while True:
            spans = super()._spans()
            if not spans:
                os.stat(tail.path)  # raises if the stream was deleted, which the open file does not show
            end = spans[-1].end if spans else 0
            _, start, stop = tail.read()
            if stop <= end or start == end or end < kept:  # end < kept: bytes were lost, as by a power loss
                return spans
            if start < end:
                return [span._replace(end=min(span.end, start)) for span in spans if span.start <= start]
            kept = start  # the listing is older than an append that has ended since: list again

    def close(self) -> None:
        """Close the files. A later read reopens them."""
        super().close()
        if self._tail_file is not None:
            self._tail_file.close()
            self._tail_file = None


def cut_back(directory: RunFiles, last: Pending) -> bool:
    """Remove the bytes of an append that was interrupted; return whether there were none.

    Only the holder of the append lock may. If this returns false, a new segment must be begun: the
    index of the truncated one may describe bytes that were removed.
    """
    if not last.start < last.end:
        return True
    starts = segment_starts(folder(directory.log_path))
    if not starts:
        return True
    path = f"{directory.log_path}/{segment_name(starts[-1])}"
    fd = open_own(path, os.O_RDWR)
    try:
        tail = starts[-1] + os.fstat(fd).st_size
        if tail >= last.end or tail <= last.start:
            return True
        os.ftruncate(fd, max(last.start - starts[-1], 0))
        return False
    finally:
        os.close(fd)


def link_segments(source: RunFiles, target: RunFiles, offset: int) -> None:
    """Link the bytes of one log up to `offset` into another, without copying them.

    An empty segment marks where they end, since the last shared segment may have more bytes.

    Raises:
        SegmentAway: some of them are not on this disk.
    """
    for start in segment_starts(folder(source.log_path)):
        if start < offset:
            path = f"{source.log_path}/{segment_name(start)}"
            if not os.path.lexists(path) and (away := away_at(path)) is not None:
                raise SegmentAway(source.path, start, start + away.bytes)
            for name in (segment_name(start), f"{segment_name(start)}.index"):
                with contextlib.suppress(FileNotFoundError):  # a lost index
                    own_size(f"{source.log_path}/{name}")
                    _share(f"{source.log_path}/{name}", f"{target.log_path}/{name}")
    if offset:
        os.close(open_own(f"{target.log_path}/{segment_name(offset)}", os.O_WRONLY | os.O_CREAT))


def _share(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # too many links, or a file system without hard links
        shutil.copyfile(source, target)

"""The log of a stream in files: whole appends only, and what an append that was cut leaves behind.

Owns what differs from the log of a run: several processes append, one after the other, and a
reader must see all of an append or nothing, for another may be put in the place of one that was
never finished.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence

from runcast.durable.pending import Pending, PendingFile
from runcast.errors import FileDamaged, StreamNotFound
from runcast.log import FileLog, RunDirectory
from runcast.log.base import Span, settled
from runcast.log.file import segment_name, segment_starts
from runcast.sysio import folder, is_folder, open_own, own_size

__all__ = ["StreamLog", "cut_back", "link_segments"]


class StreamLog(FileLog):
    """Reads the log in a stream's folder, up to the last append that is whole."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._tail_file: PendingFile | None = None

    @settled
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
        kept = 0  # so many bytes were there, all of them, before the tail was read
        while True:
            spans = super()._extents()
            if not spans:
                os.stat(tail.path)  # it is new, or it was deleted, and what we hold open says nothing of that
            end = spans[-1].end if spans else 0
            _, start, stop = tail.read()
            if stop <= end or start == end or end < kept:  # the last: some were lost, with the power maybe
                return spans
            if start < end:
                return [span._replace(end=min(span.end, start)) for span in spans if span.start <= start]
            kept = start  # looked at before an append that has ended since, and another has begun: look again

    def close(self) -> None:
        """Close the files. A later read opens them again."""
        super().close()
        if self._tail_file is not None:
            self._tail_file.close()
            self._tail_file = None


def cut_back(directory: RunDirectory, last: Pending) -> bool:
    """Take away what is there of an append that was never finished; return whether there was nothing.

    Only the holder of the append lock may. Afterwards a new segment must be begun if this returns
    false: the index of the one that was cut may tell of bytes that are no more.
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


def link_segments(source: RunDirectory, target: RunDirectory, offset: int) -> None:
    """Have one log begin with the bytes of another up to `offset`; they are shared, not copied.

    Behind them an empty segment says where they end, for the last one may go on in the other log.
    """
    for start in segment_starts(folder(source.log_path)):
        if start < offset:
            for name in (segment_name(start), f"{segment_name(start)}.index"):
                with contextlib.suppress(FileNotFoundError):  # an index that was lost
                    own_size(f"{source.log_path}/{name}")
                    _share(f"{source.log_path}/{name}", f"{target.log_path}/{name}")
    if offset:
        os.close(open_own(f"{target.log_path}/{segment_name(offset)}", os.O_WRONLY | os.O_CREAT))


def _share(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # too many links, or a file system that has none
        shutil.copyfile(source, target)

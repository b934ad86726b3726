"""The reply that is a part of a file: it never waits, and is never wholly in memory.

Must not know which file, or who may have it.
"""

from __future__ import annotations

import os
import weakref

from runcast.readers import Steps
from runcast.web.http.response_stream import ResponseStream

__all__ = ["FileStream"]

_PIECE_BYTES = 256 * 1024


class FileStream(ResponseStream):
    """The bytes of an open file.

    Args:
        fd: of the file, closed with this stream.
        size: how many bytes there are.
    """

    kind = "file"

    def __init__(self, fd: int, size: int) -> None:
        self._fd, self.offset, self._end = fd, 0, size
        self.form = ("file", id(self))  # shared with nobody
        weakref.finalize(self, os.close, fd).atexit = False

    @property
    def position(self) -> int:
        """How far it is."""
        return self.offset

    def copy(self) -> FileStream:
        """Return a stream that goes on where this one is."""
        return FileStream(os.dup(self._fd), self._end).part(self.offset, self._end)

    def part(self, start: int, end: int) -> FileStream:
        """Return this stream, which then begins and ends there."""
        self.offset, self._end = start, end
        return self

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        """Yield the bytes; a file that became shorter is cut off."""
        while self.offset < self._end and not self.cut:
            data = os.pread(self._fd, min(_PIECE_BYTES, self._end - self.offset), self.offset)
            self.cut = not data
            self.offset += len(data)
            yield data
        self.finished = not self.cut

"""`append/tail` in a stream's folder: the append lock, and how far the last append was to reach.

    magic 8s · version u16 · zero u16 · crc u32        once
    token u64 · start u64 · end u64 · crc u32          rewritten in place before the bytes of each append

Owns what makes an append whole: where the bytes of the log end between `start` and `end`, the
append is being made, or whoever made it was killed in it: readers see nothing of it, and whoever
appends next takes it away. The token says who appended last: who finds its own knows that nobody
else did since. Its time of change is when the stream was last used.
"""

from __future__ import annotations

import fcntl
import os
import struct
from typing import NamedTuple
from zlib import crc32

from runcast.errors import FileDamaged, FormatTooNew
from runcast.sysio import open_own

__all__ = ["FORMAT", "Pending", "PendingFile"]

FORMAT = 1
_MAGIC = b"RCTAIL\0\0"
_HEAD = struct.Struct("<8sHHI")
_PENDING = struct.Struct("<QQQI")
_SAID = struct.Struct("<QQQ")  # of it, what the checksum is of
_TRIES = 100  # reading it in the middle of being rewritten


class Pending(NamedTuple):
    """The last append: whose, from where, to where."""

    token: int
    start: int
    end: int


class PendingFile:
    """The file, open. One of them must not be locked twice at a time."""

    def __init__(self, path: str, *, create: bool = False, write: bool = True) -> None:
        self.path = path
        flags = os.O_RDWR if write else os.O_RDONLY
        self.fd = open_own(path, flags | (os.O_CREAT | os.O_EXCL if create else 0))
        try:
            if create:
                head = _HEAD.pack(_MAGIC, FORMAT, 0, 0)[:12]
                os.pwrite(self.fd, head + struct.pack("<I", crc32(head)), 0)
                return
            head = os.pread(self.fd, _HEAD.size, 0)
            if len(head) == _HEAD.size and head.startswith(_MAGIC) and _HEAD.unpack(head)[1] > FORMAT:
                raise FormatTooNew(
                    f"{path} has a newer format than {FORMAT}: upgrade runcast, or use another store"
                )
        except BaseException:
            self.close()
            raise

    def lock(self, *, wait: bool) -> bool:
        """Take the append lock; return whether it was to be had."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True

    def unlock(self) -> None:
        """Free the lock."""
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def read(self) -> Pending:
        """Return the last append."""
        for _ in range(_TRIES):
            data = os.pread(self.fd, _PENDING.size, _HEAD.size)
            if len(data) == _PENDING.size:
                token, start, end, crc = _PENDING.unpack(data)
                if crc == crc32(data[:-4]):
                    return Pending(token, start, end)
            elif not data:
                return Pending(0, 0, 0)
        raise FileDamaged(f"{self.path}: expected the place of the last append, got something else")

    def write(self, pending: Pending) -> None:
        """Tell of an append that begins now. Only the holder of the lock may."""
        data = _SAID.pack(*pending)
        os.pwrite(self.fd, data + crc32(data).to_bytes(4, "little"), _HEAD.size)

    @property
    def used_at(self) -> float:
        """When it was last written or touched."""
        return os.fstat(self.fd).st_mtime

    def touch(self) -> None:
        """Note that the stream is used now."""
        os.utime(self.fd)

    def close(self) -> None:
        """Close the file, which frees the lock."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

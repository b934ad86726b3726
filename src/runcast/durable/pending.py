"""`append/tail` in a stream's folder: the append lock, and the range of the last append.

    magic 8s · version u16 · zero u16 · crc u32        once
    token u64 · start u64 · end u64 · crc u32          rewritten in place before the bytes of each append

Makes appends atomic. While the log ends between `start` and `end`, an append is in progress, or was
interrupted because its process died: readers ignore its bytes, and the next append removes them. The
token identifies the process that appended last; a process that finds its own token knows that its
state is current. The modification time of the file is when the stream was last used.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple
from zlib import crc32

from runcast.errors import FileDamaged, FormatTooNew
from runcast.sysio.files import open_own
from runcast.sysio.locks import lock, unlock

__all__ = ["FORMAT", "Pending", "PendingFile"]

FORMAT = 1
_MAGIC = b"RCTAIL\0\0"
_HEAD = struct.Struct("<8sHHI")
_PENDING = struct.Struct("<QQQI")
_CHECKED = struct.Struct("<QQQ")  # the part of it that the checksum covers
_TRIES = 100  # a read may collide with a rewrite


class Pending(NamedTuple):
    """The last append: the token of its process, and its range."""

    token: int
    start: int
    end: int


class PendingFile:
    """The open file. An instance must not be locked twice at a time."""

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
        """Take the append lock; return whether it was taken."""
        return lock(self.fd, wait=wait)

    def unlock(self) -> None:
        """Release the lock."""
        unlock(self.fd)

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
        raise FileDamaged(f"{self.path}: expected the range of the last append, got an invalid record")

    def write(self, pending: Pending) -> None:
        """Announce an append before its bytes are written. Only the holder of the lock may."""
        data = _CHECKED.pack(*pending)
        os.pwrite(self.fd, data + crc32(data).to_bytes(4, "little"), _HEAD.size)

    @property
    def used_at(self) -> float:
        """When it was last written or touched."""
        return os.fstat(self.fd).st_mtime

    def touch(self) -> None:
        """Set `used_at` to now."""
        os.utime(self.fd)

    def close(self) -> None:
        """Close the file, which releases the lock."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

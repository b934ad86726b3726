"""`append/journal` in a stream's folder: the state that appends are checked against.

    magic 8s · version u16 · zero u16 · crc u32
    size u16 · flags u8 · zero u8 · id size u16 · epoch u64 · number u64 · end u64 · id · seq · crc u32

A record is written before the bytes of its append, and is valid once the log reaches its `end`. So
an append and its producer's number are stored together, or not at all. A record has a producer, a
`Stream-Seq`, the close, or several of them. An incomplete record, or one whose bytes were never
written, is always the last, and is removed.
"""

from __future__ import annotations

import errno
import os
import struct
from zlib import crc32

from runcast.durable.stream import AppendState
from runcast.errors import FileDamaged, FormatTooNew
from runcast.sysio.files import open_own
from runcast.sysio.writes import replace
from runcast.wire.durable import Appending, Producer

__all__ = ["FORMAT", "Journal"]

FORMAT = 1
_MAGIC = b"RCJOURN\0"
_HEAD = struct.Struct("<8sHHI")
_RECORD = struct.Struct("<HBBHQQQ")
_CRC = struct.Struct("<I")
_PRODUCER, _SEQ, _CLOSED = 1, 2, 4
_MOST_BYTES = 256 * 1024 * 1024  # enough for a hundred thousand producers with long ids
_MANY = 1000  # records below which the journal is not compacted


def pack(params: Appending, end: int) -> bytes:
    """Return the record of an append that ends at `end`."""
    flags = _CLOSED if params.close else 0
    name, epoch, number = b"", 0, 0
    if params.producer is not None:
        flags |= _PRODUCER
        name, epoch, number = params.producer.id.encode("utf-8", "surrogateescape"), *params.producer[1:]
    seq = b""
    if params.seq is not None:
        flags |= _SEQ
        seq = params.seq.encode("utf-8", "surrogateescape")
    size = _RECORD.size + len(name) + len(seq) + _CRC.size
    body = _RECORD.pack(size, flags, 0, len(name), epoch, number, end) + name + seq
    return body + _CRC.pack(crc32(body))


def unpack(data: bytes, at: int) -> tuple[Appending, int, int] | None:
    """Return the append of a record, its `end`, and where the next record begins; None if it is invalid."""
    if at + _RECORD.size > len(data):
        return None
    size, flags, _, name_size, epoch, number, end = _RECORD.unpack_from(data, at)
    body = data[at : at + size - _CRC.size]
    if (
        at + size > len(data)
        or size < _RECORD.size
        or _CRC.unpack_from(data, at + size - 4)[0] != crc32(body)
    ):
        return None
    name = body[_RECORD.size : _RECORD.size + name_size].decode("utf-8", "surrogateescape")
    seq = body[_RECORD.size + name_size :].decode("utf-8", "surrogateescape")
    producer = Producer(name, epoch, number) if flags & _PRODUCER else None
    params = Appending(None, producer, seq if flags & _SEQ else None, bool(flags & _CLOSED))
    return params, end, at + size


class Journal:
    """The journal of one stream; only the holder of the append lock may use it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd: int | None = None
        self._records = 0
        self.size = 0

    def load(self, tail: int) -> AppendState:
        """Return the state at `tail`, the end of the log; records behind it are removed."""
        self.close()
        state = AppendState()
        try:
            self._fd = open_own(self._path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return state
        if (size := os.fstat(self._fd).st_size) > _MOST_BYTES:
            self.close()
            raise FileDamaged(f"{self._path}: expected at most {_MOST_BYTES} bytes, it has {size}")
        data = _read_all(self._fd)
        if data.startswith(_MAGIC) and len(data) >= _HEAD.size and _HEAD.unpack_from(data)[1] > FORMAT:
            raise FormatTooNew(f"{self._path} has a newer format than {FORMAT}: upgrade runcast")
        at, self._records = _HEAD.size, 0
        while (found := unpack(data, at)) is not None and found[1] <= tail:
            state.apply(found[0])
            at = found[2]
            self._records += 1
        if len(data) < _HEAD.size:
            self.close()
            os.unlink(self._path)
            return state
        self.size = at
        if at < len(data):
            os.ftruncate(self._fd, at)
        return state

    def write(self, params: Appending, end: int) -> None:
        """Record an append before its bytes are written."""
        if self._fd is None:
            self._begin(self._path)
        assert self._fd is not None
        record = pack(params, end)
        written = os.write(self._fd, record)
        if written < len(record):
            os.ftruncate(self._fd, self.size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += len(record)
        self._records += 1

    def _begin(self, path: str) -> None:
        fd = open_own(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC)
        try:
            head = _HEAD.pack(_MAGIC, FORMAT, 0, 0)[:12]
            os.write(fd, head + _CRC.pack(crc32(head)))
        except BaseException:
            os.close(fd)
            raise
        self.close()
        self._fd, self.size, self._records = fd, _HEAD.size, 0

    def truncate(self, size: int) -> None:
        """Remove the record of an append that failed."""
        if self._fd is not None and self.size > size:
            os.ftruncate(self._fd, max(size, _HEAD.size))
            self.size = max(size, _HEAD.size)

    def compact(self, state: AppendState, tail: int) -> None:
        """Rewrite the journal if most of its records are obsolete. No append may be pending."""
        if self._records < _MANY + 4 * len(state.producers):
            return
        draft = f"{self._path}-new"
        records = [
            pack(Appending(None, Producer(name, *numbers)), tail) for name, numbers in state.producers.items()
        ]
        if state.seq is not None:
            records.append(pack(Appending(seq=state.seq), tail))
        head = _HEAD.pack(_MAGIC, FORMAT, 0, 0)[:12]
        replace(draft, self._path, head + _CRC.pack(crc32(head)) + b"".join(records))
        self.load(tail)

    def close(self) -> None:
        """Close the file."""
        fd, self._fd, self.size, self._records = self._fd, None, 0, 0
        if fd is not None:  # `_fd` was cleared first: a process forked meanwhile must not close it again
            os.close(fd)


def _read_all(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    parts = []
    at = 0
    while at < size:
        part = os.pread(fd, size - at, at)
        if not part:
            break
        parts.append(part)
        at += len(part)
    return b"".join(parts)

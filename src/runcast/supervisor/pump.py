"""From pipes to the log: reads, and the holding of unfinished lines.

Programs flush in blocks, so where two channels alternate, a block mostly ends inside a line. The
unfinished line of a channel is held for at most 10 ms and 64 KiB, and goes into that channel's next
append (docs/explanation/one-log.md). A run that has used one channel only holds nothing. When the
supervisor itself is killed, the held bytes are lost: that is the documented window, one read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from runcast.escapes.last_line import TAIL_BYTES, last_line
from runcast.log import LogWriter
from runcast.model import CHUNK_BYTES, Channel
from runcast.sysio.descriptors import widen

if TYPE_CHECKING:
    from runcast.masking.stream import MaskedStream

__all__ = ["CARRY_SECONDS", "Pipe", "Pump"]

CARRY_SECONDS = 0.01
_IN_A_ROW = 4  # full reads before the other channel gets its turn
_BIG_PIPE = 1024 * 1024  # bytes: room for a burst while we write; the most an ordinary user may ask for


class Pipe:
    """The reading end of one channel."""

    def __init__(self, fd: int, channel: Channel) -> None:
        self.fd = fd
        self.channel = channel
        self.carry = b""
        self.carry_until = 0.0
        self.watches: list[Callable[[bytes], object]] = []  # called with what is read
        self.masked: MaskedStream | None = None  # what masks it
        self.tail = b""  # the last bytes, which may be an unfinished line
        self.full = False  # whether the last read took all it could: there is more
        self._grown = False

    def read(self) -> bytes | None:
        """Return what is there; None when there is nothing now, empty at the end."""
        try:
            data = os.read(self.fd, CHUNK_BYTES - len(self.carry))
        except BlockingIOError:
            self.full = False
            return None
        self.full = len(data) + len(self.carry) == CHUNK_BYTES
        if self.full and not self._grown:
            self._grown = True  # the program is faster than we are
            with contextlib.suppress(OSError):  # beyond the user's share of pipe memory: stay small
                widen(self.fd, _BIG_PIPE)
        return data

    def let_go(self) -> None:
        """Keep its end from coming no longer: the run is over."""


class Pump:
    """Moves bytes from the pipes of one run into its log.

    Args:
        log: where they go.
        closing: called with each descriptor before it is closed.
    """

    def __init__(self, log: LogWriter, closing: Callable[[int], object]) -> None:
        self.log = log
        self._closing = closing
        self.pipes: dict[int, Pipe] = {}
        self.bytes = 0
        self.moved_at = 0.0  # when some came last
        self._used: Channel | None = None
        self._mixed = False

    def add(self, pipe: Pipe) -> None:
        """Have one pipe more to read from; it is closed here."""
        self.pipes[pipe.fd] = pipe

    def take(self, pipe: Pipe, now: float) -> bool:
        """Read what is there, a few times where the program is fast: that saves a poll for each.

        Returns:
            Whether all of it is appended, and the pipe still open.
        """
        for _ in range(_IN_A_ROW):
            if not self.move(pipe, now) or not pipe.full:
                break
        return pipe.fd in self.pipes and self.due() is None

    def move(self, pipe: Pipe, now: float) -> bool | None:
        """Read once from a pipe; return False at its end, None if there was nothing."""
        data = pipe.read()
        if data is None:
            return None
        if not data:
            self._finish(pipe, now)
            return False
        self.bytes += len(data)
        self.moved_at = now
        for watch in pipe.watches:
            watch(data)
        if pipe.masked is not None:
            data = pipe.masked.feed(data, now)
        if data:
            self._append(pipe, data, now)
        return True

    def _append(self, pipe: Pipe, data: bytes, now: float) -> None:
        """Append what came from a pipe, or carry it."""
        pipe.tail = (pipe.tail + data if len(data) < TAIL_BYTES else data)[-TAIL_BYTES:]
        if self._used is not pipe.channel:
            self._mixed = self._mixed or self._used is not None
            self._used = pipe.channel
        if not self._mixed:
            self.log.append(pipe.channel, data)
            return
        if pipe.carry:
            data, pipe.carry = pipe.carry + data, b""
        else:
            pipe.carry_until = now + CARRY_SECONDS
        end = data.rfind(b"\n") + 1
        if end == len(data) or len(data) - end >= CHUNK_BYTES:
            self.log.append(pipe.channel, data)
            return
        if end:
            self.log.append(pipe.channel, data[:end])
            pipe.carry_until = now + CARRY_SECONDS
        pipe.carry = data[end:]

    def _finish(self, pipe: Pipe, now: float) -> None:
        """Append all that waits of a pipe, and close it."""
        if pipe.masked is not None and (data := pipe.masked.end()):
            self._append(pipe, data, now)
        self.flush(pipe)
        self.close(pipe)

    def flush(self, pipe: Pipe) -> None:
        """Append what a pipe carries."""
        if pipe.carry:
            data, pipe.carry = pipe.carry, b""
            self.log.append(pipe.channel, data)

    def flush_all(self) -> None:
        """Append what all pipes carry."""
        for pipe in self.pipes.values():
            self.flush(pipe)

    def due(self) -> float | None:
        """Return when the next of what waits must be appended (monotonic seconds)."""
        times = [pipe.carry_until for pipe in self.pipes.values() if pipe.carry]
        for pipe in self.pipes.values():
            if pipe.masked is not None and pipe.masked.due is not None:
                times.append(pipe.masked.due)
        return min(times, default=None)

    def expire(self, now: float) -> None:
        """Append what has waited long enough."""
        for pipe in self.pipes.values():
            if pipe.masked is not None and (data := pipe.masked.expire(now)):
                self._append(pipe, data, now)
            if pipe.carry and pipe.carry_until <= now:
                self.flush(pipe)

    def let_go(self) -> None:
        """Have each end where nobody writes to it any more: the run is over."""
        for pipe in self.pipes.values():
            pipe.let_go()

    def drain(self, now: float) -> None:
        """Read what is in the pipes now; not for ever, if a process goes on writing."""
        for pipe in list(self.pipes.values()):
            for _ in range(2 * _BIG_PIPE // CHUNK_BYTES):
                if not self.move(pipe, now):
                    break

    def last_line(self) -> str:
        """Return an unfinished line of the output, that of the channel used last if it has one."""
        pipes = sorted(self.pipes.values(), key=lambda pipe: pipe.channel is self._used, reverse=True)
        return next(filter(None, (last_line(pipe.tail) for pipe in pipes)), "")

    def close(self, pipe: Pipe) -> None:
        """Close one pipe."""
        del self.pipes[pipe.fd]
        pipe.let_go()
        self._closing(pipe.fd)
        os.close(pipe.fd)

    def close_all(self) -> None:
        """Append all that waits of the pipes, and close them."""
        for pipe in list(self.pipes.values()):
            self._finish(pipe, pipe.carry_until)

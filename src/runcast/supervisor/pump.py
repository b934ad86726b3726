"""From pipes to the log: what is read, where it is cut, what waits a moment.

Owns the rule of section 5 of the design: programs flush in blocks, so where two channels
alternate a block mostly ends inside a line. The unfinished line of a channel is carried, for at
most 10 ms and 64 KiB, into that channel's next append. A run that only ever used one channel
waits for nothing. What is carried when the supervisor itself is killed is lost: that is the
documented window, one read.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable

from runcast.log import LogWriter
from runcast.model import CHUNK_BYTES, Channel

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
        self.full = False  # whether the last read took all it could: there is more
        self._grown = False

    def read(self) -> bytes | None:
        """Return what is there; None when there is nothing now, empty at the end."""
        try:
            data = os.read(self.fd, CHUNK_BYTES - len(self.carry))
        except BlockingIOError:
            self.full = False
            return None
        except OSError:  # EIO: the other end of a PTY is gone
            return b""
        self.full = len(data) + len(self.carry) == CHUNK_BYTES
        if self.full and not self._grown:
            self._grown = True  # the program is faster than we are
            with contextlib.suppress(OSError):  # beyond the user's share of pipe memory: stay small
                fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, _BIG_PIPE)
        return data


class Pump:
    """Moves bytes from the pipes of one run into its log."""

    def __init__(self, log: LogWriter, pipes: list[Pipe], closing: Callable[[int], object]) -> None:
        self.log = log
        self._closing = closing  # called with each descriptor before it is closed
        self.pipes = {pipe.fd: pipe for pipe in pipes}
        self.bytes = 0
        self._used: Channel | None = None
        self._mixed = False

    def take(self, pipe: Pipe, now: float) -> None:
        """Read what is there, a few times where the program is fast: that saves a poll for each."""
        for _ in range(_IN_A_ROW):
            if not self.move(pipe, now) or not pipe.full:
                return

    def move(self, pipe: Pipe, now: float) -> bool | None:
        """Read once from a pipe; return False at its end, None if there was nothing."""
        data = pipe.read()
        if data is None:
            return None
        if not data:
            self.flush(pipe)
            self.close(pipe)
            return False
        self.bytes += len(data)
        if self._used is not pipe.channel:
            self._mixed = self._mixed or self._used is not None
            self._used = pipe.channel
        if not self._mixed:
            self.log.append(pipe.channel, data)
            return True
        if pipe.carry:
            data, pipe.carry = pipe.carry + data, b""
        else:
            pipe.carry_until = now + CARRY_SECONDS
        end = data.rfind(b"\n") + 1
        if end == len(data) or len(data) - end >= CHUNK_BYTES:
            self.log.append(pipe.channel, data)
            return True
        if end:
            self.log.append(pipe.channel, data[:end])
            pipe.carry_until = now + CARRY_SECONDS
        pipe.carry = data[end:]
        return True

    def flush(self, pipe: Pipe) -> None:
        """Append what a pipe carries."""
        if pipe.carry:
            data, pipe.carry = pipe.carry, b""
            self.log.append(pipe.channel, data)

    def due(self) -> float | None:
        """Return when the next carried line must be appended (monotonic seconds)."""
        return min((pipe.carry_until for pipe in self.pipes.values() if pipe.carry), default=None)

    def expire(self, now: float) -> None:
        """Append what was carried long enough."""
        for pipe in self.pipes.values():
            if pipe.carry and pipe.carry_until <= now:
                self.flush(pipe)

    def drain(self, now: float) -> None:
        """Read what is in the pipes now; not for ever, if somebody goes on writing."""
        for pipe in list(self.pipes.values()):
            for _ in range(2 * _BIG_PIPE // CHUNK_BYTES):
                if not self.move(pipe, now):
                    break

    def close(self, pipe: Pipe) -> None:
        """Close one pipe."""
        del self.pipes[pipe.fd]
        self._closing(pipe.fd)
        os.close(pipe.fd)

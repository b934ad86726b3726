"""What a program reads: the writing end of its stdin, and the senders that wait for it.

Owns the order: one part after the other, each answered when all of it was taken, so that a
sender is slowed to the program's speed. What the end of the input is to a terminal, and which lines it
takes, is terminal.py's. Does not know the loop that calls it.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable

from runcast.supervisor.control import ControlConnection
from runcast.supervisor.loop import Loop

__all__ = ["StdinWriter"]


class StdinWriter:
    """The stdin of one run; it has none until `open`, and none any more after `close`.

    Args:
        loop: where the descriptor is heard while something waits to be written.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.fd: int | None = None
        self.bytes = 0  # taken by the program, or by the pipe to it
        self._type: Callable[[bytes, bool], bytes] | None = None
        self._begun = False  # whether the first of the queue is being written
        self._queue: list[tuple[ControlConnection, memoryview, bool]] = []

    def open(self) -> int:
        """Make the pipe, and return the end that the program reads."""
        reading, self.fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.fd, False)
        return reading

    def open_terminal(self, fd: int, type: Callable[[bytes, bool], bytes]) -> None:
        """Write to a terminal from now on.

        Args:
            fd: not blocking; it is closed here.
            type: returns what is to be written for some data and whether the input ends behind it; raises
                a `ValueError` where the terminal would not take it whole.
        """
        self.fd, self._type = fd, type

    def take(self, connection: ControlConnection, data: bytes, eof: bool) -> None:
        """Put data at the end of what is to be written."""
        if self.fd is None:
            connection.answer(error="this run reads no stdin: it was started without, or that is closed")
            return
        if not self._queue:
            self._loop.hear(self.fd, self._feed, select.POLLOUT)
        self._queue.append((connection, memoryview(data), eof))

    def reply(self, data: bytes) -> None:
        """Type the reply of a terminal, at once or not at all: where nothing is read it is not, either."""
        if self.fd is not None and not self._begun:
            with contextlib.suppress(OSError):
                os.write(self.fd, data)

    def _feed(self, event: int, _now: float) -> None:
        """Write as much as the pipe takes; answer the sender when all was written."""
        assert self.fd is not None
        connection, data, eof = self._queue[0]
        try:
            if event & select.POLLERR:
                raise BrokenPipeError
            if self._type is not None and not self._begun:
                data = memoryview(self._type(bytes(data), eof))
            self._begun = True
            if data:
                count = os.write(self.fd, data)
                data = data[count:]
                self.bytes += count
        except BlockingIOError:
            self._queue[0] = connection, data, eof
            return
        except ValueError as error:
            self._next()
            connection.answer(error=str(error), unusable=True)
            return
        except OSError:  # EPIPE; EIO of a terminal that nobody has open
            self.refuse("the program has closed its stdin")
            return
        if data:
            self._queue[0] = connection, data, eof
            return
        self._next()
        connection.answer()
        if eof and self._type is None:
            self.refuse("stdin was closed by another sender")

    def _next(self) -> None:
        self._queue.pop(0)
        self._begun = False
        if not self._queue and self.fd is not None:
            self._loop.forget(self.fd)

    def refuse(self, error: str) -> None:
        """Close it; all that waits to be written is answered with an error."""
        self.close()
        for connection, _data, _eof in self._queue:
            connection.answer(error=error)
        self._queue.clear()
        self._begun = False

    def forget(self, connection: ControlConnection) -> None:
        """Drop what a sender that has left still had to write."""
        queue = [item for item in self._queue if item[0] is not connection]
        if self._queue and self._queue[0][0] is connection:
            self._begun = False
        if self._queue and not queue and self.fd is not None:
            self._loop.forget(self.fd)
        self._queue = queue

    def close(self) -> None:
        """Have the program read the end of its stdin."""
        if self.fd is not None:
            self._loop.forget(self.fd)
            os.close(self.fd)
            self.fd = None

"""What a program reads: the writing end of its stdin, and who waits for it to take something.

Owns the order: one part after the other, each answered when all of it was taken, so that whoever
sends is slowed to the program's speed. Does not know the loop that calls it.
"""

from __future__ import annotations

import contextlib
import os
import select

from runcast.supervisor.control import Connection

__all__ = ["Stdin"]


class Stdin:
    """The stdin of one run; it has none until `open`, and none any more after `close`.

    Args:
        poll: where the descriptor is registered while something waits to be written.
    """

    def __init__(self, poll: select.poll) -> None:
        self._poll = poll
        self.fd: int | None = None
        self._queue: list[tuple[Connection, memoryview, bool]] = []

    def open(self) -> int:
        """Make the pipe, and return the end that the program reads."""
        reading, self.fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.fd, False)
        return reading

    def take(self, connection: Connection, data: bytes, eof: bool) -> None:
        """Put data at the end of what is to be written."""
        if self.fd is None:
            connection.answer(error="this run reads no stdin: it was not asked for, or is closed")
            return
        if not self._queue:
            self._poll.register(self.fd, select.POLLOUT)
        self._queue.append((connection, memoryview(data), eof))

    def feed(self, event: int) -> None:
        """Give the program what it takes; answer who sent it when all was taken."""
        assert self.fd is not None
        connection, data, eof = self._queue[0]
        try:
            if event & select.POLLERR:
                raise BrokenPipeError
            data = data[os.write(self.fd, data) :] if data else data
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._refuse_all("the program has closed its stdin")
            return
        if data:
            self._queue[0] = connection, data, eof
            return
        self._queue.pop(0)
        connection.answer()
        if eof:
            self._refuse_all("stdin was closed by another sender")
        elif not self._queue:
            self._poll.unregister(self.fd)

    def _refuse_all(self, error: str) -> None:
        self.close()
        for connection, _data, _eof in self._queue:
            connection.answer(error=error)
        self._queue.clear()

    def forget(self, connection: Connection) -> None:
        """Let go of what somebody sent who has left."""
        queue = [item for item in self._queue if item[0] is not connection]
        if self._queue and not queue and self.fd is not None:
            self._poll.unregister(self.fd)
        self._queue = queue

    def close(self) -> None:
        """Have the program read the end of its stdin."""
        if self.fd is not None:
            with contextlib.suppress(KeyError):
                self._poll.unregister(self.fd)
            os.close(self.fd)
            self.fd = None

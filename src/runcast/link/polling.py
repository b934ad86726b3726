"""One descriptor for a loop to poll, however many connections a link has, and whatever other threads do."""

from __future__ import annotations

import contextlib
import select
import socket

__all__ = ["Polling"]


class Polling:
    """Descriptors behind one, and a bell.

    Attributes:
        poller: where connections register theirs.
    """

    def __init__(self) -> None:
        self.poller = select.epoll()
        self._ends = socket.socketpair()
        for end in self._ends:
            end.setblocking(False)
        self.poller.register(self._ends[0], select.EPOLLIN)
        self._closed = False

    def fileno(self) -> int:
        """Return what to poll; readable while any of them is ready."""
        return self.poller.fileno()

    def ready(self) -> list[int]:
        """Return the descriptors that are ready."""
        found = [descriptor for descriptor, _ in self.poller.poll(0)]
        bell = self._ends[0].fileno()
        if bell in found:
            found.remove(bell)
            with contextlib.suppress(OSError):
                self._ends[0].recv(4096)
        return found

    def ring(self) -> None:
        """Make it readable once. From any thread."""
        with contextlib.suppress(OSError):  # full, or closed
            self._ends[1].send(b"x")

    def close(self) -> None:
        """Close all that is its own. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self.poller.close()
            for end in self._ends:
                end.close()

"""The process that empties the pipes of a server's runs when the server cannot.

C code may write to a run's descriptor while it holds the GIL: then no thread of its process can read
what it writes, and both would block for ever. So a small process shares all such pipes. Bytes that
stay in a pipe for a moment it moves into the pipe's spool, a file that the server reads before the
pipe. There is one such process per server process, from the first descriptor of a run on; it ends
when the server is gone and no such pipe is open any more. Bytes written after the end of their run, or
of the server, go to the real stream, which is passed with the pipe: so a crash report reaches the
server's stderr.

It never blocks on the server, or on a stream without a reader; only on the disk. If a reader is merely
slow, writers wait for it as with any pipe: a spool exceeds its bound only while its reader makes no
progress at all. A process that takes bytes out of a pipe holds the spool's lock, so the bytes of the
spool always precede those of the pipe.

Messages on a link, one per packet: to this process, how many bytes of the spool were read, or 0 for a
question; from it, how many more bytes were lost because the disk was full, 0 if there are just more,
with ANSWER behind it if that is all up to the question. A link holds few messages, and a stuck reader
takes none, so what could not be sent is sent later. Imports nothing large.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import struct
import time

from runcast.sysio.descriptors import bytes_in
from runcast.sysio.locks import lock, unlock

__all__ = ["ANSWER", "BOUND_BYTES", "COUNT", "main"]

BOUND_BYTES = 4 * 1024 * 1024  # of unread bytes in a spool
COUNT = struct.Struct("<Q")
ANSWER = b"!"

_AGAIN_SECONDS = 0.02  # before bytes are taken from a pipe, or a full stream is tried again
_STALL_SECONDS = 0.1  # without progress of the reader: it is stuck, and must not be waited for
_FULL_SECONDS = 1.0  # of a full disk, without progress of the reader: then bytes are discarded
_LOCK_SECONDS = 1.0  # after which the lock is ignored: its holder may be waiting for the GIL
_LOCK_PAUSE_SECONDS = 0.0005
_MOVE_BYTES = 1024 * 1024
_PIECE_BYTES = 4096  # room that POLLOUT guarantees, see PIPE_BUF in pipe(7)
_PIECES = 64  # for one pipe, before the others are served


class _DrainedPipe:
    """A pipe, the spool that it is emptied into, and the link to the reader of the spool."""

    def __init__(self, reader: int, spool: int, link: socket.socket, stream: int) -> None:
        self.reader, self.spool, self.link, self.stream = reader, spool, link, stream
        self.open = self.linked = True  # whether the pipe has writers, and the spool a reader
        self._written = self._read = self._lost = 0
        self._step_at = time.monotonic()  # when its reader last made progress, or had nothing to read
        self._seen, self._seen_at = 0, 0.0  # how much was in the pipe, since when
        self._full_at: float | None = None  # since when the disk is full
        self._moves = False  # whether bytes are being moved, because the reader is stuck
        self._asked = False  # the reader waits for an answer

    @property
    def over(self) -> bool:
        """Whether it has neither writers nor unread bytes."""
        return not self.linked and not self.open and self._read >= self._written

    def step(self) -> bool:
        """Move the bytes; return False to be called again without an event."""
        if not self.linked:
            return self._show()
        kept = self._keep()
        return self._report() and kept

    def _keep(self) -> bool:
        """Move the bytes of the pipe into the spool, if its reader does not read them."""
        if not self.open:
            return True
        now = time.monotonic()
        there = bytes_in(self.reader)
        if not there:
            self.open = not _events(self.reader, select.POLLIN) & select.POLLHUP or bytes_in(self.reader) > 0
            self._seen = 0
            return True
        if there != self._seen:
            self._seen, self._seen_at = there, now
            self._moves = self._moves and (self._written > self._read or self._full_at is not None)
        if not self._moves and now - self._seen_at < _AGAIN_SECONDS:
            return False
        self._moves = True
        if self._written == self._read:
            self._step_at = now
        elif self._written - self._read >= BOUND_BYTES and now - self._step_at < _STALL_SECONDS:
            return False
        until = now + _LOCK_SECONDS
        while not lock(self.spool, wait=False) and time.monotonic() < until:
            time.sleep(_LOCK_PAUSE_SECONDS)
        try:
            return self._move(now)
        finally:
            unlock(self.spool)

    def _move(self, now: float) -> bool:
        """Move the bytes of the pipe; return False while the disk is full, until that lasts too long."""
        try:
            self._written += os.splice(
                self.reader, self.spool, _MOVE_BYTES, offset_dst=self._written, flags=os.SPLICE_F_NONBLOCK
            )
        except BlockingIOError:  # the reader has read them
            return True
        except OSError:
            self._full_at = self._full_at or now
            if now - self._full_at < _FULL_SECONDS:
                return False
            with contextlib.suppress(BlockingIOError):
                self._lost += len(os.read(self.reader, _MOVE_BYTES))
        else:
            self._full_at = None
        self._send()
        return True

    def _report(self) -> bool:
        """Send what the reader must know; return False while it has no room for that."""
        return self._send() if self._lost or self._asked else True

    def _send(self) -> bool:
        try:
            self.link.send(COUNT.pack(self._lost) + (ANSWER if self._asked else b""))
        except OSError:
            return False
        self._lost, self._asked = 0, False
        return True

    def _show(self) -> bool:
        """Write to the real stream, for want of a reader: first the spool, then the pipe."""
        for _ in range(_PIECES):
            events = _events(self.stream, select.POLLOUT)
            if not events:
                return False
            if self._read < self._written:
                data = os.pread(self.spool, min(_PIECE_BYTES, self._written - self._read), self._read)
                self._read += len(data) or self._written
            elif self.open:
                try:
                    data = os.read(self.reader, _PIECE_BYTES)
                except BlockingIOError:
                    return True
                self.open = bool(data)
            else:
                return True
            if events & select.POLLOUT:  # else the stream has no reader, and a write would fail
                with contextlib.suppress(OSError):
                    os.write(self.stream, data)
        return False

    def hear(self) -> None:
        """Process the messages of the reader."""
        while self.linked:
            try:
                message = self.link.recv(COUNT.size)
            except BlockingIOError:
                return
            except ConnectionResetError:  # it is gone; its last messages can still be received
                continue
            if message:
                read = COUNT.unpack(message)[0]
                self._asked = self._asked or not read
                self._read = max(self._read, read)
                self._step_at, self._full_at = time.monotonic(), None
            else:
                self.linked = False

    def close(self) -> None:
        """Close all descriptors."""
        os.close(self.reader)
        os.close(self.spool)
        os.close(self.stream)
        self.link.close()


class _Drain:
    """All pipes of a server."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self._serves = True
        self._poll = select.epoll()
        self._poll.register(server, select.EPOLLIN)
        self._pipes: dict[int, _DrainedPipe] = {}  # by both of their descriptors
        self._again: set[_DrainedPipe] = (
            set()
        )  # pipes to retry; not polled, since at their end they are always ready

    def run(self) -> None:
        """Serve until the server is gone and no pipe of its runs is open."""
        while self._serves or self._pipes:
            heard = self._poll.poll(_AGAIN_SECONDS if self._again else -1)
            for pipe in self._again:
                if pipe.open:
                    self._poll.register(pipe.reader, select.EPOLLIN)
            steps, self._again = self._again, set()
            for fd, _ in heard:
                if fd == self._server.fileno():
                    self._take()
                else:
                    pipe = self._pipes[fd]
                    steps.add(pipe)
                    if fd != pipe.reader:
                        self._hear(pipe)
            for pipe in steps:
                self._step(pipe)

    def _take(self) -> None:
        """Receive a pipe from the server, or notice that it is gone."""
        try:
            message, fds, _, _ = socket.recv_fds(self._server, 1, 4)
        except OSError:
            message, fds = b"", []
        if not message:
            self._serves = False
            self._poll.unregister(self._server)
        if len(fds) < 4:  # out of descriptors: the server reads this one without a spool
            for fd in fds:
                os.close(fd)
            return
        reader, spool, link, stream = fds
        pipe = _DrainedPipe(reader, spool, socket.socket(fileno=link), stream)
        pipe.link.setblocking(False)
        self._pipes[reader] = self._pipes[link] = pipe
        self._poll.register(reader, select.EPOLLIN)
        self._poll.register(link, select.EPOLLIN)

    def _hear(self, pipe: _DrainedPipe) -> None:
        pipe.hear()
        if not pipe.linked:
            self._poll.unregister(pipe.link)

    def _step(self, pipe: _DrainedPipe) -> None:
        was_open = pipe.open
        done = pipe.step()
        if was_open and not (done and pipe.open):
            self._poll.unregister(pipe.reader)
        if not done:
            self._again.add(pipe)
        elif pipe.over:
            self._pipes = {fd: other for fd, other in self._pipes.items() if other is not pipe}
            pipe.close()


def _events(fd: int, wanted: int) -> int:
    """Return the events of a descriptor without waiting; POLLERR and similar ones if it is closed."""
    poll = select.poll()
    poll.register(fd, wanted)
    return dict(poll.poll(0)).get(fd, 0)


def main(number: int) -> None:
    """Serve the server at the other end of a socket, as an orphan, so that no process must wait for it."""
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.closerange(0, 1)
    os.closerange(3, number)
    os.closerange(number + 1, os.sysconf("SC_OPEN_MAX"))
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_IGN)  # it must not end before the server does
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    _Drain(socket.socket(fileno=number)).run()
    os._exit(0)

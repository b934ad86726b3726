"""The reading side of a pipe: its bytes, and those that the drain process moved into the spool.

Owns this side of the drain process (drain.py): starts it at the first pipe, hands pipes over to it,
and reads the spool before the pipe. Where the process cannot be started, C code that holds the GIL and
writes more than fits the pipe blocks this process for good.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from operator import call
from os import waitpid  # the one that threads of this module can call, should gevent replace it later

from runcast.model import CHUNK_BYTES
from runcast.sources.drain import ANSWER, COUNT
from runcast.supervisor.launch import PACKAGE_ROOT, environment, interpreter
from runcast.sysio.descriptors import bytes_in, duplicate, in_memory
from runcast.sysio.forks import at_fork
from runcast.sysio.locks import lock_calls

__all__ = ["IN_MEMORY", "Spool", "drained", "reap"]

IN_MEMORY = ""  # in place of a folder: what is to be masked never lies on a disk
_CLOSE_SECONDS = 1.0  # for the drain process to accept the last message, or to answer
_PAUSE_SECONDS = 0.001
_PUNCH_BYTES = 1024 * 1024  # read bytes that are freed on the disk at once
_PUNCH_HOLE = 1 | 2  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, see fallocate(2)
_LEAST_NUMBER = 10  # lower descriptors may be those that a program is started with

_libc = ctypes.PyDLL(None)  # PyDLL: its functions keep the GIL
_libc.lseek.restype = ctypes.c_int64


class Spool:
    """A pipe that the drain process has as well, and the bytes that it moved out of the pipe.

    Args:
        reader: of the pipe.
        file: the spool, opened for this process alone.
        link: to the drain process.
    """

    def __init__(self, reader: int, file: int, link: socket.socket) -> None:
        self._reader, self._file, self._link = reader, file, link
        self._moved, self._direct = (ctypes.create_string_buffer(CHUNK_BYTES) for _ in range(2))
        self._at = self._punched = self._lost = 0
        self._later: tuple[int, bytes] | None = None  # bytes from the pipe, and their position in the spool
        self.drained = True  # False: the drain process is gone
        self._loses = self._answered = False  # whether bytes were ever lost; and all of them are counted

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when the drain process has moved bytes."""
        return self._link.fileno()

    @property
    def unread(self) -> int:
        """The number of bytes to read; at least one if some were lost, for the message about that."""
        later = 0 if self._later is None else len(self._later[1])
        return bytes_in(self._reader) + os.fstat(self._file).st_size - self._at + later + (self._lost > 0)

    def hear(self) -> None:
        """Process the messages of the drain process."""
        while self.drained:
            try:
                message = self._link.recv(COUNT.size + len(ANSWER))
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if message:
                self._lost += COUNT.unpack_from(message)[0]
                self._loses = self._loses or self._lost > 0
                self._answered = self._answered or message.endswith(ANSWER)
            else:
                self.drained = False

    def hear_all(self) -> None:
        """Process the messages about everything that the drain process has done so far."""
        list(map(call, lock_calls(_libc, self._file)))
        self.hear()
        if self._loses:  # then it may have more to report than there was room for here
            self._answered = False
            self._try(lambda: self._send(0))
            self._try(self._has_answer)

    def _has_answer(self) -> bool:
        self.hear()
        return self._answered or not self.drained

    def read(self) -> bytes:
        """Return the next bytes, at most a few chunks; empty if there are none."""
        data = self._next()
        if self._lost and self._at == os.fstat(self._file).st_size:
            data += b"\nruncast: %d bytes were lost here, the disk was full\n" % self._lost
            self._lost = 0
        return data

    def _next(self) -> bytes:
        if self._later is not None:
            end, later = self._later
            if self._at >= end:
                self._later = None
                return later
            return self._take(os.pread(self._file, min(CHUNK_BYTES, end - self._at), self._at))
        moved, direct, end = self._look()
        data = self._take(moved)
        if self._at >= end:
            return data + direct
        if direct:
            self._later = (end, direct)
        return data

    def _look(self) -> tuple[bytes, bytes, int]:
        """Return bytes of the spool, bytes of the pipe, and the offset in the spool that those follow.

        C functions called by a C function keep the GIL. Otherwise a thread could hold the lock while it
        waits for the GIL, and the holder of the GIL may be waiting for the drain process.
        """
        take, free = lock_calls(_libc, self._file)
        steps = (
            take,  # the other side holds it for the time of a write
            partial(_libc.pread, self._file, self._moved, CHUNK_BYTES, ctypes.c_int64(self._at)),
            partial(_libc.read, self._reader, self._direct, CHUNK_BYTES),
            partial(_libc.lseek, self._file, ctypes.c_int64(0), os.SEEK_END),
            free,
        )
        _, moved, direct, end, _ = list(map(call, steps))
        self.hear()  # of bytes that it took before and had to drop
        return (
            ctypes.string_at(self._moved, max(moved, 0)),
            ctypes.string_at(self._direct, max(direct, 0)),
            end,
        )

    def _take(self, data: bytes) -> bytes:
        """Note that bytes of the spool were read."""
        if data:
            self._at += len(data)
            self._acknowledge()
            self.hear()
            if self._at - self._punched >= _PUNCH_BYTES:
                length = ctypes.c_int64(self._at - self._punched)
                _libc.fallocate(self._file, _PUNCH_HOLE, ctypes.c_int64(self._punched), length)
                self._punched = self._at  # on a file system without holes, the file grows
        return data

    def _acknowledge(self) -> bool:
        return self._send(self._at)

    def _send(self, count: int) -> bool:
        try:
            self._link.send(COUNT.pack(count))
        except BlockingIOError:
            return False
        except OSError:  # the drain process is gone
            self.drained = False
        return True

    def stop(self) -> None:
        """Wake the thread that waits for more bytes."""
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Stop reading: the drain process writes further bytes to the real stream."""
        self._try(self._acknowledge)
        self.leave()

    def _try(self, do: Callable[[], object]) -> None:
        """Try something again and again, for a while."""
        until = time.monotonic() + _CLOSE_SECONDS
        while not do() and time.monotonic() < until:
            time.sleep(_PAUSE_SECONDS)

    def leave(self) -> None:
        """Close the descriptors of this process."""
        self._link.close()
        os.close(self._file)


def drained(reader: int, stream: int, folder: str | None) -> Spool | None:
    """Have the drain process empty a pipe when this process cannot; return None if that is impossible.

    Args:
        reader: the reading end, which must not block.
        stream: 1 or 2, the real stream, for bytes that are never read here.
        folder: where the spool is created; None for the folder of temporary files, `IN_MEMORY` for none.
    """
    with contextlib.ExitStack() as stack:
        try:
            theirs = _nameless(folder)
            stack.callback(os.close, theirs)
            ours = os.open(
                f"/proc/self/fd/{theirs}", os.O_RDWR | os.O_CLOEXEC
            )  # another lock of the same file
            kept = contextlib.ExitStack()
            stack.push(kept)
            kept.callback(os.close, ours)
            link, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.enter_context(other)
            kept.enter_context(link)
            link.setblocking(False)
            if not _is_open(stream):  # bytes for a closed stream are discarded
                stream = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
                stack.callback(os.close, stream)
            _hand_over([reader, theirs, other.fileno(), stream])
        except OSError:
            return None
        kept.pop_all()
        return Spool(reader, ours, link)


def _nameless(folder: str | None) -> int:
    if folder == IN_MEMORY:
        return in_memory(b"")
    where = tempfile.gettempdir() if folder is None else folder
    try:
        return os.open(where, os.O_RDWR | os.O_CLOEXEC | os.O_TMPFILE, 0o600)
    except OSError:  # a file system without unnamed files
        number, path = tempfile.mkstemp(dir=where)
        os.unlink(path)
        return number


_lock = threading.Lock()
_drain: socket.socket | None = None
_children: list[int] = []  # to be waited for


def _hand_over(fds: list[int]) -> None:
    global _drain
    with _lock:
        for last in (False, True):
            if _drain is None:
                _drain = _start()
            try:
                socket.send_fds(_drain, [b"!"], fds)
                return
            except OSError:  # it was killed
                _drain.close()
                _drain = None
                if last:
                    raise


def _start() -> socket.socket:
    """Start the drain process; it need not be up when this returns."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    number = duplicate(theirs.fileno(), _LEAST_NUMBER, inheritable=True)
    try:
        code = (
            f"import sys; sys.path.insert(0, {PACKAGE_ROOT!r}); "
            f"from runcast.sources.drain import main; main({number})"
        )
        closed = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3) if not _is_open(fd)]
        program = interpreter()
        child = os.posix_spawn(
            program,
            [program, "-I", "-S", "-X", "utf8", "-c", code],
            environment(),
            file_actions=closed,
            setsid=True,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(number)
    _children.append(child)
    ours.setblocking(False)
    return ours


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def reap() -> None:
    """Wait for the process that started the drain process, which ends at once."""
    while _children:
        with contextlib.suppress(IndexError, ChildProcessError):
            waitpid(_children.pop(), 0)


def _let_go() -> None:
    global _drain
    if _drain is not None:
        _drain.close()
        _drain = None


def _forget() -> None:
    """Drop the drain process in a forked child: it belongs to the parent."""
    global _lock
    _lock = threading.Lock()
    _children.clear()
    _let_go()


atexit.register(_let_go)
at_fork(_forget)

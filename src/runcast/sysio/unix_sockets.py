"""A Unix socket at a path of any length: its file, its permissions, what it may replace; a connection to it.

A file that nobody listens on any more, left by a process that was killed, is replaced; nothing else is.
Knows no protocol.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator

from runcast.sysio.locks import lock

__all__ = ["MOST_BYTES", "connect_path", "listening", "short_name"]

MOST_BYTES = 107  # of a path, unix(7): 108 with the NUL at the end
_PATH_BYTES = 100  # longer paths go through /proc


def short_name(path: str) -> tuple[str, int | None]:
    """Return a name for a path that fits into a socket address, and the descriptor it may need."""
    if len(os.fsencode(path)) <= _PATH_BYTES:
        return path, None
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{folder}/{os.path.basename(path)}", folder


def connect_path(path: str, timeout: float) -> socket.socket:
    """Return a connection to what listens at a path, with a timeout in seconds.

    Raises:
        OSError: nobody does.
    """
    name, folder = short_name(path)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(name)
    except BaseException:
        connection.close()
        raise
    finally:
        if folder is not None:
            os.close(folder)
    return connection


@contextlib.contextmanager
def listening(path: str, mode: int, backlog: int) -> Iterator[socket.socket]:
    """Give a socket that listens at an absolute path; at the end its file is removed.

    Args:
        path: of the file, in a folder that exists.
        mode: the permissions of the file, from its first moment on; who may write to it may connect.
        backlog: connections that may wait to be accepted.

    Raises:
        FileExistsError: another file is there.
        OSError: EADDRINUSE: a process listens there; else what bind(2) says.
    """
    made = None
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _alone_in(os.path.dirname(path)):
            _replace_stale(path)
            before = os.umask(0o777 & ~mode)
            try:
                one.bind(path)
            finally:
                os.umask(before)
            one.listen(backlog)
            made = os.lstat(path)
        yield one
    finally:
        one.close()
        with contextlib.suppress(OSError):  # another may have the path by now
            if made is not None and os.path.samestat(made, os.lstat(path)):
                os.unlink(path)


@contextlib.contextmanager
def _alone_in(folder: str) -> Iterator[None]:
    """Keep others off a folder: two that replace a stale file would remove each other's."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        lock(fd)
        yield
    finally:
        os.close(fd)


def _replace_stale(path: str) -> None:
    """Remove the socket of a process that is gone."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:  # its queue is full, so there is one
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)

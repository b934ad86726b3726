"""The other end of a connection: whether it is still there.

A client whose machine lost its power or its network says nothing, and the kernel would try to
reach it for a quarter of an hour. A viewer that reads nothing, because somebody paused `less`, is
another thing: its kernel goes on answering. TCP_USER_TIMEOUT knows no difference between the two,
so it is set only where a viewer holds a thread. Knows sockets, nothing of HTTP.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

__all__ = ["VANISHED_SECONDS", "keep_alive", "vanished"]

VANISHED_SECONDS = 25  # two heartbeats (30 s), and some time to look
_IDLE, _EVERY, _TIMES = 15, 4, 3  # keep-alive probes of a silent connection: seconds, seconds, how many
_UNANSWERED = 3  # packets sent anew, or probes, that nothing came back for
# tcp(7): eight bytes of which the third and fourth count what went unanswered; numbers of 32 bits,
# the fourteenth of which is the milliseconds since the last acknowledgement.
_INFO = struct.Struct("=2xBB4x48xI")


def keep_alive(connection: socket.socket | int, *, blocking: bool = False) -> None:
    """Have a silent connection probed.

    Args:
        connection: the socket or its descriptor; one that is not TCP is left as it is.
        blocking: give up sending too, for a thread waits for it meanwhile. Then a viewer that
            takes nothing for so long is cut as well.
    """
    options = [("TCP_KEEPIDLE", _IDLE), ("TCP_KEEPINTVL", _EVERY), ("TCP_KEEPCNT", _TIMES)]
    if blocking:
        options.append(("TCP_USER_TIMEOUT", VANISHED_SECONDS * 1000))
    with contextlib.suppress(OSError, ValueError), _tcp(connection) as tcp:  # it may be closed by now
        if tcp is None:
            return
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options:
            if (option := getattr(socket, name, None)) is not None:  # some systems have not all of them
                tcp.setsockopt(socket.IPPROTO_TCP, option, value)


@contextlib.contextmanager
def _tcp(connection: socket.socket | int) -> Iterator[socket.socket | None]:
    """Give the socket; None if it is not TCP. A descriptor stays its owner's."""
    found = socket.socket(fileno=connection) if isinstance(connection, int) else connection
    try:
        yield found if found.family in (socket.AF_INET, socket.AF_INET6) else None
    finally:
        if isinstance(connection, int):
            found.detach()


def vanished(connection: socket.socket | int) -> bool:
    """Return whether a client has answered nothing for so long that it is gone; False where nobody knows.

    Of one that is, the kernel keeps nothing when the connection is closed: nobody is there to take it.
    """
    with contextlib.suppress(OSError, ValueError), _tcp(connection) as tcp:  # closed already
        if tcp is None or not hasattr(socket, "TCP_INFO"):
            return False
        if _says_vanished(tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)):
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return True
    return False


def _says_vanished(info: bytes) -> bool:
    if len(info) < _INFO.size:
        return False
    resent, probes, silent = _INFO.unpack(info)
    return bool(max(resent, probes) >= _UNANSWERED and silent >= VANISHED_SECONDS * 1000)

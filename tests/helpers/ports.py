"""Ports for servers that are started by others: each is one test's own until its server listens.

The kernel gives a port that was closed to the next one who wants any, and it has a hundred tests'
servers to choose for at once. So a port is kept bound here, by a socket that does not listen: the
kernel gives it to nobody, clients are refused, and a server that sets `SO_REUSEADDR`, as all do, may
listen there (ip(7), socket(7)).
"""

import atexit
import collections
import socket

__all__ = ["free_port", "free_ports"]

_KEPT = 60
"""So many are kept by a process: by then the first of them are listened at, or their tests over."""

_held: collections.deque[socket.socket] = collections.deque()


@atexit.register
def _let_go() -> None:
    while _held:
        _held.popleft().close()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens at, and that nobody else is given for now."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    _held.append(holder)
    if len(_held) > _KEPT:
        _held.popleft().close()
    port: int = holder.getsockname()[1]
    return port


def free_ports(count: int) -> list[int]:
    """Return so many ports of that kind."""
    return [free_port() for _ in range(count)]

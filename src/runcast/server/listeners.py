"""Where the server listens: TCP, a Unix socket, or sockets that systemd opened before.

Owns the choice among the three, what the server is called there, and whether anybody beyond this machine
can connect. What is said on the sockets is not its matter.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from runcast.errors import UsageError
from runcast.server import addresses, systemd, unix_socket

__all__ = ["HOST", "PORT", "Listening", "Place", "listening"]

HOST, PORT = "127.0.0.1", 8765


class Place(NamedTuple):
    """Where to listen, as options say it.

    Attributes:
        host: an address or a name of this machine; None for the loopback, or for systemd's sockets.
        port: of TCP, 0 for any that is free; None for 8765, or for systemd's sockets.
        unix: the path of a Unix socket, instead.
        unix_mode: its permissions.
    """

    host: str | None = None
    port: int | None = None
    unix: str | None = None
    unix_mode: int = unix_socket.MODE


class Listening(NamedTuple):
    """Sockets that listen.

    Attributes:
        sockets: of any of the three kinds.
        names: by which clients call this server in `Host`, the best for a URL first.
        urls: of the server, the best first.
        outside: of the URLs that for other machines; the first where only this one connects.
        local: nothing but this machine can connect.
        place: where it is, for a message.
    """

    sockets: Sequence[socket.socket]
    names: Sequence[str]
    urls: Sequence[str]
    outside: str
    local: bool
    place: str


@contextlib.contextmanager
def listening(place: Place, *, scheme: str = "http") -> Iterator[Listening]:
    """Give the sockets, and close them at the end.

    Raises:
        UsageError: the options contradict each other, or systemd's sockets cannot be served on.
        CannotListen: the address or the path cannot be had.
    """
    given = systemd.inherited(os.environ)
    with contextlib.ExitStack() as stack:
        if given and place[:3] != (None, None, None):
            raise UsageError(
                "expected no --host, --port and --unix where systemd has opened the sockets (LISTEN_FDS): "
                "name the address in the .socket unit alone"
            )
        if place.unix is not None:
            if place.host is not None or place.port is not None:
                raise UsageError("expected --unix, or --host and --port, got both: choose one of them")
            sockets = [stack.enter_context(unix_socket.listen(place.unix, place.unix_mode))]
            where = place.unix
        elif given:
            sockets, where = given, "the sockets of systemd"
        else:
            host = HOST if place.host is None else place.host
            sockets = addresses.listen(host, PORT if place.port is None else place.port)
            where = host
        for one in sockets:
            stack.callback(one.close)
        yield _described(sockets, place.host, where, scheme)


def _described(sockets: Sequence[socket.socket], host: str | None, where: str, scheme: str) -> Listening:
    of_tcp = [one for one in sockets if one.family != socket.AF_UNIX]
    paths = [os.fsdecode(one.getsockname()) for one in sockets if one.family == socket.AF_UNIX]
    urls = [unix_socket.url(path) for path in paths]
    outside = next(iter(urls), "")
    names = list(addresses.LOOPBACK_NAMES)
    local = not of_tcp or addresses.is_loopback(of_tcp)
    if of_tcp:
        names = addresses.names(host or addresses.bound(of_tcp)[0], of_tcp)
        shown = names[:1] if local else names
        port = of_tcp[0].getsockname()[1]
        urls = [*(addresses.url(name, port, scheme) for name in shown), *urls]
        outside = addresses.url(addresses.for_others(shown), port, scheme)
    return Listening(sockets, names, urls, outside, local, where)

"""Sockets from systemd, and what systemd hears from the server.

Owns the two protocols, sd_listen_fds(3) and sd_notify(3), each a few lines: a library for them would
be a dependency of a whole package on libsystemd. Their variables are taken out of the environment, for
runs inherit it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping

from runcast.errors import UsageError

__all__ = ["Notifier", "inherited"]

_FIRST = 3  # SD_LISTEN_FDS_START
_MOST = 64
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


def inherited(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """Return the sockets that systemd has opened for this process, and clean the environment of them.

    Raises:
        UsageError: they are no sockets that listen for streams.
    """
    values = {name: environment.pop(name, "") for name in _VARIABLES}
    if values["LISTEN_PID"] != str(os.getpid()):  # of a parent, which did not clean its environment
        return []
    count = values["LISTEN_FDS"]
    if not (count.isascii() and count.isdigit() and int(count) <= _MOST):
        raise UsageError(f"expected LISTEN_FDS as a number of at most {_MOST}, got {count!r:.40}")
    names = dict(enumerate(values["LISTEN_FDNAMES"].split(":"), _FIRST))
    return [_listening(fd, names.get(fd, "")) for fd in range(_FIRST, _FIRST + int(count))]


def _listening(fd: int, name: str) -> socket.socket:
    which = f"the descriptor {fd} of systemd ({name or 'without a name'})"
    os.set_inheritable(fd, False)
    try:
        one = socket.socket(fileno=fd)
    except OSError:
        raise UsageError(f"expected a socket as {which}, got another file: use ListenStream=") from None
    if one.type != socket.SOCK_STREAM:
        raise UsageError(f"expected a stream socket as {which}, got another: use ListenStream=")
    if not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise UsageError(f"expected a listening socket as {which}, got a connection: use Accept=no")
    one.setblocking(False)
    return one


class Notifier:
    """Tells systemd what the server does, where a unit of `Type=notify` wants to hear it.

    Args:
        environment: has `NOTIFY_SOCKET`, or nobody listens.
    """

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        path = environment.pop("NOTIFY_SOCKET", "")
        # An abstract socket is written with an @ for its NUL.
        self._address = f"\0{path[1:]}" if path.startswith("@") else path

    def tell(self, *lines: str) -> None:
        """Send assignments such as READY=1; a service manager that is gone is none of our faults."""
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.sendto("\n".join(lines).encode(), self._address)

"""A Unix socket to serve on: for a proxy on this machine, without any port.

Owns its address, and the sentences about a path that cannot be had.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from urllib.parse import quote

from runcast.errors import UsageError
from runcast.server.addresses import BACKLOG, CannotListen
from runcast.sysio.unix_sockets import MOST_BYTES, listening

__all__ = ["MODE", "listen", "url"]

MODE = 0o600  # this user alone
_REASONS = {
    errno.EADDRINUSE: "a server listens there already: use another path",
    errno.EEXIST: (
        "expected nothing there or the socket of a server that is gone, got another file: "
        "use another path, or move it away"
    ),
    errno.ENOENT: "there is no such folder: make it first",
    errno.EACCES: "this user may not: choose a folder of its own",
}


@contextlib.contextmanager
def listen(path: str, mode: int = MODE) -> Iterator[socket.socket]:
    """Give a socket that listens at a path; at the end its file is removed.

    Args:
        path: of the file, in a folder that exists.
        mode: the permissions of the file; who may write to it may connect (unix(7)).

    Raises:
        UsageError: the path is too long.
        CannotListen: a server listens there, something else is there, or it cannot be made.
    """
    path = os.path.abspath(path)
    if (length := len(os.fsencode(path))) > MOST_BYTES:
        raise UsageError(
            f"expected --unix as a path of at most {MOST_BYTES} bytes (unix(7)), got {length}: "
            "choose a folder such as /run/runcast"
        )
    with contextlib.ExitStack() as stack:
        try:
            one = stack.enter_context(listening(path, mode, BACKLOG))
        except OSError as error:
            reason = _REASONS.get(error.errno or 0, (error.strerror or str(error)).lower())
            raise CannotListen(f"cannot listen on {path}: {reason}") from None
        one.setblocking(False)
        yield one


def url(path: str) -> str:
    """Return the address of a server at a path, as `runcast --server` takes it."""
    return f"unix://{quote(path)}"

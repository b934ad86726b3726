"""What a process needs in order to supervise, whichever run it will be.

Owns what is made before there is a run: being a subreaper in a session of its own, taking SIGCHLD,
the watch on memory, and a socket that lacks nothing but its name. So a start does not wait for it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable

from runcast.supervisor.control import unnamed_listener
from runcast.supervisor.oom import Group, OomWatch
from runcast.supervisor.tree import become_subreaper

__all__ = ["Prepared"]


class Prepared:
    """This process, made a supervisor. For its main thread, once.

    Args:
        group: the memory cgroup of this process; see `OomWatch`.
        make_room: gives up a process that is not needed now, and returns whether there was one.

    Attributes:
        exits: a descriptor that is readable when a child may have ended.
        oom: what this process knows of memory running out.
    """

    def __init__(self, group: Group, make_room: Callable[[], bool] = lambda: False) -> None:
        os.setsid()
        become_subreaper()
        self.exits, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # It ends with its run; nothing less than SIGKILL ends it before.
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self.oom = OomWatch(group)
        self.make_room = make_room
        self._listener: socket.socket | None = None

    def refill(self) -> None:
        """Make what the last run has used, before the next one is there; if that fails, it is made then."""
        if self._listener is None:
            with contextlib.suppress(OSError):
                self._listener = unnamed_listener()

    def listener(self) -> socket.socket:
        """Return a socket for `listen_at`."""
        listener, self._listener = self._listener, None
        return listener or unnamed_listener()

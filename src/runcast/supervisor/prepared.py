"""What a process needs in order to supervise, whichever run it will be.

Owns what is made before there is a run: being a subreaper in a session of its own, taking SIGCHLD,
the watch on memory, and a socket that lacks nothing but its name. So a start does not wait for it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from runcast.supervisor.control import unnamed_listener
from runcast.supervisor.oom import Group, OomWatch
from runcast.supervisor.tree import become_subreaper

if TYPE_CHECKING:
    from runcast.supervisor.control import UnixSocket

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
        # Not by `signal`, which makes enums of what was set before: 0.2 MiB of each supervisor.
        _signal.signal(_signal.SIGCHLD, _woken)
        for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
            # It ends with its run; nothing less than SIGKILL ends it before.
            _signal.signal(number, _signal.SIG_IGN)
        _signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self.oom = OomWatch(group)
        self.make_room = make_room
        self._listener: UnixSocket | None = None

    def refill(self) -> None:
        """Make what the last run has used, before the next one is there; if that fails, it is made then."""
        if self._listener is None:
            try:
                self._listener = unnamed_listener()
            except OSError:
                pass

    def listener(self) -> UnixSocket:
        """Return a socket for `listen_at`."""
        listener, self._listener = self._listener, None
        return listener or unnamed_listener()


def _woken(_number: int, _frame: object) -> None:
    """Do nothing at a SIGCHLD: the wakeup descriptor has it."""

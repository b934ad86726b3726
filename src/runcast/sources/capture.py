"""Which printer the code that prints now prints to: the one of the run that it belongs to.

A run is a value of `current`, a context variable, so tasks follow by themselves; threads and
executors' jobs are made to (follow.py). The standard streams stay the objects that they are and
get their methods replaced, on the very object and only while a run is active (streams.py): who
bound `sys.stdout` long ago is captured as well, and code outside pays nothing when nothing runs.
"""

from __future__ import annotations

import atexit
import os
import threading
from types import TracebackType

from runcast.model import Channel
from runcast.sources import follow, streams
from runcast.sources.follow import Sink, current

__all__ = ["Sink", "begin", "capturing", "current", "end", "install", "installed", "uninstall"]

_NAMES = (
    ("stdout", Channel.STDOUT),
    ("stderr", Channel.STDERR),
    ("__stdout__", Channel.STDOUT),
    ("__stderr__", Channel.STDERR),
)

_lock = threading.RLock()
_active: dict[int, list[Sink]] = {}  # by id: a sink may begin more than once


class capturing:
    """Send what this context prints to `sink`, and what the threads and tasks begun in it print."""

    __slots__ = ("_sink", "_token")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def __enter__(self) -> None:
        begin(self._sink)
        self._token = current.set(self._sink)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            current.reset(self._token)
        finally:
            end(self._sink)


def begin(sink: Sink) -> None:
    """Have the streams ask for the current sink, from now until `end`.

    `capturing` does so; a run whose code is called again and again begins and ends once, and
    only sets `current` around each call.
    """
    with _lock:
        install()
        others = [sinks[0] for key, sinks in _active.items() if key != id(sink)]
        for name, channel in _NAMES:
            streams.patch(name, channel, others)
        _active.setdefault(id(sink), []).append(sink)


def end(sink: Sink) -> None:
    """Undo one `begin`; with the last one the streams get their own methods back."""
    with _lock:
        sinks = _active.get(id(sink))
        if sinks:
            sinks.pop()
            if not sinks:
                del _active[id(sink)]
        if not _active:
            streams.restore()


def install() -> None:
    """Have threads and jobs follow the run that starts them. The first run does so by itself."""
    with _lock:
        follow.install()


def installed() -> bool:
    """Whether anything of ours is in place."""
    return follow.installed()


def uninstall() -> None:
    """Give the streams, threads and executors their own methods back, also while runs are active.

    What those print from now on goes where it would go without a run. The next run installs again.
    """
    with _lock:
        _active.clear()
        streams.restore()
        follow.uninstall()


def _before_fork() -> None:
    """Have a pipe ready if the code that forks belongs to a run: a child must not write its log."""
    _lock.acquire()  # so that the child finds things whole
    sink = current.get()
    if sink is not None:
        for channel in (Channel.STDOUT, Channel.STDERR):
            try:
                sink.fileno(channel)
            except (OSError, ValueError):  # closed, or no descriptors left: the child prints elsewhere
                break


def _in_parent() -> None:
    _lock.release()


def _in_child() -> None:
    global _lock
    _lock = threading.RLock()


# What is printed later goes to the streams themselves: who could still append it is gone by then.
atexit.register(uninstall)
os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)

"""Capture of prints: code prints to the printer of the run that it belongs to.

The current run is the value of `current`, a context variable, which tasks inherit. Threads and jobs of
executors get it by run_context.py, and code that takes its work from a queue by handover.py. The standard
streams stay the same objects; their methods are replaced only while a run is active (standard_streams.py). So
code that bound `sys.stdout` long ago is captured as well, and without runs there is no overhead.
"""

from __future__ import annotations

import atexit
import threading
from types import TracebackType

from runcast.model import Channel
from runcast.sources import numbers, programs, queues, redirects, run_context
from runcast.sources.run_context import Sink, current
from runcast.sysio.forks import at_fork

__all__ = ["Sink", "begin", "capturing", "current", "end", "forget", "install", "installed", "uninstall"]


class capturing:
    """Send the prints of this context to `sink`, and those of threads and tasks started in it."""

    __slots__ = ("_sink", "_tokens")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def __enter__(self) -> None:
        begin(self._sink)
        try:
            self._tokens = run_context.enter(self._sink)
        except BaseException:
            end(self._sink)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        redirects.flush(self._sink)  # inside the run, since its text may be for the run's own streams
        try:
            run_context.leave(self._tokens)
        finally:
            end(self._sink)


def begin(sink: Sink) -> None:
    """Make the streams dispatch to the current sink, until `end`.

    `capturing` does that; a run whose code is called repeatedly begins and ends once, and only sets
    `current` around each call.
    """
    with redirects.lock:
        install()
        queues.install()
        programs.install()
        redirects.begin(sink)


def end(sink: Sink) -> None:
    """Undo one `begin`; the last one restores the streams."""
    with redirects.lock:
        if redirects.end(sink):
            queues.restore()
            programs.restore()


def forget(sink: Sink) -> None:
    """Undo a run's assignments to `sys.stdout` and `sys.stderr` after its end."""
    redirects.forget(sink)


def install() -> None:
    """Make threads and jobs belong to the run that starts them. The first run does this automatically."""
    with redirects.lock:
        run_context.install(queues.refresh)


def installed() -> bool:
    """Whether anything is patched."""
    return run_context.installed()


def uninstall() -> None:
    """Restore the streams, threads and executors, even while runs are active.

    Further prints of those runs go to the process's own streams. The next run patches again.
    """
    with redirects.lock:
        redirects.clear()
        queues.uninstall()
        programs.restore()
        run_context.uninstall()
        numbers.unwatch()


def _before_fork() -> None:
    """Create a pipe if the code that forks belongs to a run: a child must not write to the log."""
    redirects.lock.acquire()  # so that the child gets a consistent state
    sink = current.get()
    if sink is not None:
        for channel in (Channel.STDOUT, Channel.STDERR):
            try:
                sink.fileno(channel)
            except (OSError, ValueError):  # closed, or out of descriptors: the child is not captured
                break


def _in_parent() -> None:
    redirects.lock.release()


def _in_child() -> None:
    redirects.lock = threading.RLock()


# Later prints go to the streams themselves: nothing can append them any more.
atexit.register(uninstall)
at_fork(_in_child, before=_before_fork, in_parent=_in_parent)

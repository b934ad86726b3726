"""Several processes for one server: a parent that opens the sockets, and workers that serve on them.

Owns the parent: it forks the workers, starts another for one that dies, and ends them all together. It has
one thread and no event loop, reads no store and answers nobody, so that there is little in it that could
fail, and every fork is of the same clean state. Workers are forked and not started anew: what was imported is
in memory once, and all have the same keys for TLS sessions, so a client goes on with any of them. They are
not forked by `multiprocessing`, which reaps all that have ended when it starts another: what they took would
not be known.

A worker that cannot even begin ends the server, with its reason: the next one could not either. Once all
have served it is tried again, as long as another serves: what hinders one for a while must not end them.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

from runcast.errors import RuncastError
from runcast.server.process_metrics import cpu_seconds
from runcast.server.scoreboard import Scoreboard, Worker

__all__ = ["Report", "WorkerFailed", "Workers"]

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STOP_SECONDS = 10.0  # a worker takes some 2 s at most to end; what is stuck is killed
_SHORT_SECONDS, _PAUSE_SECONDS = 5.0, 1.0  # for one that lived so short the next one waits
_REASON_BYTES = 2000

log = logging.getLogger("runcast.server")


class WorkerFailed(RuncastError):
    """A worker could not begin to serve."""


class Report:
    """What a worker tells its parent, and how it learns that its parent is gone.

    Args:
        fd: to write to.
        parent: at its end when the parent is gone.
    """

    def __init__(self, fd: int, parent: int) -> None:
        self._fd, self.parent = fd, parent

    @property
    def pending(self) -> bool:
        """Whether it has said nothing yet."""
        return self._fd >= 0

    def ready(self) -> None:
        """Tell that it serves."""
        self._write(b"")

    def failed(self, error: BaseException) -> None:
        """Tell why it does not."""
        reason = str(error) if isinstance(error, RuncastError) else f"{type(error).__name__}: {error}"
        self._write(reason.encode()[:_REASON_BYTES])

    def _write(self, reason: bytes) -> None:
        fd, self._fd = self._fd, -1
        with contextlib.suppress(OSError):
            os.write(fd, reason + b"\n")
        os.close(fd)


class _Child:
    """One worker, as its parent sees it."""

    def __init__(self, number: int, pid: int, report: int) -> None:
        self.number, self.pid, self.report = number, pid, report
        self.began = time.monotonic()
        self.ready = False
        self.reason = ""  # it could not begin

    def read(self) -> None:
        """Read its report, which it writes in one piece."""
        text = os.read(self.report, _REASON_BYTES + 1)
        self.ready, self.reason = text == b"\n", text.decode(errors="replace").rstrip("\n")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


class Workers:
    """All workers of a server.

    Args:
        board: for what they know of each other, and how many they are.
        work: serves, in a worker, until a signal ends it.
        ready: is called once all serve.
    """

    def __init__(
        self, board: Scoreboard, work: Callable[[Worker, Report], None], ready: Callable[[], None]
    ) -> None:
        self._board, self._work, self._ready = board, work, ready
        self._children: dict[int, _Child] = {}  # by number
        self._due: dict[int, float] = {}  # when those that ended are started anew, by number
        self._selector = selectors.DefaultSelector()
        self._announced = False
        self._failed = ""
        self._kill_at: float | None = None  # the workers are ending, and are killed then
        self._lifeline = os.pipe()  # nobody writes to it: it ends with the parent
        self._signals = socket.socketpair()

    def run(self) -> None:
        """Serve until a signal ends it.

        Raises:
            WorkerFailed: one could not begin.
        """
        gc.collect()
        gc.freeze()  # a collection would write to each object, and so to each shared page
        for one in self._signals:
            one.setblocking(False)
        self._selector.register(self._signals[0], selectors.EVENT_READ)
        with self._catching() as self._before:
            now = time.monotonic()
            self._due = dict.fromkeys(range(self._board.workers), now)
            try:
                while self._children or (self._due and self._kill_at is None):
                    self._start_due()
                    self._wait()
                    while self._reap():
                        pass
            finally:  # an error, as where the first line cannot be printed
                self._end_all()
        if self._failed:
            raise WorkerFailed(self._failed)

    @contextlib.contextmanager
    def _catching(self) -> Iterator[dict[signal.Signals, signal.Handlers]]:
        """Have signals wake the loop below; give the handlers that there were."""
        heeded = [one for one in _ENDING if signal.getsignal(one) != signal.SIG_IGN]  # nohup ignores one
        before = {one: signal.signal(one, lambda *_: None) for one in (*heeded, signal.SIGCHLD)}
        signal.set_wakeup_fd(self._signals[1].fileno(), warn_on_full_buffer=False)
        try:
            yield before  # type: ignore[misc]
        finally:
            signal.set_wakeup_fd(-1)
            for one, handler in before.items():
                signal.signal(one, handler)

    # Starting

    def _start_due(self) -> None:
        for number, due in list(self._due.items()):
            if self._kill_at is None and due <= time.monotonic():
                self._start(number)

    def _start(self, number: int) -> None:
        # One that ends the server must not come while handlers and their pipe are the parent's.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            pid, read = self._forked(number)
        except OSError as error:  # there are too many processes, or open files
            self._lack(number, f"a worker cannot be started: {error.strerror}", final=not self._announced)
            return
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        del self._due[number]
        child = self._children[number] = _Child(number, pid, read)
        self._board.came(number, child.pid)
        self._selector.register(read, selectors.EVENT_READ, child)

    def _forked(self, number: int) -> tuple[int, int]:
        read, write = os.pipe()
        try:
            pid = os.fork()
            if pid == 0:
                self._in_child(number, write)
        except OSError:
            os.close(read)
            raise
        finally:
            os.close(write)
        return pid, read

    def _in_child(self, number: int, write: int) -> NoReturn:
        report, code = Report(write, self._lifeline[0]), 1
        try:
            self._leave_parent()
            self._work(Worker(self._board, number), report)
            for thread in threading.enumerate():
                if thread is not threading.current_thread() and not thread.daemon:
                    thread.join()
            code = 0
        except BaseException as error:
            if report.pending:
                report.failed(error)
            elif not isinstance(error, KeyboardInterrupt):
                log.exception("worker %d ended by an error", number)
        finally:  # nothing of what the parent would do at its own end
            os._exit(code)

    def _leave_parent(self) -> None:
        """Let go of what is the parent's, in a worker."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._selector.close()
        for child in self._children.values():
            if child.report >= 0:
                os.close(child.report)
        os.close(self._lifeline[1])
        for one in self._signals:
            one.close()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)

    # Waiting

    def _wait(self) -> None:
        times = [*self._due.values()] if self._kill_at is None else [self._kill_at]
        timeout = max(min(times) - time.monotonic(), 0.0) if times else None
        for key, _ in self._selector.select(timeout):
            if isinstance(key.data, _Child):
                self._selector.unregister(key.data.report)
                key.data.read()
                os.close(key.data.report)
                key.data.report = -1
            else:
                self._heed_signals()
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._stop(again=True)
        if not self._announced and len(self._children) == self._board.workers:
            if all(child.ready for child in self._children.values()):
                self._announced = True
                self._ready()

    def _heed_signals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in self._signals[0].recv(4096):
                if number != signal.SIGCHLD:
                    self._stop(again=self._kill_at is not None and number == signal.SIGINT)

    def _stop(self, *, again: bool = False) -> None:
        """End all workers; kill them where it is the second time."""
        if self._kill_at is None:
            self._kill_at = time.monotonic() + _STOP_SECONDS
        elif not again:
            return
        for child in self._children.values():
            child.signal(signal.SIGKILL if again else signal.SIGTERM)

    def _lack(self, number: int, reason: str, *, final: bool) -> None:
        """Try again later to start a worker, or end the server for want of it."""
        if final:
            self._failed = self._failed or reason
            self._stop()
        else:
            log.warning("%s; it is tried again", reason)
            self._due[number] = time.monotonic() + _PAUSE_SECONDS

    def _end_all(self) -> None:
        """Kill the workers that there still are."""
        for child in self._children.values():
            child.signal(signal.SIGKILL)
            os.waitpid(child.pid, 0)

    def _reap(self) -> bool:
        """Reap workers that have ended; return whether to look again, since signals were read meanwhile."""
        before = len(self._children)
        for number, child in list(self._children.items()):
            if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            self._board.went(number, cpu_seconds(child.pid))  # before it is reaped: then nothing is known
            how = _how(os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1]))
            del self._children[number]
            self._heed_signals()  # one that ended it has come to this process as well, as from a terminal
            if child.report >= 0:
                self._selector.unregister(child.report)
                child.read()
                os.close(child.report)
            if self._kill_at is not None:
                continue
            if not child.ready:
                alone = child.reason and not any(other.ready for other in self._children.values())
                reason = f"a worker cannot serve: {child.reason or f'it {how} before it had begun'}"
                self._lack(number, reason, final=not self._announced or bool(alone))
                continue
            log.warning("worker %d (process %d) %s: another is started, runs go on", number, child.pid, how)
            now = time.monotonic()
            self._due[number] = now + (_PAUSE_SECONDS if now - child.began < _SHORT_SECONDS else 0.0)
        return len(self._children) < before


def _how(code: int) -> str:
    """Return how a process ended, for a sentence."""
    if code >= 0:
        return f"ended with code {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"

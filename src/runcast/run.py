"""A run, as its users see it: follow it, wait for it, stop it.

Owns the blocking face; `runcast.aio.AsyncRun` is the awaiting one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from signal import SIGKILL, SIGTERM
from types import TracebackType
from typing import Literal, Unpack, overload

from runcast.errors import RunFinished, UsageError
from runcast.model import Chunk, Outcome
from runcast.readers import drive
from runcast.readers.text import text_of
from runcast.run_base import Channels, Place, RunBase
from runcast.supervisor.owner import runs_in

__all__ = ["Channels", "Place", "Run"]


class Run(RunBase):
    """A run. Waiting blocks the calling thread."""

    def follow(
        self, *, channel: Channels = None, timeout: float | None = None, **place: Unpack[Place]
    ) -> Iterator[Chunk | None]:
        """Yield chunks as they come, from the beginning or another place, until the log is closed.

        Args:
            channel: only this channel, or these.
            timeout: yield None whenever nothing came for so many seconds.
            place: where to begin, one of `offset`, `tail`, `tail_bytes`, `line`, `since`; see `Place`.

        Raises:
            OffsetBeyondTail, OffsetGone: `offset` cannot be read.
        """
        self._check_thread()
        return drive(self._follow_steps(timeout, channel, **place))

    def lines(
        self, *, channel: Channels = None, timeout: float | None = None, **place: Unpack[Place]
    ) -> Iterator[str | None]:
        """Yield lines as they come, without their LF or CRLF; see `follow` for where to begin.

        With `timeout`, None is yielded whenever nothing came for so many seconds.
        """
        self._check_thread()
        return drive(self._line_steps(self._follow_steps(timeout, channel, **place)))

    @overload
    def output(
        self,
        *,
        channel: Channels = None,
        encoding: str = "utf-8",
        timeout: float | None = None,
        check: bool | None = None,
    ) -> str: ...

    @overload
    def output(
        self,
        *,
        channel: Channels = None,
        encoding: None,
        timeout: float | None = None,
        check: bool | None = None,
    ) -> bytes: ...

    def output(
        self,
        *,
        channel: Channels = None,
        encoding: str | None = "utf-8",
        timeout: float | None = None,
        check: bool | None = None,
    ) -> str | bytes:
        """Wait for the end and return all output, stdout and stderr as they came, or one `channel`.

        Args:
            channel: only this channel, or these.
            encoding: None returns bytes; what is invalid is replaced.
            timeout: seconds to wait for the end at most.
            check: raise `RunFailed` unless the outcome is ok; by default what `start` was told.

        Raises:
            WaitTimeout, RunFailed: see `wait`.
        """
        self.wait(timeout=timeout, check=check)
        chunks = self.follow(channel=channel)
        return b"".join(one.data for one in chunks if one) if encoding is None else text_of(chunks, encoding)

    def wait(self, *, timeout: float | None = None, check: bool | None = None) -> Outcome:
        """Wait for the end and return the outcome.

        Args:
            timeout: seconds to wait at most.
            check: raise `RunFailed` unless the outcome is ok; by default what `start` was told.

        Raises:
            WaitTimeout: it did not end in time; the run goes on.
            RunFailed: `check`, and it was not ok.
        """
        self._check_thread()
        return self._judge(next(drive(self._wait_steps(timeout)), None), timeout, check)

    def stop(self, *, grace: float = 5.0, signal: int = SIGTERM) -> None:
        """Ask the run to end; kill all of it if it has not within `grace` seconds. Does not wait.

        Raises:
            RunFinished, SupervisorLost: it has ended already; its supervisor does not answer.
        """
        self._control(self._stop_request(grace, signal))

    def kill(self) -> None:
        """Kill the run and everything it started, at once. Does not wait. Raises what `stop` does."""
        self._control(self._stop_request(0, SIGKILL))

    def signal(self, number: int) -> None:
        """Send a signal to the run's process group. Raises what `stop` does."""
        self._control(self._signal_request(number))

    def send(self, data: bytes | str, *, eof: bool = False) -> None:
        """Write to the run's stdin (`start(stdin="pipe")`); returns when the program has taken it.

        With `eof`, its input ends behind `data`. Raises what `stop` does, also where it reads no stdin.
        """
        self._control({"op": "stdin", "eof": eof}, data.encode() if isinstance(data, str) else data)

    def _check_thread(self) -> None:
        """Refuse to block the event loop in which this very run is a task: neither would ever go on."""
        loop = runs_in(self.directory.path)
        if loop is not None and sys.modules["asyncio"]._get_running_loop() is loop:
            raise UsageError(
                f"expected run {self.id}, a task of this event loop, to be awaited: start it with "
                "`await runcast.aio.start(...)`, which gives a run to await"
            )

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        """Wait for the end; stop the run first if the block was left by an error."""
        if kind is not None and not self.closed:
            try:
                self.stop()
            except RunFinished:
                return False
        if kind is None:
            self.wait()
        else:
            self.wait(check=False)
        return False

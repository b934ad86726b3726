"""Stay with a run that this terminal started: show its output, pass on Ctrl-C and what is typed.

Owns the signals. Ctrl-C is for the run, so it is asked to end, then killed; SIGTERM and SIGHUP
are for us, so the run goes on without us. A signal that was ignored when we began (nohup, a
shell's background) stays ignored. Handlers act in a thread of their own and raise nothing while
a run is being started: half a start would leave a run that nobody knows.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType, TracebackType

from runcast.cli import exit_codes
from runcast.cli.runs import tell_outcome
from runcast.cli.terminal import Output, OutputClosed, OutputFailed, tell
from runcast.cli.where import AnyRun
from runcast.errors import RuncastError, RunFinished, ServerUnreachable
from runcast.model import CHUNK_BYTES
from runcast.own_thread import begin

__all__ = ["Attendance", "forward_stdin"]

GRACE = 5.0  # seconds between the first Ctrl-C and the end, however the command takes it
_FOR_US = (signal.SIGTERM, signal.SIGHUP)


class _Left(Exception):
    """A signal told us to go."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Attendance:
    """Takes the signals from before the start of a run (`with`) until its end (`stay`).

    Args:
        option: what names the place of the run on a command line, for telling how to come back.
        safe: leave out of the output what a terminal would obey.
    """

    def __init__(self, option: str, *, safe: bool = False) -> None:
        self._option = option
        self._safe = safe
        self._run: AnyRun | None = None  # while it may be acted upon
        self._interrupts = 0
        self._acted = 0
        self._leave: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Attendance:
        for number, handler in (
            (signal.SIGINT, self._on_interrupt),
            *((one, self._on_leave) for one in _FOR_US),
        ):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() gave

    def stay(self, run: AnyRun) -> int:
        """Show the output of the run until there is no more; return what to exit with."""
        self._run = run
        try:
            if self._leave is not None:  # told while it was being started
                raise _Left(self._leave)
            self._act()
            output = Output(safe=self._safe)
            for chunk in run.follow():
                if chunk is not None:
                    output.show(chunk)
            output.end()
            self._run = None
        except _Left as left:
            self._run = None
            tell(f"run {run.id} goes on; {self._hint(run)}")
            return exit_codes.SIGNALED + left.number
        except OutputClosed:
            return self._abandon(run)
        except OutputFailed as error:
            self._run = None
            tell(f"{error}; run {run.id} goes on; {self._hint(run)}")
            return exit_codes.ERROR
        except ServerUnreachable as error:
            self._run = None
            tell(f"{error}; {self._hint(run)}")
            return exit_codes.ERROR
        outcome = run.wait(check=False)
        tell_outcome(run, outcome)
        return exit_codes.INTERRUPTED if self._interrupts else exit_codes.of_outcome(outcome)

    def _abandon(self, run: AnyRun) -> int:
        """Stop the run as a pipeline stops whose reader left."""
        with contextlib.suppress(RunFinished):
            run.stop(grace=GRACE)
        with contextlib.suppress(_Left):
            run.wait(check=False)
        return exit_codes.BROKEN_PIPE

    def _hint(self, run: AnyRun) -> str:
        return f"`runcast {self._option}follow {run.id}` follows it"

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupts += 1
        if self._run is not None:
            self._act()
        if self._interrupts > 2:  # a terminal that takes nothing must not hold us
            raise KeyboardInterrupt

    def _on_leave(self, number: int, frame: FrameType | None) -> None:
        self._leave = number
        if self._run is not None:
            raise _Left(number)

    def _act(self) -> None:
        """Stop the run for the first Ctrl-C, kill it for the second."""
        if self._run is None or self._interrupts <= self._acted:
            return
        self._acted = self._interrupts
        if self._interrupts == 1:
            tell(f"stopping run {self._run.id}; killing it in {GRACE:g} s, or at once with another Ctrl-C")
        elif self._interrupts == 2:
            tell(f"killing run {self._run.id}")
        acted = self._run, self._interrupts
        try:
            threading.Thread(target=self._end, args=acted, daemon=True).start()
        except RuntimeError:  # too many threads: then here, which the output has to wait for
            self._end(*acted)

    @staticmethod
    def _end(run: AnyRun, interrupts: int) -> None:
        try:
            if interrupts == 1:
                run.stop(grace=GRACE, signal=signal.SIGINT)  # what the terminal would have sent it
            else:
                run.kill()
        except RunFinished:
            pass
        except RuncastError as error:
            tell(str(error))


def forward_stdin(run: AnyRun, *, wait: bool = False) -> None:
    """Send the run what is typed here, from a thread, until either side has enough.

    With `wait` it returns then, for somebody who will not stay.
    """
    if wait:
        _forward(run)
    else:
        begin(threading.Thread(target=_forward, args=(run,), name="stdin", daemon=True))


def _forward(run: AnyRun) -> None:
    data = b"begin"
    try:
        while data:
            data = os.read(0, CHUNK_BYTES)
            run.send(data, eof=not data)
    except (OSError, RunFinished):  # the terminal is gone; the run reads no more
        pass
    except RuncastError as error:
        tell(f"the run gets no more of the input: {error}")

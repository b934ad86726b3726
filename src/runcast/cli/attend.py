"""Attend a run that this terminal started: show its output, forward Ctrl-C and stdin.

Owns the signals. Ctrl-C is for the run, which is stopped, then killed; SIGTERM and SIGHUP end this
process only, and the run continues. A signal that was ignored at the start (nohup, a shell's
background job) stays ignored. Handlers act in a thread of their own and raise nothing while a run is
being started: an interrupted start would leave a run whose id is unknown.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from runcast.cli import exit_codes
from runcast.cli.runs import report_outcome
from runcast.cli.terminal import OutputClosed, OutputFailed, TerminalOutput, report
from runcast.errors import RuncastError, RunFinished, ServerUnreachable
from runcast.model import CHUNK_BYTES
from runcast.own_thread import begin

if TYPE_CHECKING:
    from runcast.cli.any_runs import AnyRun

__all__ = ["Attendance", "forward_stdin"]

SILENCE = 3.0  # seconds without output, after which there may be a hint
GRACE = 5.0  # seconds between the first Ctrl-C and the end, however the command takes it
_FOR_US = (signal.SIGTERM, signal.SIGHUP)


class _Left(Exception):
    """A signal ends this process, but not the run."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Attendance:
    """Handles the signals from before the start of a run (`with`) until its end (`stay`).

    Args:
        option: the option that selects the store or server, for the hint how to follow the run again.
        safe: remove control sequences from the output.
        hint: returns why a run may be silent. It is called after some seconds of silence, until there
            is a hint; None for never.
    """

    def __init__(
        self, option: str, *, safe: bool = False, hint: Callable[[AnyRun], str | None] | None = None
    ) -> None:
        self._option = option
        self._safe = safe
        self._look_for_hint = hint
        self._run: AnyRun | None = None  # set while signals act on it
        self._place: int | None = None  # in its queue, as reported
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
        """Show the output of the run until its end; return the exit code."""
        self._run = run
        try:
            if self._leave is not None:  # a signal came while it was being started
                raise _Left(self._leave)
            self._act()
            with TerminalOutput(safe=self._safe, tty=run.tty) as output:
                line_ended = True
                for chunk in run.follow(timeout=None if self._look_for_hint is None else SILENCE):
                    if chunk is not None:
                        output.show(chunk)
                        line_ended = chunk.data.endswith(b"\n")
                    else:
                        self._hint_at(run, line_ended)
            self._run = None
        except _Left as left:
            self._run = None
            report(f"run {run.id} continues; {self._hint(run)}")
            return exit_codes.SIGNALED + left.number
        except OutputClosed:
            return self._abandon(run)
        except OutputFailed as error:
            self._run = None
            report(f"{error}; run {run.id} continues; {self._hint(run)}")
            return exit_codes.ERROR
        except ServerUnreachable as error:
            self._run = None
            report(f"{error}; {self._hint(run)}")
            return exit_codes.ERROR
        outcome = run.wait(check=False)
        report_outcome(run, outcome)
        return exit_codes.INTERRUPTED if self._interrupts else exit_codes.of_outcome(outcome)

    def _hint_at(self, run: AnyRun, line_ended: bool) -> None:
        """Report once why the run may be silent."""
        if self._look_for_hint is None:
            return
        hint: str | None = None
        with contextlib.suppress(RuncastError):
            if (place := run.place) is not None:
                if place != self._place:  # once for each place
                    self._place = place
                    line = f"the queue {run.queue}" if run.queue else "line"
                    report(f"it waits for its turn, number {place} in {line}")
                return
            if run.tty is True and run.waiting is not None:  # for keys, which nobody types here
                hint = f"it may be waiting for input: `runcast {self._option}attach {run.id}` types into it"
            elif line_ended:  # else a bar, which is not to be written into
                hint = self._look_for_hint(run)
        if hint is not None:
            self._look_for_hint = None
            report(hint, new_line=not line_ended)

    def _abandon(self, run: AnyRun) -> int:
        """Stop the run because the reader of its output is gone, as in a pipeline."""
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
        if self._interrupts > 2:  # a terminal that accepts no output must not block the exit
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
            report(f"stopping run {self._run.id}; killing it in {GRACE:g} s, or at once with another Ctrl-C")
        elif self._interrupts == 2:
            report(f"killing run {self._run.id}")
        acted = self._run, self._interrupts
        try:
            threading.Thread(target=self._end, args=acted, daemon=True).start()
        except RuntimeError:  # no thread can be started: act here, which delays the output
            self._end(*acted)

    @staticmethod
    def _end(run: AnyRun, interrupts: int) -> None:
        try:
            if interrupts == 1:
                run.stop(grace=GRACE, signal=signal.SIGINT)  # as the terminal would have sent it
            else:
                run.kill()
        except RunFinished:
            pass
        except RuncastError as error:
            report(str(error))


def forward_stdin(run: AnyRun, *, wait: bool = False) -> None:
    """Forward stdin to the run, from a thread, until either side closes.

    With `wait` it blocks until then, for callers that do not attend the run.
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
    except (OSError, RunFinished):  # the terminal is gone, or the run no longer reads
        pass
    except RuncastError as error:
        report(f"the run gets no more of the input: {error}")

"""The interface of every streaming form. What a form cannot express, it encodes as no bytes.

An encoder turns readings of one log into bytes, in order. It holds back at most an unfinished line
or character, and its `resume_point` is always where a viewer that received all of its bytes would
resume. Two encoders of the same form and channels with equal `key` produce the same bytes from there
on. So viewers at the same key share one encoder, and a viewer that falls behind gets an encoder of
its own, made from its resume point.

    encoder = LineEvents(run_id, start)
    send(encoder.preamble(run))
    while not closed:
        send(encoder.feed(log.read(encoder.next)))
    send(encoder.feed(log.read(encoder.next), final=True))
    send(encoder.exit(state, outcome))
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping

from runcast.model import Channel, Outcome, Reading, State, TerminalSize
from runcast.wire.resume_point import START, ResumePoint

__all__ = ["Encoder"]


class Encoder(ABC):
    """Encodes one log in one form.

    A resume point with unfinished lines is valid for every form. A form that does not hold lines
    back begins at the first of them: it may repeat bytes, but omits none.

    Attributes:
        run: the id of the run.
        next: the offset at which the next reading must begin.
        labelled: whether it uses the channels and times of chunks.
        line_overhead: about how many bytes it adds to each line; 0 where lines are not encoded singly.
        has_updates: whether it can express state and progress; if not, they need not be read.
        restarts_silently: whether something else says that a reply ends on purpose, such as the code
            with which a WebSocket is closed.
        has_sizes: whether it can express that a terminal got another size.
    """

    labelled = True
    has_updates = True
    restarts_silently = False
    has_sizes = False
    line_overhead = 0

    def __init__(self, run: str, start: ResumePoint = START) -> None:
        self.run = run
        self.next = start.read_from

    @property
    @abstractmethod
    def resume_point(self) -> ResumePoint:
        """Where a viewer that received everything so far would resume."""

    @property
    def key(self) -> tuple[ResumePoint, int]:
        """The state that determines all further bytes: equal keys, equal bytes."""
        return self.resume_point, self.next

    @abstractmethod
    def feed(self, reading: Reading, *, final: bool = False) -> bytes:
        """Encode a reading at `next`.

        Args:
            reading: the result of `Log.read(next)`.
            final: the log is closed and this is its last reading: hold nothing back.
        """

    @property
    def unfinished_lines(self) -> Mapping[Channel, int]:
        """The offset behind each unfinished line that is held back, by channel."""
        return {}

    def partial_lines(self, channels: Collection[Channel]) -> bytes:
        """Flush the unfinished lines of some channels; the next bytes continue them."""
        return b""

    def preamble(self, run: Mapping[str, object]) -> bytes:
        """Describe the run, before anything else."""
        return b""

    def update(self, name: str, value: Mapping[str, object]) -> bytes:
        """Encode the latest value of `progress` or `state`."""
        return b""

    def resize(self, size: TerminalSize) -> bytes:
        """Encode that the run's terminal has another size from here on."""
        return b""

    def exit(self, state: State, outcome: Outcome) -> bytes:
        """Encode the outcome of the run, behind the last of the log."""
        return b""

    def until(self, value: Mapping[str, object]) -> bytes:
        """Encode how a reply ends that was to end with a line.

        Args:
            value: with `found`, and of a line that was found its `line`, `offset`, `next`, `channel`,
                `time` and `text`; else `stopped`, which says why the search ended, or is None.
        """
        return b""

    def notice(self, text: str) -> bytes:
        """Encode a line that is not in the log, such as that there was no output for a while."""
        return b""

    def heartbeat(self) -> bytes:
        """Return a keep-alive, in a form that every client ignores."""
        return b""

    def restart(self) -> bytes:
        """Announce that this reply ends on purpose, and that the viewer should reconnect at once."""
        return b""

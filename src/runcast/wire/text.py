"""Plain text: the bytes of the log, verbatim.

runcast adds lines only on request (`end`, a notice), for a gap, which must not go unnoticed, and for
the reason why a run failed to start, which has no output. Such a line is in brackets, on a line of
its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from runcast.model import Channel, Outcome, Reading, Reason, State
from runcast.wire.encoder import Encoder
from runcast.wire.resume_point import START, ResumePoint

__all__ = ["Text", "missing_line", "one_line"]


class Text(Encoder):
    """Passes bytes on at once, prompts and incomplete characters included.

    Args:
        run: the id of the run.
        start: where to begin.
        end: add the outcome as a last line.
    """

    labelled = False
    has_updates = False

    def __init__(self, run: str, start: ResumePoint = START, *, end: bool = False) -> None:
        super().__init__(run, start)
        self._end = end
        self._fresh = start.fresh  # at the beginning of a line

    @property
    def resume_point(self) -> ResumePoint:
        """The offset of the next byte: nothing is held back."""
        return ResumePoint(self.next, fresh=self._fresh)

    def feed(self, reading: Reading, *, final: bool = False) -> bytes:
        """Return the bytes of a reading, and notices of its gaps."""
        self.next = reading.next
        parts = []
        for chunk in reading.chunks:
            if chunk.channel is Channel.GAP:
                parts.append(self.notice(f"[runcast: bytes {chunk.offset} to {chunk.next} are gone]"))
            elif chunk.data:
                parts.append(chunk.data)
                self._fresh = chunk.data.endswith(b"\n")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def exit(self, state: State, outcome: Outcome) -> bytes:
        """Return the outcome on request, and always for a run that failed to start."""
        no_output = outcome.reason is Reason.FAILED_TO_START  # a command's bytes cannot be mistaken for it
        return self.notice(f"[runcast: {outcome}]") if self._end or no_output else b""

    def until(self, value: Mapping[str, object]) -> bytes:
        """Return nothing behind the line that was to be the last, else a line that says so."""
        return b"" if value["found"] else self.notice(f"[runcast: {missing_line(value)}]")

    def notice(self, text: str) -> bytes:
        """Return a line that is not in the log."""
        line = b"\n" * (not self._fresh) + one_line(text) + b"\n"
        self._fresh = True
        return line


def missing_line(value: Mapping[str, object]) -> str:
    """Return why a reply does not end with the line that it was to end with."""
    if value.get("stopped") == "time":
        return "the expression that was waited for took too long"
    return "the end, without the line that was waited for"


def one_line(text: str) -> bytes:
    """Return a text as one line of UTF-8: line ends become spaces."""
    return text.replace("\r", " ").replace("\n", " ").encode(errors="replace")

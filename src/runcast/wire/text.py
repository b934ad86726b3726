"""Plain text: the bytes of the log, as they are.

Nothing of ours is among them, but for what somebody asked for (`end`, a remark) and for a gap,
which must not pass unseen. Such a line stands in brackets, on a line of its own.
"""

from __future__ import annotations

from runcast.model import Channel, Outcome, Reading, State
from runcast.wire.encoder import Encoder
from runcast.wire.place import START, Place

__all__ = ["Text"]


class Text(Encoder):
    """Says bytes at once, prompts and half characters included.

    Args:
        run: the id of the run.
        place: where to begin.
        end: say the outcome as a last line.
    """

    labelled = False
    tells = False

    def __init__(self, run: str, place: Place = START, *, end: bool = False) -> None:
        super().__init__(run, place)
        self._end = end
        self._fresh = place.fresh  # whether we are at the beginning of a line

    @property
    def place(self) -> Place:
        """The offset of what comes next: nothing is held back."""
        return Place(self.next, fresh=self._fresh)

    def feed(self, reading: Reading, *, final: bool = False) -> bytes:
        """Say the bytes of a reading, and its gaps."""
        self.next = reading.next
        parts = []
        for chunk in reading.chunks:
            if chunk.channel is Channel.GAP:
                parts.append(self.remark(f"[runcast: bytes {chunk.offset} to {chunk.next} are gone]"))
            elif chunk.data:
                parts.append(chunk.data)
                self._fresh = chunk.data.endswith(b"\n")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def exit(self, state: State, outcome: Outcome) -> bytes:
        """Say the outcome, if that was asked for."""
        return self.remark(f"[runcast: {outcome}]") if self._end else b""

    def remark(self, text: str) -> bytes:
        """Say a line of our own."""
        line = b"\n" * (not self._fresh) + one_line(text) + b"\n"
        self._fresh = True
        return line


def one_line(text: str) -> bytes:
    """Return a text as one line of UTF-8: what ends a line becomes a space."""
    return text.replace("\r", " ").replace("\n", " ").encode(errors="replace")

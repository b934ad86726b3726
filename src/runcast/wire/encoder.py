"""What every form that goes on and on can say. A form that has no word for a thing says nothing.

An encoder turns readings of one log into bytes, in order. It holds back at most an unfinished
line or character, and tells at any time where a viewer who got all its bytes would come back:
`place`. Two encoders of the same form and the same channels whose `key` is equal say the same
from there on, so whoever feeds many viewers encodes once and gives the same bytes to all at the
same key; a viewer that falls behind gets an encoder of its own, made from the `place` it is at.

    encoder = LineEvents(run_id, place)
    send(encoder.hello(run))
    while not closed:
        send(encoder.feed(log.read(encoder.next)))
    send(encoder.feed(log.read(encoder.next), final=True))
    send(encoder.exit(state, outcome))
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from runcast.model import Outcome, Reading, State
from runcast.wire.place import START, Place

__all__ = ["Encoder"]


class Encoder(ABC):
    """Says one log in one form.

    A place at which lines were unfinished can be given to another form than that of lines: it
    begins at the first of them, so that something may be said again, but nothing is left out.

    Attributes:
        run: the id of the run.
        next: the offset at which the next reading must begin.
        labelled: whether it looks at the channels and times of chunks at all.
        tells: whether it has words for what stands beside the log; if not, nobody need find that out.
    """

    labelled = True
    tells = True

    def __init__(self, run: str, place: Place = START) -> None:
        self.run = run
        self.next = place.start

    @property
    @abstractmethod
    def place(self) -> Place:
        """Where a viewer who got everything said so far would come back."""

    @property
    def key(self) -> tuple[Place, int]:
        """What decides all that will be said: equal keys, equal bytes."""
        return self.place, self.next

    @abstractmethod
    def feed(self, reading: Reading, *, final: bool = False) -> bytes:
        """Say what a reading at `next` brought.

        Args:
            reading: what `Log.read(next)` gave.
            final: the log is closed and this is the last of it: hold nothing back.
        """

    def hello(self, run: Mapping[str, object]) -> bytes:
        """Say what run this is, before anything else."""
        return b""

    def tell(self, name: str, value: Mapping[str, object]) -> bytes:
        """Say the latest value of something beside the log: `progress`, `state`."""
        return b""

    def exit(self, state: State, outcome: Outcome) -> bytes:
        """Say how the run ended, after the last of the log."""
        return b""

    def remark(self, text: str) -> bytes:
        """Say a line that is not in the log: that nothing came for a while."""
        return b""

    def beat(self) -> bytes:
        """Say that the connection lives, in a way that every client passes over."""
        return b""

    def restart(self) -> bytes:
        """Say that this reply ends on purpose, and that the viewer should come back at once."""
        return b""

"""Timers of unfinished lines: a line that has not grown for a while is sent as far as it goes.

Owns the times, for one viewer. The encoder owns the text of the lines and its form.
"""

from __future__ import annotations

from runcast.model import Channel
from runcast.readers.lines import REST_SECONDS
from runcast.wire.encoder import Encoder

__all__ = ["LineTimers"]


class LineTimers:
    """How long each unfinished line has not grown; times are of the monotonic clock."""

    def __init__(self) -> None:
        self._known: dict[Channel, tuple[int, float]] = {}  # the end of each line so far, and since when

    def take(self, encoder: Encoder, now: float) -> bytes:
        """Return the encoded part of lines that have not grown for `REST_SECONDS`; usually nothing."""
        if not (unfinished := encoder.unfinished_lines):
            self._known.clear()
            return b""
        self._known = {
            channel: known if (known := self._known.get(channel)) and known[0] == end else (end, now)
            for channel, end in unfinished.items()
        }
        ready = [channel for channel, (_, since) in self._known.items() if now - since >= REST_SECONDS]
        return encoder.partial_lines(ready) if ready else b""

    def wait(self, now: float) -> float:
        """Return the seconds after which the next line is due, at most."""
        left = [since + REST_SECONDS - now for _, since in self._known.values()]
        return min((seconds for seconds in left if seconds > 0), default=REST_SECONDS)

"""The prints of a forked child of a run's code, written to the run's pipes in whole lines.

Other processes write there too, and a print is several writes, so an unfinished line is held until its
end, for some milliseconds, or until the child ends. Must not know logs, nor the reader of the pipes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from threading import get_ident

from runcast.model import Channel
from runcast.sources.pipe import CapturePipe

__all__ = ["ChildLines", "flush_at_exit"]

_HOLD_BYTES = 4096  # writes up to this size are atomic on a pipe
_HOLD_TICKS = 8  # of the flusher: on a busy machine a print may take a while


class ChildLines:
    """The lines of one child.

    Args:
        pipes: where they are written.
        arm: schedules a call of `tick`; returns False if that is impossible.
    """

    def __init__(self, pipes: Mapping[Channel, CapturePipe], arm: Callable[[], bool]) -> None:
        self._pipes, self._arm = pipes, arm
        self._held: dict[int, tuple[Channel, bytes, int]] = {}  # by thread; with the tick it came at
        self._tick = 0

    def write(self, channel: Channel, data: bytes) -> bool:
        """Write the whole lines; return False if the pipe has no reader."""
        if channel not in self._pipes:
            return False
        thread = get_ident()
        begun, start, _ = self._held.pop(thread, (channel, b"", 0))
        if begun is channel:
            data = start + data
        else:
            self._send(begun, start)
        end = data.rfind(b"\n") + 1
        if end < len(data) and len(data) - end < _HOLD_BYTES and self._arm():
            self._held[thread] = (channel, data[end:], self._tick)
            data = data[:end]
        return not data or self._pipes[channel].write(data)

    def flush(self, before: int | None = None) -> None:
        """Write the unfinished lines, or those older than a tick."""
        for thread, (_, _, tick) in list(self._held.items()):
            if before is None or tick <= before:
                channel, data, _ = self._held.pop(
                    thread, (Channel.STDOUT, b"", 0)
                )  # its thread may be faster
                self._send(channel, data)

    def tick(self) -> bool:
        """Write lines that are unfinished for too long; return whether others are held."""
        self._tick += 1
        self.flush(self._tick - _HOLD_TICKS)
        return bool(self._held)

    def _send(self, channel: Channel, data: bytes) -> None:
        if data and not self._pipes[channel].write(data):  # the run is over: write to the real stream
            os.write(2 if channel is Channel.STDERR else 1, data)


def flush_at_exit(flush: Callable[[], None]) -> None:
    """Call a function before `os._exit`, with which forked children end."""
    own = os._exit

    def _exit(status: int) -> None:
        flush()
        own(status)

    os._exit = _exit  # type: ignore[assignment]

"""The output of a run in this process, masked before it is appended.

Owns the streams of its channels. All calls come from the thread that appends, one at a time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from runcast.errors import LogClosed, RunNotFound, StoreUnusable
from runcast.model import Channel

if TYPE_CHECKING:
    from runcast.masking.masks import Masks
    from runcast.masking.stream import MaskedStream

__all__ = ["MaskedOutput"]


class MaskedOutput:
    """Masks the output of one run.

    Args:
        masks: of the run.
        append: appends bytes.
        expire_at: has `expire` called at a time, in monotonic seconds.
    """

    def __init__(
        self, masks: Masks, append: Callable[[Channel, bytes], object], expire_at: Callable[[float], object]
    ) -> None:
        self._masks, self._append, self._expire_at = masks, append, expire_at
        self._streams: dict[Channel, MaskedStream] = {}

    def append(self, channel: Channel, data: bytes) -> None:
        """Append what can be sent of some output, and of what waited before it."""
        if (stream := self._streams.get(channel)) is None:
            from runcast.masking.stream import MaskedStream  # few runs are masked

            stream = self._streams[channel] = MaskedStream(self._masks)
        waits = stream.due
        if data := stream.feed(data, time.monotonic()):
            self._append(channel, data)
        if stream.due is not None and stream.due != waits:
            self._expire_at(stream.due)

    def expire(self) -> None:
        """Append what has waited for long enough."""
        now = time.monotonic()
        self._let_go(lambda stream: stream.expire(now))

    def end(self) -> None:
        """Append all that waits: no more will come."""
        self._let_go(lambda stream: stream.end())

    def _let_go(self, take: Callable[[MaskedStream], bytes]) -> None:
        for channel, stream in self._streams.items():
            if data := take(stream):
                with contextlib.suppress(OSError, LogClosed, RunNotFound, StoreUnusable):
                    self._append(channel, data)

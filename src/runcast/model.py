"""The values everybody speaks: channels, chunks, states, outcomes, offsets.

Owns the words of the glossary as types, and their text on the wire. Rules: values are frozen,
offsets are ints inside and text outside, times are seconds since the epoch (UTC) as floats.
Must not know: files, processes, sockets, HTTP. Imports nothing of ours but `errors`.
"""

from __future__ import annotations

import signal as _signal
import time
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from runcast.errors import BadOffset, OffsetBeyondTail

__all__ = [
    "CHUNK_BYTES",
    "Channel",
    "Chunk",
    "Outcome",
    "Reading",
    "Reason",
    "State",
    "format_offset",
    "parse_offset",
]

CHUNK_BYTES = 64 * 1024  # one read or write: the capacity of a Linux pipe; larger Python blocks are slower
OFFSET_DIGITS = 20  # an unsigned 64-bit number, so that text order is number order


class Channel(StrEnum):
    """Where bytes came from. `UNKNOWN` and `GAP` are said by readers, never written by sources."""

    STDOUT = "stdout"
    STDERR = "stderr"
    DATA = "data"
    """One JSON value a line: what a generator yields."""
    UNKNOWN = "unknown"
    """The index is damaged here: the bytes are whole, their channel is not known."""
    GAP = "gap"
    """No bytes: the range from `offset` to `next` was dropped."""


class Chunk(NamedTuple):
    """What a reader gets: bytes of one channel that lie together in the log.

    Attributes:
        offset: of the first byte, in bytes from the start of the log, whatever the channel.
        next: the offset to go on from; past the last byte of this chunk.
        channel: which channel the bytes belong to.
        time: when the writer read them, in seconds since the epoch; 0.0 where that is not known.
        data: the bytes; empty for a gap.
    """

    offset: int
    next: int
    channel: Channel
    time: float
    data: bytes


class Reading(NamedTuple):
    """The answer to one read: the chunks, and the offset to go on from.

    `next` can move on with no chunk, where a filter left everything out; only when it
    equals the offset that was asked for is there nothing to read now.
    """

    chunks: list[Chunk]
    next: int


class State(StrEnum):
    """Where a run is in its life. How it ended is its `Outcome`, which is another thing."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    EXITED = "exited"
    LOST = "lost"


class Reason(StrEnum):
    """Why a run is over."""

    EXITED = "exited"
    SIGNALED = "signaled"
    STOPPED = "stopped"
    TIMED_OUT = "timed out"
    IDLE_TIMED_OUT = "idle timed out"
    FAILED_TO_START = "failed to start"
    LOST = "lost"


class Outcome(NamedTuple):
    """How a run ended. Written once, by whoever saw it end.

    Attributes:
        reason: why it is over.
        code: the exit code, 0 to 255; None when a signal ended it, or nobody saw the end.
        signal: the number of the signal that ended it, if one did.
        message: one sentence for people, where the rest does not say enough.
        value: what a function returned.
        dropped: bytes of output that could not be kept (a full disk).
        truncated: whether the cap on the log's size dropped some of it.
        ended_at: when, in seconds since the epoch.
    """

    reason: Reason
    code: int | None = None
    signal: int | None = None
    message: str = ""
    value: Any = None
    dropped: int = 0
    truncated: bool = False
    ended_at: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with exit code 0."""
        return self.reason is Reason.EXITED and self.code == 0

    @property
    def exit_status(self) -> int:
        """What a shell would say: the exit code, 128 + N for signal N, 1 where nobody knows."""
        if self.code is not None:
            return self.code
        return 128 + self.signal if self.signal else 1

    def __str__(self) -> str:
        if self.signal is not None:
            how = f"killed by {signal_name(self.signal)}"
        elif self.code is not None:
            how = f"exit code {self.code}"
        else:
            how = ""
        if not how or self.reason is Reason.FAILED_TO_START:
            said = str(self.reason)
        else:
            said = how if self.reason in (Reason.EXITED, Reason.SIGNALED) else f"{self.reason}, {how}"
        return f"{said} ({self.message})" if self.message else said

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, `ok` included."""
        return {
            "ok": self.ok,
            "reason": self.reason.value,
            "code": self.code,
            "signal": self.signal,
            "message": self.message,
            "value": self.value,
            "dropped": self.dropped,
            "truncated": self.truncated,
            "ended_at": self.ended_at,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Outcome:
        """Read back what `to_json` gave; keys of later versions are passed over."""
        known = {name: value[name] for name in cls._fields if name in value}
        try:
            known["reason"] = Reason(known["reason"])
        except ValueError:  # a reason that a later version invented: it is over, that much is sure
            known["message"] = f"{known['reason']}: {known.get('message', '')}".rstrip(": ")
            if known.get("signal") is not None:
                known["reason"] = Reason.SIGNALED
            elif known.get("code") is None:
                known["reason"] = Reason.LOST
            else:  # never ok where whoever wrote it said otherwise
                known["reason"] = Reason.EXITED if known["code"] or value.get("ok") else Reason.STOPPED
        return cls(**known)


def signal_name(number: int) -> str:
    """Return `SIGTERM` for 15; real-time signals without a name as `signal 40`."""
    try:
        return _signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def format_offset(offset: int) -> str:
    """Return the offset as the wire has it: zero-padded, so that text order is number order."""
    return f"{offset:0{OFFSET_DIGITS}d}"


def parse_offset(text: str, tail: int) -> int:
    """Return the offset that a text names.

    Args:
        text: decimal digits, `-1` for the very start, or `now` for the tail.
        tail: the tail offset now; nothing beyond it can be asked for.

    Raises:
        BadOffset: the text is none of these.
        OffsetBeyondTail: it lies past the tail.
    """
    if text == "now":
        return tail
    if text == "-1":
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > OFFSET_DIGITS:
        raise BadOffset(
            f"expected an offset (decimal digits, -1 for the start or `now` for the tail), got {text[:80]!r}"
        )
    offset = int(text)
    if offset > tail:
        raise OffsetBeyondTail(offset, tail)
    return offset


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def rfc3339(seconds: float | None) -> str | None:
    """Return a time in RFC 3339, in UTC, to the microsecond; None for 0.0, which means unknown."""
    if not seconds:
        return None
    whole, micro = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_second(whole)}.{micro:06d}Z"

"""The spans of a log, extents one behind the other, and the searches in the indexes of all of them.

Owns which record counts where a span ends before its extent does. Knows no bytes, and not how a backend lists
its extents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from runcast.log.extent import Extent
from runcast.log.records import RECORD_SPAN, Record

__all__ = ["Span", "last_record", "offset_of_time", "time_before"]

_OFFSET: Final = 0  # places of the fields in Record
_TIME: Final = 1
_NS = 1_000_000_000
_FLOAT_NS = 256  # the error of a float of seconds since the epoch, in nanoseconds


class Span(NamedTuple):
    """An extent with its end: no further than where the next one begins."""

    start: int
    end: int
    extent: Extent


def last_record(
    span: Span, key: Literal[0, 1, 2], value: int, *, strict: bool = False
) -> tuple[int, Record | None]:
    """Return the last good record of the span itself, and its number; see `Extent.last_before`.

    Records behind the span's end describe bytes that are not part of this log: a power loss
    removed them, or they belong to the log that this one was forked from.
    """
    at, record = span.extent.last_before(key, value, strict=strict)
    if record is not None and record.offset > span.end:
        at, record = span.extent.last_before(_OFFSET, span.end)
    return at, record


def offset_of_time(spans: Sequence[Span], time: float) -> int:
    """Return where the bytes begin that were appended at a time or later; see `Log.offset_of_time`."""
    for span in reversed(spans):
        at, record = last_record(span, _TIME, round(time * _NS) - _FLOAT_NS, strict=True)
        if record is None:
            continue
        for _, following in span.extent.walk(at + 1):
            return min(following.offset if following else record.offset, span.end)
        return record.offset if span.extent.torn() else min(record.offset + RECORD_SPAN, span.end)
    return 0


def time_before(spans: Sequence[Span], offset: int) -> float:
    """Return when the byte before an offset was appended; see `Log.time_before`."""
    for span in reversed(spans):
        if span.start < offset:
            _, record = last_record(span, _OFFSET, min(offset, span.end), strict=True)
            if record is not None:
                return record.time_ns / _NS
    return 0.0

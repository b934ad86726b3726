"""Durable Streams, live: the cursor that lets caches serve many readers at once, and the events.

Owns the rule of cursors. Readers send back the cursor they received, so where it depends on anything but the
log, readers at one offset request different URLs, for ever. So the cursor of a reply with bytes is the time
when the last of them was appended; only that of one without is the time of the reply, and rounded, so that
those who wait meet again. It only grows, so a cache cannot serve one reader the same stale reply twice.
"""

from __future__ import annotations

import re
from base64 import b64encode

from runcast import utf8
from runcast.offsets import format_offset
from runcast.wire.durable_json import array_of
from runcast.wire.jsons import compact

__all__ = ["control_event", "cursor_after", "data_event", "sendable_bytes", "waited_until"]

_EPOCH = 1_728_432_000  # 2024-10-09T00:00:00Z
_UNIT = 1e-6  # seconds: no two replies with bytes are so close
_SPAN = 20  # seconds in which all replies without bytes have one cursor: as long as a long-poll waits
_DIGITS = 15  # of a cursor that is taken seriously
_LINE_ENDS = re.compile(rb"\r\n|\r|\n")


def cursor_after(given: str | None, reached: float) -> int:
    """Return the cursor of a reply: a time, as microseconds since the protocol's epoch.

    Args:
        given: the cursor of the request, if it has one; what is returned is greater.
        reached: when the last byte of the reply was appended, in seconds since the epoch; for a reply
            without bytes what `waited_until` returns.
    """
    cursor = max(round((reached - _EPOCH) / _UNIT), 0)
    if given is None or not (given.isascii() and given.isdigit()) or len(given) > _DIGITS:
        return cursor
    return max(cursor, int(given) + 1)


def waited_until(now: float) -> float:
    """Return the time, in seconds since the epoch, that a reply without bytes has reached."""
    return now - now % _SPAN


def sendable_bytes(data: bytes, content_type: str, *, final: bool) -> int:
    """Return how much of `data` fits an event: text is not cut within a character."""
    if not content_type.startswith("text/") or final:
        return len(data)
    return utf8.cut(data)


def data_event(data: bytes, content_type: str) -> bytes:
    """Return bytes of the log as an event, encoded as the media type of the stream requires."""
    if content_type == "application/json":
        payload = array_of(data)
    elif content_type.startswith("text/"):
        # An event is UTF-8, and a line end of any kind ends a line of its data.
        text = data if data.isascii() else data.decode(errors="replace").encode()
        payload = b"\ndata:".join(_LINE_ENDS.split(text))
    else:
        payload = b64encode(data)
    return b"event: data\ndata:%b\n\n" % payload


def control_event(offset: int, cursor: int, *, up_to_date: bool, closed: bool) -> bytes:
    """Return the event with the offset that its reader has reached."""
    value: dict[str, object] = {"streamNextOffset": format_offset(offset)}
    if closed:
        value["streamClosed"] = True
    else:
        value["streamCursor"] = str(cursor)
        if up_to_date:
            value["upToDate"] = True
    return b"event: control\ndata:%b\n\n" % compact(value)

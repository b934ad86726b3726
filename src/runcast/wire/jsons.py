"""JSON on the wire: compact, ASCII, no NaN; times in RFC 3339; outcomes.

ASCII, because some readers of event streams and JSON lines treat U+2028 and others as line ends.
`escape` is the hot path.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

from runcast.model import Note, Outcome, TerminalSize, rfc3339
from runcast.offsets import format_offset

__all__ = ["compact", "escape", "note_json", "outcome_json", "rfc3339", "size_json"]

_SMALL = 1024  # bytes: below, looking for 32 characters one by one costs more than it saves
_ESCAPES = {bytes([code]): f"\\u{code:04x}".encode() for code in range(32)} | {
    b"\b": b"\\b",
    b"\t": b"\\t",
    b"\f": b"\\f",
    b"\r": b"\\r",
}
_CONTROLS = [(control, text) for control, text in _ESCAPES.items() if control != b"\n"]


def escape(data: bytes) -> bytes | None:
    """Return UTF-8 as the inside of a JSON string, in ASCII; None where it is not UTF-8.

    The standard encoder looks at every character (670 MB/s). `bytes.replace` and `in` search with
    memchr, so one pass for each of the 33 characters to escape is still 2.6 times as fast
    (1,780 MB/s) for lines of text.
    """
    if len(data) < _SMALL or not data.isascii():
        try:
            return encode_basestring_ascii(data.decode())[1:-1].encode()
        except UnicodeDecodeError:
            return None
    escaped = data.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    for control, text in _CONTROLS:
        if control in data:
            escaped = escaped.replace(control, text)
    return escaped


def compact(value: Mapping[str, object] | Sequence[object]) -> bytes:
    """Return an object or a list as compact ASCII JSON, on one line.

    A value that JSON cannot express must not break a reply: NaN becomes null, an unsupported object
    its `repr`.
    """
    try:
        return _dumps(value)
    except ValueError:
        lenient = json.dumps(value, default=repr, skipkeys=True)
        return _dumps(json.loads(lenient, parse_constant=lambda _: None, parse_float=_finite))


def _dumps(value: object) -> bytes:
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, default=repr, skipkeys=True)
    return text.encode()


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def size_json(size: TerminalSize) -> dict[str, object]:
    """Return a change of a terminal's size as JSON values."""
    return {"resize": [size.columns, size.rows], "offset": format_offset(size.offset)}


def note_json(note: Note) -> dict[str, Any]:
    """Return a note as JSON values: its offset as text, its time in RFC 3339."""
    return {**note._asdict(), "offset": format_offset(note.offset), "time": rfc3339(note.time)}


def outcome_json(outcome: Outcome | None) -> dict[str, Any] | None:
    """Return an outcome as JSON values, its times in RFC 3339."""
    if outcome is None:
        return None
    times = {"ended_at": rfc3339(outcome.ended_at), "started_at": rfc3339(outcome.started_at)}
    return outcome.to_json() | times

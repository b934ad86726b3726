"""Which form a client gets, and the headers that go with it.

`?format=` decides before `Accept`, for those who cannot set headers. `Accept` is read as RFC 9110
section 12.5.1 has it: the most specific range gives a type its weight, the highest weight wins;
between equals the range that names more, then the one that comes first. Whoever does not say
(no header, `*/*`: curl) gets plain text.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import StrEnum
from typing import Final

from runcast.errors import NotAcceptable, UsageError
from runcast.model import Outcome

__all__ = ["TRAILERS", "Format", "headers", "negotiate", "outcome_fields"]


class Format(StrEnum):
    """The forms in which a log is served. The value is the name for `?format=`."""

    TEXT = "text"
    SSE = "sse"
    SSE_JSON = "sse-json"
    NDJSON = "ndjson"
    POLL = "json"
    HTML = "html"
    ASCIICAST = "asciicast"
    WS = "websocket"


_EVENTS: Final = "text/event-stream"
# In the order in which a range such as `*/*` or `text/*` is given them.
_TYPES: Final = {
    "text/plain": Format.TEXT,
    "text/html": Format.HTML,
    _EVENTS: Format.SSE,
    "application/json": Format.POLL,
    "application/x-ndjson": Format.NDJSON,
    "application/x-asciicast": Format.ASCIICAST,
}
_NAMES: Final = {
    **{str(form): form for form in Format if form is not Format.WS},
    **_TYPES,
    "application/ndjson": Format.NDJSON,
}
_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_CONTENT_TYPES: Final = {
    Format.TEXT: "text/plain; charset=utf-8",
    Format.SSE: _EVENTS,
    Format.SSE_JSON: _EVENTS,
    Format.NDJSON: "application/x-ndjson",
    Format.POLL: "application/json",
    Format.HTML: "text/html; charset=utf-8",
    Format.ASCIICAST: "application/x-asciicast",
}


def negotiate(
    accept: str | None,
    format: str | None = None,
    *,
    websocket: bool = False,
    offered: Collection[Format] = frozenset(Format),
) -> Format:
    """Return the form in which to answer.

    Args:
        accept: the request's `Accept`; several headers joined with commas.
        format: the query's `format`. `json` in a request for events means events of JSON chunks.
        websocket: the request is a WebSocket's.
        offered: the forms that can be served here.

    Raises:
        UsageError: `format` names no form.
        NotAcceptable: the client takes none of those offered.
    """
    if websocket:
        return Format.WS
    ranges = _parse(accept or "")
    if format is not None:
        form = _NAMES.get(format.strip().lower())
        if form is None or form not in offered:
            names = ", ".join(name for name in Format if name in offered and name is not Format.WS)
            raise UsageError(f"expected format to be one of {names}, got {format[:80]!r}")
        if form is Format.POLL and Format.SSE_JSON in offered and _EVENTS in [name for name, _ in ranges]:
            return Format.SSE_JSON
        return form
    types = [name for name, form in _TYPES.items() if form in offered]
    best, rank = "", (0.0, 0, 0)
    for name in types:
        weight = _weigh(name, ranges)
        if weight > rank:
            best, rank = name, weight
    if not best:
        raise NotAcceptable(accept or "", tuple(types))
    return _TYPES[best]


def _parse(accept: str) -> list[tuple[str, float]]:
    """Return the media ranges of an `Accept` with their weights; what is malformed is passed over."""
    ranges = []
    for item in accept.split(","):
        name, *parameters = [part.strip().lower() for part in item.split(";")]
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                good = _QUALITY.fullmatch(parameter[2:])
                quality = float(parameter[2:]) if good else -1.0
        if name.count("/") == 1 and quality >= 0:
            ranges.append((name, quality))
    return ranges or [("*/*", 1.0)]


def _weigh(name: str, ranges: list[tuple[str, float]]) -> tuple[float, int, int]:
    """Return the weight of a type (0.0: not taken), how much its range names, and how early that comes."""
    kinds = (name, name.split("/")[0] + "/*", "*/*")
    found = [
        (2 - kinds.index(kind), -at, quality) for at, (kind, quality) in enumerate(ranges) if kind in kinds
    ]
    if not found:
        return 0.0, 0, 0
    named, at, quality = max(found)
    return (quality, named, at) if quality else (0.0, 0, 0)


TRAILERS: Final = ("Runcast-Outcome", "Runcast-Exit-Status")


def outcome_fields(outcome: Outcome | None) -> dict[str, str]:
    """Return an outcome as the fields behind a reply (RFC 9110, section 6.5)."""
    if outcome is None:
        return {}
    said = "".join(char if " " <= char <= "~" else "?" for char in str(outcome)[:200])
    return dict(zip(TRAILERS, (said, str(outcome.exit_status)), strict=True))


def headers(format: Format, *, live: bool) -> list[tuple[str, str]]:
    """Return the headers of a reply in this form; none for a WebSocket.

    Args:
        format: the form.
        live: the log may still grow, so nothing may keep or hold back the reply.
    """
    if format is Format.WS:
        return []
    found = [
        ("Content-Type", _CONTENT_TYPES[format]),
        # Without it Chromium reads ahead to guess the type, and shows a short text at its end only.
        ("X-Content-Type-Options", "nosniff"),
        ("Vary", "Accept"),
    ]
    if not live:
        return [*found, ("Cache-Control", "private, no-cache, no-transform")]
    # no-transform: a proxy that compresses collects first. X-Accel-Buffering: nginx.
    return [*found, ("Cache-Control", "no-store, no-transform"), ("X-Accel-Buffering", "no")]

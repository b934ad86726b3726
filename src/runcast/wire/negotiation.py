"""Content negotiation: the form that a client gets, and the headers of its reply.

`?format=` takes precedence over `Accept`, for clients that cannot set headers. `Accept` follows
RFC 9110, section 12.5.1: the most specific range gives a type its weight, and the highest weight
wins; ties go to the more specific range, then to the first range, then to the order of the registry
(forms.py). A client without preference (no header, or `*/*` as from curl) gets plain text.
"""

from __future__ import annotations

import functools
import re
from typing import Final

from runcast.errors import NotAcceptable, UsageError
from runcast.model import Outcome
from runcast.wire.forms import FORMS, WS, Form

__all__ = ["TRAILERS", "accepts", "headers", "negotiate", "negotiate_subprotocol", "outcome_fields"]

_USUAL = 200  # characters of what is remembered; nobody can fill the memory with what they accept
_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


def negotiate(accept: str | None, format: str | None = None) -> Form:
    """Return the form of the reply to a plain HTTP request.

    Args:
        accept: the request's `Accept`; several headers joined with commas.
        format: the query's `format`.

    Raises:
        UsageError: `format` names no form.
        NotAcceptable: the client accepts none of the forms.
    """
    if len(accept or "") + len(format or "") <= _USUAL:  # a request is negotiated more than once
        return _negotiated(accept, format, tuple(FORMS.values()))
    return _negotiated.__wrapped__(accept, format, tuple(FORMS.values()))


@functools.lru_cache(256)
def _negotiated(accept: str | None, format: str | None, forms: tuple[Form, ...]) -> Form:
    ranges = _parse(accept or "")
    if format is not None:
        return _named(format, ranges)
    best, rank = None, (0.0, 0, 0)
    offered = [form for form in forms if form.media_type and not form.instead_of]
    for form in offered:
        weight = _weigh(form.media_type, ranges)
        if weight > rank:
            best, rank = form, weight
    if best is None:
        raise NotAcceptable(accept or "", tuple(dict.fromkeys(form.media_type for form in offered)))
    return best


def accepts(accept: str, media_type: str) -> bool:
    """Return whether a client names a media type in its `Accept`, above 0; ranges do not count."""
    return any(name == media_type and quality > 0 for name, quality in _parse(accept))


def negotiate_subprotocol(offered: str | None) -> Form:
    """Return the form of the messages of a WebSocket: the first that the client offers and there is.

    Args:
        offered: the handshake's `Sec-WebSocket-Protocol`; several headers joined with commas.
    """
    forms = {form.subprotocol: form for form in FORMS.values() if form.subprotocol}
    names = [name.strip() for name in (offered or "").split(",")]
    return next((forms[name] for name in names if name in forms), WS)


def _named(format: str, ranges: list[tuple[str, float]]) -> Form:
    """Return the form of that name, or its `instead_of` form where `Accept` names that one's type."""
    name = format.strip().lower()
    found = FORMS.get(name)
    if found is None or not found.media_type:
        offered = [form for form in FORMS.values() if form.media_type]
        found = next((form for form in offered if name == form.media_type or name in form.aliases), None)
        if found is None:
            raise UsageError(
                f"expected format to be one of {', '.join(map(str, offered))}, got {format[:80]!r}"
            )
    for form in FORMS.values():
        if form.instead_of == found.name and form.media_type in [accepted for accepted, _ in ranges]:
            return form
    return found


def _parse(accept: str) -> list[tuple[str, float]]:
    """Return the media ranges of an `Accept` with their weights; malformed ones are ignored."""
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
    """Return the weight of a type (0.0: refused), how specific its range is, and its position."""
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
    """Return an outcome as the trailer fields of a reply (RFC 9110, section 6.5)."""
    if outcome is None:
        return {}
    text = "".join(char if " " <= char <= "~" else "?" for char in str(outcome)[:200])
    return dict(zip(TRAILERS, (text, str(outcome.exit_status)), strict=True))


def headers(form: Form, *, live: bool) -> list[tuple[str, str]]:
    """Return the headers of a reply in this form, to GET and HEAD; none for a WebSocket.

    Args:
        form: the form.
        live: the log may still grow, so the reply must be neither cached nor buffered.
    """
    if not form.media_type:
        return []
    found = [
        ("Content-Type", form.content_type),
        # Without it Chromium buffers to sniff the type, and shows a short text only when it ends.
        ("X-Content-Type-Options", "nosniff"),
        ("Vary", "Accept"),
    ]
    if not live:
        return [*found, ("Cache-Control", "private, no-cache, no-transform")]
    # no-transform: a compressing proxy would buffer. X-Accel-Buffering: for nginx.
    return [*found, ("Cache-Control", "no-store, no-transform"), ("X-Accel-Buffering", "no")]

"""Rules that all engines share: what may be sent, how much is read at once, and the errors of fences."""

from __future__ import annotations

from collections.abc import Iterable

from runcast.errors import Fenced, UsageError
from runcast.link.base import PUT_BYTES, Entry

__all__ = ["check_ask", "check_put", "fenced", "held", "key_name", "within"]


def check_put(start: int, end: int, data: bytes) -> None:
    """Refuse what is no `put`.

    Raises:
        UsageError: with what was expected.
    """
    if not 0 <= start < end:
        raise UsageError(
            f"expected a put from an offset to a later one, got {start} to {end}: put bytes only"
        )
    if data and (len(data) != end - start or len(data) > PUT_BYTES):
        raise UsageError(
            f"expected {end - start} bytes for {start} to {end}, {PUT_BYTES} at most, got {len(data)}: "
            "cut them, or give none for a gap"
        )


def check_ask(request: bytes) -> None:
    """Refuse a request or an answer that is too long.

    Raises:
        UsageError: with what was expected.
    """
    if len(request) > PUT_BYTES:
        raise UsageError(f"expected at most {PUT_BYTES} bytes, got {len(request)}: send less at once")


def key_name(key: str) -> str:
    """Return the name at a link whose value is the run that has a key."""
    import hashlib  # loads OpenSSL

    return "key:" + hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def within(entries: Iterable[Entry], offset: int, limit: int) -> list[Entry]:
    """Return the entries after an offset: one at least, if there is any, and as many as fit the limit."""
    found: list[Entry] = []
    size = 0
    for entry in entries:
        if entry.end > offset:
            size += len(entry.data)
            if found and size > limit:
                break
            found.append(entry)
    return found


def fenced(run: str) -> Fenced:
    """Return the error of a run that has its outcome."""
    return Fenced(
        f"expected a run that has no outcome at the link, {run} has one: what comes after it stays here"
    )


def held(host: str) -> Fenced:
    """Return the error of a host's name that another one has."""
    return Fenced(
        f"expected nobody else at the link under the name {host!r}, another store has it: was a store folder "
        "copied? Open this one by its URL with host=NAME, another name, or wait until the other one is gone"
    )

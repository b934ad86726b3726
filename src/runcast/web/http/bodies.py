"""Request bodies: what did not arrive whole never happened.

Owns the rule that every adapter keeps (RFC 9112, section 8): a request is done only when all of its
body came. A connection may end anywhere in it, and servers report that in many ways: a message, an
exception of their own, or not at all, with fewer bytes than `Content-Length` announced. Knows no
server: an adapter passes what it got.
"""

from __future__ import annotations

from collections.abc import Callable

from runcast.errors import RuncastError, UsageError

__all__ = ["BodyIncomplete", "BodyTooLarge", "LengthRequired", "check_whole", "parse_length", "read_whole"]


class BodyTooLarge(RuncastError):
    """A request body over its limit."""

    http_status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"expected a body of at most {limit} bytes: send less, or in several requests")


class BodyIncomplete(RuncastError):
    """A request whose body was cut. Its status is one after which clients send it again by themselves."""

    http_status = 408

    def __init__(self, got: int | None, length: int | None, why: str = "") -> None:
        expected = "a body to its end" if length is None else f"a body of {length} bytes"
        came = (f"{got} bytes" if got is not None else "less") + (f" ({why:.100})" if why else "")
        super().__init__(f"expected {expected}, got {came}: nothing was done or kept, send it again")


class LengthRequired(RuncastError):
    """A request body in chunks, where the server cannot distinguish one that was cut from a whole one."""

    http_status = 411

    def __init__(self) -> None:
        super().__init__(
            "expected a Content-Length: in chunks this server cannot tell a body that was cut from a whole "
            "one, so send its length (curl: --data-binary @FILE, not -T -)"
        )


def parse_length(text: str | None, limit: int) -> int | None:
    """Return what a Content-Length says; None without one.

    Raises:
        BodyTooLarge: it is over the limit.
        UsageError: it is no number.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"expected Content-Length as a number of bytes, got {text[:40]!r}")
    if len(text) > 18 or int(text) > limit:
        raise BodyTooLarge(limit)
    return int(text)


def check_whole(got: int, length: int | None) -> None:
    """Look at a body that its server has ended.

    Raises:
        BodyIncomplete: it has fewer bytes than were announced.
    """
    if length is not None and got < length:
        raise BodyIncomplete(got, length)


def read_whole(read: Callable[[int], bytes], length: int | None, limit: int) -> bytes:
    """Return a body, read to its end.

    Args:
        read: returns so many bytes at most, none at the end; what it raises means a cut.
        length: what was announced; None where the server knows where the body ends.
        limit: bytes that it may have.

    Raises:
        BodyIncomplete: it was cut.
        BodyTooLarge: it has no length, and more bytes than the limit.
    """
    left = limit + 1 if length is None else length
    parts = []
    while left:
        try:
            part = read(left)
        except Exception as error:  # each server has kinds of its own for it
            raise BodyIncomplete(None, length, str(error)) from error
        if not part:
            break
        parts.append(part)
        left -= len(part)
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    if length is None and len(body) > limit:
        raise BodyTooLarge(limit)
    check_whole(len(body), length)
    return body

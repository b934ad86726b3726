"""Durable Streams in JSON mode: messages are lines of the log, a read returns an array of them.

A message is stored verbatim: numbers are not reformatted. JSON allows line ends outside strings
only, so replacing each CR and LF with a space loses nothing.
"""

from __future__ import annotations

import json
import re

from runcast.errors import UsageError

__all__ = ["array_of", "messages", "whole_messages"]

_SPACE = re.compile(r"[ \t\n\r]*")


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


# Numbers are only validated: parsing them as floats is fast and has no limit of digits.
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=float)


def messages(body: bytes) -> bytes:
    """Return the messages of a posted body, one a line; none of an empty array.

    An array is as many messages as it has elements, anything else is one.

    Raises:
        UsageError: it is not JSON in UTF-8.
    """
    try:
        text = body.decode()
        found = _split(text)
    except UnicodeDecodeError as error:
        raise UsageError(f"expected JSON in UTF-8, byte {error.start} of the body is not") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"expected JSON, got something else at {place}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"expected JSON, got something else: {str(error)[:100]}") from None
    return "".join(f"{one}\n" for one in found).encode()


def _split(text: str) -> list[str]:
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        _, end = _DECODER.raw_decode(text, at)
        _expect_end(text, end)
        return [_one_line(text[at:end])]
    found: list[str] = []
    at = _skip(text, at + 1)
    if text[at : at + 1] == "]":
        _expect_end(text, at + 1)
        return found
    while True:
        _, end = _DECODER.raw_decode(text, at)
        found.append(_one_line(text[at:end]))
        at = _skip(text, end)
        sign = text[at : at + 1]
        if sign == "]":
            _expect_end(text, at + 1)
            return found
        if sign != ",":
            raise json.JSONDecodeError("expected , or ]", text, at)
        at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _expect_end(text: str, at: int) -> None:
    at = _skip(text, at)
    if at < len(text):
        raise json.JSONDecodeError("expected nothing more", text, at)


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ") if "\n" in text or "\r" in text else text


def array_of(lines: bytes) -> bytes:
    """Return whole lines of messages as one JSON array."""
    return b"[" + lines.removesuffix(b"\n").replace(b"\n", b",") + b"]"


def whole_messages(data: bytes) -> int:
    """Return how many bytes at the beginning of `data` are whole messages."""
    return data.rfind(b"\n") + 1

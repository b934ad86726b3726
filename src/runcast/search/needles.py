"""Texts of which each match of a regular expression has at least one: what has none of them has no match.

Owns how an expression is read, by the parser of Python's own engine. Where nothing can be said, there are
no texts. Must not know logs, or how texts are found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

__all__ = ["needles_of"]

_SHORTEST = 2  # bytes: of a single one there are too many
_MOST = 8  # texts: each is searched for on its own
_REPLACEMENT = "\ufffd"  # stands for bytes that are not UTF-8

try:
    from re import _constants as _names  # type: ignore[attr-defined]
    from re import _parser  # type: ignore[attr-defined]
except ImportError:  # an interpreter with an engine of its own
    _parser = None


def needles_of(pattern: str, flags: int) -> tuple[bytes, ...]:
    """Return the texts of which each match has one, none if there are none that are certain.

    Args:
        pattern: a regular expression that is valid.
        flags: of its compiled form; with `re.IGNORECASE`, the texts are in small letters and ASCII.
    """
    if _parser is None:
        return ()
    try:
        parsed = _parser.parse(pattern, flags & ~re.DEBUG)
    except Exception:  # it is private to `re`: then searches are slower
        return ()
    return _of_sequence(parsed, ignore_case=bool(flags & re.IGNORECASE))


def _of_sequence(sequence: Iterable[tuple[Any, Any]], *, ignore_case: bool) -> tuple[bytes, ...]:
    best: tuple[bytes, ...] = ()
    run = b""
    for code, value in [*sequence, (None, None)]:
        data = _literal(value, ignore_case=ignore_case) if code is _names.LITERAL else b""
        if data:
            run += data
            continue
        for texts in ((run,), _of_item(code, value, ignore_case=ignore_case)):
            if _worth(texts) > _worth(best):
                best = texts
        run = b""
    return best


def _literal(code: int, *, ignore_case: bool) -> bytes:
    character = chr(code)
    if character == _REPLACEMENT or "\ud800" <= character <= "\udfff" or character in "\r\n\x1b":
        return b""
    if ignore_case:
        return character.lower().encode() if character.isascii() else b""
    return character.encode()


def _of_item(code: Any, value: Any, *, ignore_case: bool) -> tuple[bytes, ...]:
    if code is _names.SUBPATTERN and not value[1] and not value[2]:  # no flags of its own
        return _of_sequence(value[3], ignore_case=ignore_case)
    if code is _names.ATOMIC_GROUP:
        return _of_sequence(value, ignore_case=ignore_case)
    if code in (_names.MAX_REPEAT, _names.MIN_REPEAT, _names.POSSESSIVE_REPEAT) and value[0]:
        return _of_sequence(value[2], ignore_case=ignore_case)
    if code is _names.BRANCH:
        branches = [_of_sequence(branch, ignore_case=ignore_case) for branch in value[1]]
        return tuple({text for texts in branches for text in texts}) if all(branches) else ()
    return ()


def _worth(texts: tuple[bytes, ...]) -> int:
    """Return the length of the shortest text; 0 where the texts are of no use."""
    shortest = min(map(len, texts), default=0)
    return shortest if shortest >= _SHORTEST and len(texts) <= _MOST else 0

"""JSON objects from files and from outside: of bounded depth, with clear errors.

Owns what is accepted as a JSON object: UTF-8, no NaN, nested no deeper than every Python can walk. Must
not know what an object means.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from runcast.errors import FileDamaged
from runcast.sysio.files import SMALL, read_own

__all__ = ["parse_object", "read_json"]

_DEPTH = 200  # of JSON within JSON; Python's own limit depends on how deep the caller is


def read_json(path: str, most: int = SMALL) -> dict[str, Any]:
    """Return the JSON object in a small file of this user.

    Raises:
        FileNotFoundError: there is none.
        FileDamaged: it is not a file of this user, too long, or has something else in it.
    """
    data = read_own(path, most)
    try:
        return parse_object(data)
    except ValueError as error:
        raise FileDamaged(f"{path}: {error}") from None


def parse_object(data: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        ValueError: the bytes are something else; the message describes it.
    """
    try:
        value = _decode(data.decode())
        if data.count(b"[") + data.count(b"{") > _DEPTH:
            _check_depth(value)
    except json.JSONDecodeError as error:
        if not data.strip(b"\0 \t\r\n"):
            raise ValueError(f"expected a JSON object, it is empty{' (zeros)' * (0 in data)}") from None
        raise ValueError(f"expected a JSON object, got something else at byte {error.pos}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"expected a JSON object in UTF-8, byte {error.start} is not") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected a JSON object of a usual kind: {str(error)[:80]}") from None
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {json.dumps(value)[:40]}")
    return value


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).decode  # made once: json.loads would each time


def _check_depth(value: object) -> None:
    level, depth = [value], 0
    while level := [one for each in level for one in _inside(each)]:
        depth += 1
        if depth > _DEPTH:
            raise ValueError(f"it is nested more than {_DEPTH} deep")


def _inside(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()

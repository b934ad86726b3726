"""Values as PostgreSQL has them on the wire: its binary form, both ways. Knows no SQL, and no connection."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

__all__ = [
    *("BYTES", "INTEGER", "TEXT"),
    *("array", "double", "integer", "integers", "read_double", "read_integer", "read_integers"),
]

BYTES: Final = 17  # the numbers of types, which never change: pg_type.dat of its source
INTEGER: Final = 20
TEXT: Final = 25
_HEAD = struct.Struct(">iiiii")  # dimensions, whether there are nulls, type, length, the first index
_ELEMENT = struct.Struct(">i")
_INTEGER = struct.Struct(">q")
_DOUBLE = struct.Struct(">d")


def integer(value: int) -> bytes:
    """Return a bigint."""
    return _INTEGER.pack(value)


def double(value: float) -> bytes:
    """Return a float8."""
    return _DOUBLE.pack(value)


def integers(values: Sequence[int]) -> bytes:
    """Return an array of bigints."""
    return array(INTEGER, [_INTEGER.pack(value) for value in values])


def array(kind: int, values: Sequence[bytes]) -> bytes:
    """Return an array of values of a type."""
    if not values:
        return _HEAD.pack(0, 0, kind, 0, 0)[:12]
    parts = [_HEAD.pack(1, 0, kind, len(values), 1)]
    for value in values:
        parts.append(_ELEMENT.pack(len(value)))
        parts.append(value)
    return b"".join(parts)


def read_integer(data: bytes) -> int:
    """Return the number that a bigint has."""
    return int(_INTEGER.unpack(data)[0])


def read_double(data: bytes) -> float:
    """Return the number that a float8 has."""
    return float(_DOUBLE.unpack(data)[0])


def read_integers(data: bytes) -> tuple[int, ...]:
    """Return the numbers in an array of bigints without nulls."""
    count = (len(data) - _HEAD.size) // 12
    return struct.unpack_from(">" + "4xq" * count, data, _HEAD.size) if count > 0 else ()

"""Secret values: which are taken, the forms in which they are looked for, and which variables have them.

Owns the rules that people read (docs/howto/masking.md). A value is looked for as it is, line by line,
and as common programs write it: in Base64 wherever it begins in there, percent-encoded, within a
text of JSON, and as Python shows it. Starts are fast, so nothing large is imported.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from runcast.errors import UsageError
from runcast.masking.matcher import LEAST
from runcast.utf8 import encode

__all__ = [
    *("ADD_MASK", "LEAST_BYTES", "MOST_BYTES", "STARS", "check_values", "forms"),
    *("is_long", "lines_of", "secret_variables"),
]

LEAST_BYTES: Final = LEAST
STARS: Final = "***"
ADD_MASK: Final = b"::add-mask::"  # at the beginning of a line: what follows is one more value
MOST_BYTES: Final = 32 * 1024  # of all values together: each byte of them costs some memory of a run
# As Buildkite has them (`redacted-vars`), and the two that others add.
_ENDINGS = (
    *("_ACCESS_KEY", "_CONNECTION_STRING", "_CREDENTIALS", "_PASSPHRASE", "_PASSWORD", "_PRIVATE_KEY"),
    *("_SECRET", "_SECRET_KEY", "_TOKEN"),
)
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# What quote(safe=""), quote(), encodeURIComponent and encodeURI leave as it is.
_KEPT = (b"", b"/", b"!'()*", b":/?#@!$&'()*+,;=")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def check_values(values: Iterable[str]) -> None:
    """Refuse values that cannot be masked; no message has one of them.

    Raises:
        UsageError: one is shorter than `LEAST_BYTES`, or they are too large together.
    """
    total = 0
    for number, value in enumerate(values, 1):
        size = len(encode(value.strip()))
        if size < LEAST_BYTES:
            raise UsageError(
                f"expected mask with values of at least {LEAST_BYTES} bytes, got {size} as value {number}: "
                "shorter ones would hide much that is no secret; leave it out, or use a longer secret"
            )
        total += size
    if total > MOST_BYTES:
        raise UsageError(
            f"expected mask with at most {MOST_BYTES} bytes of values, got {total}: leave some out"
        )


def is_long(value: str) -> bool:
    """Return whether a value is long enough to be masked in output."""
    return len(encode(value.strip())) >= LEAST_BYTES


def secret_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables whose names say that their values are secret."""
    return {name: value for name, value in variables.items() if f"_{name.upper()}".endswith(_ENDINGS)}


def lines_of(value: str) -> Iterator[str]:
    """Return what of a value is secret by itself: the whole, and each of its lines, if long enough."""
    for part in dict.fromkeys((value, value.strip(), *map(str.strip, value.splitlines()))):
        if is_long(part):
            yield part


def forms(part: str) -> Iterator[bytes]:
    """Return the bytes that stand for a text in output, each of them at least `LEAST_BYTES` long."""
    data = encode(part)
    yield data
    yield from _base64(data)
    yield from _percent(data)
    for text in (json.dumps(part), json.dumps(part, ensure_ascii=False), repr(part)):
        yield encode(text[1:-1])


def _base64(data: bytes) -> Iterator[bytes]:
    """Return the letters that a value gives in Base64 after 0, 1 or 2 bytes of something else.

    A letter at either end may depend on what stands there beside the value: it is not part of it.
    """
    for before in range(3):
        text = b2a_base64(bytes(before) + data, newline=False)
        whole = text[(8 * before + 5) // 6 : 8 * (before + len(data)) // 6]
        alone = text.rstrip(b"=") if before == 0 else whole
        for letters in (whole, alone):
            if len(letters) >= LEAST_BYTES:
                yield letters
                yield letters.translate(_URL_SAFE)


def _percent(data: bytes) -> Iterator[bytes]:
    """Return a value percent-encoded, by each of the usual sets of bytes that stay as they are."""
    for changed in {frozenset(data).difference(_UNRESERVED, kept) for kept in _KEPT}:
        for form in (b"%%%02X", b"%%%02x") if changed else ():
            table = [form % byte if byte in changed else byte.to_bytes(1, "big") for byte in range(256)]
            yield b"".join(map(table.__getitem__, data))
            if b" " in data:
                table[ord(" ")] = b"+"
                yield b"".join(map(table.__getitem__, data))

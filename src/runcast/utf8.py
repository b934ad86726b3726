"""UTF-8: cutting it between characters, and which texts have bytes in it."""

from __future__ import annotations

from collections.abc import Hashable

__all__ = ["Characters", "cut", "encode", "is_text", "mend"]


class Characters:
    """Keeps characters whole when pieces of several texts are interleaved.

    At most three bytes of each text are held back, until its next piece or `flush`. Bytes that cannot
    become a character are passed on.
    """

    def __init__(self) -> None:
        self.held: dict[Hashable, bytes] = {}  # by text: an incomplete character

    def feed(self, text: Hashable, data: bytes) -> bytes:
        """Return the complete characters with the next piece of a text."""
        if held := self.held.pop(text, b""):
            data = held + data
        end = cut(data)
        if end < len(data):
            self.held[text] = data[end:]
            return data[:end]
        return data

    def flush(self) -> list[tuple[Hashable, bytes]]:
        """Return the incomplete characters, with their texts."""
        held, self.held = list(self.held.items()), {}
        return held


def cut(data: bytes, at: int | None = None) -> int:
    """Return `at` (by default the end), or up to 3 bytes less, so that no character is cut there.

    Only bytes that can still become a character count, not invalid ones.
    """
    at = len(data) if at is None else at
    for back in range(1, min(3, at) + 1):
        byte = data[at - back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            length = (
                2 if 0xC2 <= byte < 0xE0 else 3 if 0xE0 <= byte < 0xF0 else 4 if 0xF0 <= byte < 0xF5 else 1
            )
            return at - back if back < length else at
    return at


def encode(text: str | bytes) -> bytes:
    """Return the bytes of a text, which each `str` has: none is refused."""
    if not isinstance(text, str):
        return bytes(memoryview(text))  # a copy: the caller may change it afterwards
    try:
        return text.encode("utf-8", "surrogateescape")  # names of files that are not UTF-8 get their bytes
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")  # half of a pair


def mend(data: bytes) -> bytes:
    """Return valid UTF-8: the bytes themselves, with U+FFFD in place of invalid ones."""
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            return data.decode(errors="replace").encode()
    return data


def is_text(value: object) -> bool:
    """Return whether a value is text that has bytes: names and arguments need not be UTF-8 (PEP 383)."""
    if not isinstance(value, str):
        return False
    try:
        value.encode("utf-8", "surrogateescape")  # names and arguments need not be UTF-8
    except UnicodeEncodeError:
        return False
    return True

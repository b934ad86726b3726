"""Where UTF-8 may be cut. Two bytes of a character are no character, in any form."""

from __future__ import annotations

from collections.abc import Hashable

__all__ = ["Characters", "cut", "mend"]


class Characters:
    """Keeps characters whole where several texts are written into one, a piece of each in turn.

    At most three bytes of each text are held back, until its next piece or `flush`. What can
    become no character is passed on.
    """

    def __init__(self) -> None:
        self.held: dict[Hashable, bytes] = {}  # by text: the beginning of a character

    def feed(self, text: Hashable, data: bytes) -> bytes:
        """Return what is whole with the next piece of a text."""
        if held := self.held.pop(text, b""):
            data = held + data
        end = cut(data)
        if end < len(data):
            self.held[text] = data[end:]
            return data[:end]
        return data

    def flush(self) -> list[tuple[Hashable, bytes]]:
        """Return the beginnings whose ends never came, with their texts."""
        held, self.held = list(self.held.items()), {}
        return held


def cut(data: bytes, at: int | None = None) -> int:
    """Return `at` (by default the end), or up to 3 bytes less, so that no sequence is cut there.

    Only what can still become a character counts: bytes that are invalid anyway are not spared.
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


def mend(data: bytes) -> bytes:
    """Return valid UTF-8: the bytes themselves, or U+FFFD wherever they are none."""
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            return data.decode(errors="replace").encode()
    return data

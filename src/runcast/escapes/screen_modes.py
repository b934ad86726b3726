"""What a program has changed of the terminal that shows its output: alternate screen, mouse, cursor, colors.

Owns the bytes that undo these changes, for the terminal must be usable when its owner gets it back, and
those that make them again. It sees what is shown and changes none of it.
"""

from __future__ import annotations

import re
from typing import Final

from runcast.escapes.found import Found

__all__ = ["ScreenModes"]

_SEQUENCE: Final = re.compile(
    rb"\x1b(?:"
    rb"\[\?(?P<modes>[0-9;]{1,60})(?P<on>[hl])"
    rb"|\[(?P<region>[0-9;]{0,12})r"
    rb"|\[(?P<colors>[0-9;:]{0,60})m"
    rb"|\[>(?P<pushed>[0-9;]{0,12})u"
    rb"|\[<(?P<popped>[0-9]{0,4})u"
    rb"|\[>4;?(?P<keys>[0-9]?)m"
    rb"|\[(?P<cursor>[0-9]?) q"
    rb"|\((?P<charset>[0-9A-Z])"
    rb"|(?P<keypad>[=>])"
    rb"|(?P<reset>c|\[!p)"
    rb")"
)
_ON_BY_DEFAULT: Final = frozenset({7, 25})  # wrapping lines, and the cursor
_SCREENS: Final = (47, 1047, 1049)
_MODES: Final = frozenset(
    {
        *_ON_BY_DEFAULT,
        *_SCREENS,
        1,
        5,
        6,
        9,
        45,
        66,
        *range(1000, 1007),
        1015,
        1016,
        2004,
        2026,
        2027,
        2031,
        2048,
    }
)


class ScreenModes:
    """The changes so far. Feed it with all that is shown."""

    def __init__(self) -> None:
        self._found = Found(_SEQUENCE)
        self._clear()

    def _clear(self) -> None:
        self._changed: dict[int, bool] = {}  # private modes that differ from the default, in order
        self._colors = b""
        self._region = b""
        self._charset = b""
        self._keypad = False
        self._pushed: list[bytes] = []  # flags of kitty's keyboard protocol
        self._keys = b""
        self._cursor = b""

    def feed(self, data: bytes) -> None:
        """Note what some output changes."""
        for found in self._found.feed(data):
            self._note(found)

    def _note(self, found: re.Match[bytes]) -> None:
        name = found.lastgroup
        assert name is not None
        value = found[name]
        if name == "on":
            for number in found["modes"].split(b";"):
                self._set(int(number or b"0"), value == b"h")
        elif name == "reset":
            self._clear()
        elif name == "colors":
            self._colors = b"" if value in (b"", b"0") else self._colors + found[0]
            if len(self._colors) > 1024:
                self._colors = found[0]
        elif name == "region":
            self._region = found[0] if value.strip(b";") else b""
        elif name == "charset":
            self._charset = b"" if value == b"B" else found[0]
        elif name == "keypad":
            self._keypad = value == b"="
        elif name == "pushed":
            self._pushed = [*self._pushed[-15:], found[0]]
        elif name == "popped":
            count = int(value or b"1")
            self._pushed = self._pushed[: max(len(self._pushed) - count, 0)]
        elif name == "keys":
            self._keys = b"" if value in (b"", b"0") else found[0]
        else:
            self._cursor = b"" if value in (b"", b"0") else found[0]

    def _set(self, number: int, on: bool) -> None:
        if number in _MODES:
            self._changed.pop(number, None)
            if on != (number in _ON_BY_DEFAULT):
                self._changed[number] = on

    @property
    def full(self) -> bool:
        """Whether a program has the alternate screen, and so the whole of it."""
        return not self._changed.keys().isdisjoint(_SCREENS)

    @property
    def undo(self) -> bytes:
        """What brings the terminal back: the screen before a full-screen program, with a visible cursor."""
        parts = [b"\x1b[<%du" % len(self._pushed)] if self._pushed else []
        parts += [b"\x1b[>4m"] if self._keys else []
        parts += [b"\x1b[0 q"] if self._cursor else []
        parts += [b"\x1b[m"] if self._colors else []
        parts += [b"\x1b(B"] if self._charset else []
        parts += [b"\x1b>"] if self._keypad else []
        parts += [b"\x1b7\x1b[r\x1b8"] if self._region else []  # without saving, the cursor would go home
        changed = list(self._changed.items())[::-1]
        screens = [one for one in changed if one[0] in _SCREENS]
        for number, on in [one for one in changed if one[0] not in _SCREENS] + screens:
            parts.append(b"\x1b[?%d%b" % (number, b"l" if on else b"h"))
        return b"".join(parts)

    @property
    def redo(self) -> bytes:
        """What makes the changes again, on a terminal without them."""
        parts = [b"\x1b[?%d%b" % (number, b"h" if on else b"l") for number, on in self._changed.items()]
        parts += [*self._pushed, self._keys, self._cursor, self._colors, self._charset, self._region]
        return b"".join([*parts, b"\x1b=" if self._keypad else b""])

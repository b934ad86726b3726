"""Removal of control sequences, which a terminal would execute instead of show (`--safe`).

Owns one rule: only printable bytes, LF, CR and TAB remain. Escape sequences are removed whole: CSI
(colours, cursor), two-byte escapes, and the strings OSC, DCS, SOS, PM and APC (titles, links,
clipboards, images), as in ECMA-48 and xterm's ctlseqs, introduced by ESC or by a C1 code in UTF-8. A
line feed ends such a string: an unfinished one must not swallow the rest of the output. Pure and
incremental: it keeps a state and at most one byte between pieces.
"""

from __future__ import annotations

import re
from enum import Enum, auto

__all__ = ["Stripper"]

_SHOWN = b"\n\r\t"  # controls that stay, even in the middle of a sequence
_ABORT = b"\x18\x1a"  # CAN and SUB end any sequence
_C1_LEAD = 0xC2  # U+0080 to U+009F are C2 80 to C2 9F
_TO_LOOK_AT = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\xc2]")
_ENDS_STRING = re.compile(rb"[\n\x07\x18\x1a\x1b\xc2]")


class _State(Enum):
    TEXT = auto()
    ESCAPE = auto()  # behind ESC
    INTERMEDIATE = auto()  # behind ESC and one of SP to /: one more byte ends it
    CSI = auto()
    STRING = auto()


# By the letter behind ESC; the C1 code is the letter + 0x40.
_OPENS = {b"["[0]: _State.CSI} | dict.fromkeys(b"]PX^_", _State.STRING)


class Stripper:
    """Strips the bytes of one channel, in pieces of any size."""

    def __init__(self) -> None:
        self._state = _State.TEXT
        self._held = b""  # a C2 whose second byte is missing

    def feed(self, data: bytes) -> bytes:
        """Return the harmless bytes of the next piece."""
        data = self._held + data
        self._held = b""
        shown: list[bytes] = []
        at = 0
        while at < len(data):
            if self._state is _State.TEXT:
                at = self._text(data, at, shown)
            elif self._state is _State.STRING:
                at = self._string(data, at, shown)
            else:
                at = self._sequence(data, at, shown)
        return b"".join(shown)

    def _text(self, data: bytes, at: int, shown: list[bytes]) -> int:
        found = _TO_LOOK_AT.search(data, at)
        if found is None:
            shown.append(data[at:])
            return len(data)
        shown.append(data[at : found.start()])
        at = found.start()
        if data[at] == _C1_LEAD:
            return self._c1(data, at, shown)
        if data[at] == 0x1B:
            self._state = _State.ESCAPE
        return at + 1

    def _c1(self, data: bytes, at: int, shown: list[bytes]) -> int:
        """Process a C2 and the next byte: terminals execute a C1 code, any other character is text."""
        if at + 1 == len(data):
            self._held = data[at:]
            return len(data)
        second = data[at + 1]
        if 0x80 <= second <= 0x9F:
            self._state = _OPENS.get(second - 0x40, _State.TEXT)
            return at + 2
        if self._state is _State.TEXT and 0xA0 <= second <= 0xBF:
            shown.append(data[at : at + 1])  # only then: removed bytes could lie between it and an 80
        return at + 1

    def _string(self, data: bytes, at: int, shown: list[bytes]) -> int:
        found = _ENDS_STRING.search(data, at)
        if found is None:
            return len(data)
        at = found.start()
        if data[at] == _C1_LEAD:
            return self._c1(data, at, shown)
        if data[at] == 0x1B:  # ESC \ ends it; ESC and anything else ends it, too, and begins that
            self._state = _State.ESCAPE
            return at + 1
        self._state = _State.TEXT
        return at if data[at] == 0x0A else at + 1

    def _sequence(self, data: bytes, at: int, shown: list[bytes]) -> int:
        """Process one byte of an escape or control sequence; terminals execute controls within it."""
        byte = data[at]
        if byte in _SHOWN:
            shown.append(data[at : at + 1])
        elif byte in _ABORT:
            self._state = _State.TEXT
        elif byte == 0x1B:
            self._state = _State.ESCAPE
        elif byte >= 0x80:  # no sequence has such a byte: it is text
            self._state = _State.TEXT
            return at
        elif self._state is _State.CSI:
            if 0x40 <= byte <= 0x7E:
                self._state = _State.TEXT
        elif 0x20 <= byte <= 0x2F:
            self._state = _State.INTERMEDIATE
        elif 0x30 <= byte <= 0x7E:
            opens = self._state is _State.ESCAPE
            self._state = _OPENS.get(byte, _State.TEXT) if opens else _State.TEXT
        return at + 1

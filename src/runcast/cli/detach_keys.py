r"""The keys that detach a terminal from a run: their notation, and how they are found in what is typed.

    ctrl-\,d        the default: Ctrl-\ and then d
    ctrl-p,ctrl-q   those of docker

Owns what is held back: the first key of the sequence is sent on when another key follows it than the second,
or when `HOLD_SECONDS` have passed. So a program still gets its SIGQUIT by Ctrl-\.

Programs may have the terminal report keys in longer forms (kitty's protocol, modifyOtherKeys of xterm).
Those are found, too.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Final

from runcast.errors import UsageError

__all__ = ["DEFAULT", "HOLD_SECONDS", "DetachKeys", "parse_keys"]

DEFAULT: Final = "ctrl-\\,d"
# Ctrl-\ is seldom typed, and unlike Ctrl-P, Ctrl-A and Ctrl-B it is no key of shells, editors or tmux.
HOLD_SECONDS: Final = 1.0
_CONTROL: Final = re.compile(r"ctrl-([a-z@\[\\\]^_])", re.IGNORECASE)
_MOST_KEYS: Final = 8


def parse_keys(text: str) -> tuple[str, ...]:
    """Return the keys of a sequence, each as the character that it types; none for an empty text.

    Raises:
        UsageError: it is no such sequence.
    """
    keys = []
    for name in text.split(",") if text else []:
        if found := _CONTROL.fullmatch(name):
            keys.append(chr(ord(found[1].upper()) & 0x1F))
        elif len(name) == 1 and name.isascii() and name.isprintable():
            keys.append(name)
        else:
            raise UsageError(
                "expected keys to detach with as characters and ctrl-CHARACTER with commas between, such as "
                f"ctrl-p,ctrl-q, got {name[:40]!r} in {text[:80]!r}"
            )
    if len(keys) > _MOST_KEYS:
        raise UsageError(f"expected at most {_MOST_KEYS} keys to detach with, got {len(keys)}")
    return tuple(keys)


class DetachKeys:
    """Finds the keys in what is typed.

    Attributes:
        held: what was typed and may be the beginning of the sequence.

    Args:
        keys: the sequence; empty for none.
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        forms = [_forms(key) for key in keys]
        self._first = forms[0] if forms else ()
        self._whole = [b"".join(one) for one in product(*forms)] if forms else []
        self.held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Return what to send on, and whether the sequence was typed: what follows it is dropped."""
        data, self.held = self.held + data, b""
        found = [at for whole in self._whole if (at := data.find(whole)) >= 0]
        if found:
            return data[: min(found)], True
        for first in self._first:
            # Not the beginning of a longer form: the Escape key would wait, too.
            at = data.rfind(first)
            if at >= 0 and any(whole.startswith(data[at:]) for whole in self._whole):
                self.held = data[at:]
                return data[:at], False
        return data, False

    def release(self) -> bytes:
        """Return what is held back: nothing has followed it."""
        data, self.held = self.held, b""
        return data


def _forms(key: str) -> tuple[bytes, ...]:
    """Return what a terminal may send for a key."""
    code = ord(key)
    if code >= 0x20:
        return key.encode(), b"\x1b[%du" % code
    letter = code + 0x40 if code in (0x00, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F) else code + 0x60
    return key.encode(), b"\x1b[%d;5u" % letter, b"\x1b[27;5;%d~" % letter

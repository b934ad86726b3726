"""Progress in output: OSC 9;4, by which programs have a terminal's window show how far they are.

Owns the meaning of its two numbers, as ConEmu and Windows Terminal define it. Of several programs that send
it at once the last one counts.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["BEGINNING", "ENDS", "KEEPS_VALUE", "PROGRESS", "progress_of"]

BEGINNING = b"\x1b]9;4;"
ENDS = (b"\x07", b"\\")
PROGRESS = re.compile(rb"\x1b\]9;4;([0-4])(?:;([0-9]{0,3}))?;?(?:\x07|\x1b\\)")
_STATUS = {b"0": "done", b"1": "running", b"2": "error", b"3": "running", b"4": "paused"}
KEEPS_VALUE = ("error", "paused")  # without a value: how far it was
_WITH_VALUE = b"124"
_PERCENT = 100


def progress_of(match: re.Match[bytes]) -> dict[str, Any]:
    """Return the progress that a match stands for, as `runcast.progress` has it, with a status."""
    state, value = match[1], match[2]
    done = min(int(value), _PERCENT) if value and state in _WITH_VALUE else None
    return {
        "done": done,
        "total": None if done is None else _PERCENT,
        "text": "",
        "status": _STATUS[state],
    }

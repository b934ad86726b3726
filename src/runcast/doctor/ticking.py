"""The run that `runcast doctor --url` reads: silent for a while, then a numbered line at a time.

Owns its program, and what its reader must know of it. Every `runcast serve` can start it, by a name that no
command of a file can have, for those who may start it; nothing of it is chosen by a client but the silence.
"""

from __future__ import annotations

import sys
from typing import Final

__all__ = ["COUNT", "MOST_SILENT", "NAME", "argv"]

NAME: Final = "runcast doctor"
COUNT: Final = 12  # lines
MOST_SILENT: Final = 300  # seconds
# The first line is long, since some proxies compress, and collect, only what begins with 512 bytes.
_PROGRAM: Final = f"""
import sys, time
time.sleep(int(sys.argv[1]))
for number in range(1, {COUNT + 1}):
    print("tick %d %.6f;" % (number, time.time()), "-" * 700 if number == 1 else "", flush=True)
    time.sleep(0.25)
"""


def argv(silent: str) -> list[str]:
    """Return its arguments, with so many seconds of silence."""
    return [sys.executable, "-I", "-S", "-c", _PROGRAM, silent]

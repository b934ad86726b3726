"""The line that output ends in, as a terminal shows it: the question that a program waits with.

Owns one line of cells, for what editors of one line do: colors are omitted, the cursor moves within the
line, parts of it are erased and overwritten. A move to another line begins a new one. Each character
counts as one cell.
"""

from __future__ import annotations

import re

__all__ = ["QUESTION_LENGTH", "TAIL_BYTES", "last_line", "last_text"]

TAIL_BYTES = 1024  # of output, which contain a question and its escape sequences
QUESTION_LENGTH = 200  # characters
_MOST_CELLS = 4096
_SEQUENCE = re.compile(
    r"\x1b\[(?P<params>[0-?]*)[ -/]*(?P<final>[@-~])"
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)"
    r"|\x1b(?:\[[0-?]*[ -/]*)?$"
    r"|\x1b[ -/]*[0-~]?"
    r"|(?P<text>[^\x1b])"
)
_ELSEWHERE = "HfdABEFST"  # another line


def last_line(tail: bytes) -> str:
    """Return the unfinished line at the end of output; empty if that ends with a line.

    Args:
        tail: the last bytes of one channel.
    """
    return _shown(tail[tail.rfind(b"\n") + 1 :])[-QUESTION_LENGTH:]


def last_text(tail: bytes) -> str:
    """Return the last line with text in it, finished or not, at most 200 characters of its beginning.

    Args:
        tail: the last bytes of one channel.
    """
    while tail:
        before, _, line = tail.rpartition(b"\n")
        if text := _shown(line.rstrip(b"\r")):
            return text[:QUESTION_LENGTH]
        tail = before
    return ""


def _shown(line: bytes) -> str:
    """Return a line without its end as a terminal shows it, without what is around its text."""
    text = line.decode("utf-8", "replace")
    cells: list[str] = []
    at = 0
    for match in _SEQUENCE.finditer(text):
        if (char := match["text"]) is not None:
            at = _put(cells, at, char)
        elif (final := match["final"]) is not None:
            at = _control(cells, at, final, match["params"])
    return "".join(cells).strip()


def _put(cells: list[str], at: int, char: str) -> int:
    if char == "\r":
        return 0
    if char == "\b":
        return max(at - 1, 0)
    if char == "\t":
        char = " "
    if not char.isprintable() or at >= _MOST_CELLS:
        return at
    cells[at : at + 1] = [" "] * (at - len(cells)) + [char]
    return at + 1


def _control(cells: list[str], at: int, final: str, params: str) -> int:
    number = int(params) if params.isdecimal() else 0
    if final in _ELSEWHERE or (final == "J" and number):
        cells.clear()
        return 0
    if final in "KJ":
        if number == 0:
            del cells[at:]
        else:
            until = at + 1 if number == 1 else len(cells)
            cells[:until] = [" "] * min(until, len(cells))
    elif final == "C":
        at += number or 1
    elif final == "D":
        at -= number or 1
    elif final in "G`":
        at = number - 1
    elif final == "P":
        del cells[at : at + (number or 1)]
    return min(max(at, 0), _MOST_CELLS)

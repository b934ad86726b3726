"""What the programs of a run ask its terminal, replied to by its supervisor and by nobody else.

Owns when there is a reply: only while the terminal is not in canonical mode. A program that waits for a
reply has left that mode, since no line ends with it; while `cat` shows a file with questions in it, the
mode is still that of the shell, and nothing is typed. The replies are fixed (escapes/queries.py).
"""

from __future__ import annotations

from collections.abc import Callable

from runcast.escapes.found import Found
from runcast.escapes.queries import ANSWERED, answer

__all__ = ["Answers"]

_MOST = 16  # replies to one piece of output: 4 KiB of it can have a thousand questions


class Answers:
    """Replies to the questions in the output of one terminal.

    Args:
        reply: has a reply typed. What finds no room there is dropped.
        rows: returns how many rows the terminal has.
        canonical: returns whether it is in canonical mode.
    """

    def __init__(
        self, reply: Callable[[bytes], object], rows: Callable[[], int], canonical: Callable[[], bool]
    ) -> None:
        self._reply, self._rows, self._canonical = reply, rows, canonical
        self._found = Found(ANSWERED)

    def watch(self, data: bytes) -> None:
        """Look at the next piece of output."""
        queries = [match[0] for match in self._found.feed(data)][:_MOST]
        if queries and not self._canonical():
            rows = self._rows()
            self._reply(b"".join(answer(query, rows) for query in queries))

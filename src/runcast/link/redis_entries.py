"""Entries of a stream, and how many to read at once: a server counts entries, a link has a limit of bytes."""

from __future__ import annotations

from runcast.link.base import PUT_BYTES, Entry

__all__ = ["Counts", "entry_of"]

_FIRST, _MOST = 16, 512  # entries at once: 1 MiB and 32 MiB at the very most, beyond what is wanted


def entry_of(name: bytes, fields: list[bytes]) -> Entry:
    """Return an entry of a stream."""
    end = int(name.partition(b"-")[0])
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    data = values[b"d"]
    return Entry(int(values[b"s"]) if b"s" in values else end - len(data), end, data, values[b"i"])


class Counts:
    """How many entries to read of each run: few at first, more while they fit."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def count(self, run: str, limit: int) -> tuple[int, bool]:
        """Return how many to read, for so many bytes, and whether the last read did not reach the tail."""
        known = self._counts.get(run)
        return known or min(max(_FIRST, limit // PUT_BYTES), _MOST), known is not None

    def learn(self, run: str, count: int, found: int, fitting: int) -> None:
        """Take note of what a read of `count` entries has found, and how many of them did fit the limit."""
        if fitting < found:
            self._counts[run] = max(1, fitting)
        elif found == count:
            self._counts[run] = min(2 * count, _MOST)
        else:  # the tail
            self._counts.pop(run, None)

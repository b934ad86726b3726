"""Where any of many byte strings occurs, and where one of them may begin: in Python, at the speed of C.

Owns the search. Most output has no secret in it, so almost all time goes into finding that out. A long
pattern has at least one word of eight bytes at a multiple of 16, wherever it lies; so the words there are
looked up in a set of all such words of all patterns, by one call, at a cost that does not grow with the
number of patterns. Only where one is found each pattern is looked for. Does not know what is secret.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

__all__ = ["LEAST", "Matcher", "Span"]

LEAST: Final = 4  # bytes of a pattern
Span = tuple[int, int]
"""Where something begins, and just past its end."""

_WORD = 8
_SPARSE = 16  # between the words that are looked up, where all patterns are long enough …
_LONG = _SPARSE + _WORD - 1  # … to have one there wherever they lie
_MIDDLE = 2 * _WORD - 1  # the same for every word
_FEW = 20  # patterns of a middle length, which are sooner looked for one by one …
_SMALL = 1024  # … but not in few bytes


class Matcher:
    """Finds patterns of at least `LEAST` bytes.

    Attributes:
        known: the patterns.
    """

    def __init__(self) -> None:
        self.known: set[bytes] = set()
        self._long: list[bytes] = []
        self._middle: list[bytes] = []
        self._short: list[bytes] = []
        self._sparse: set[int] = set()  # words of the long ones
        self._dense: set[int] = set()  # of those of a middle length, and of the long ones
        self._begun: list[bytes] = []  # whose beginnings count
        self._heads: set[bytes] = set()  # the first one, two and three bytes of those
        self._quads: set[int] = set()  # each four bytes within them
        self._new: list[bytes] = []  # what is not in the sets yet

    def add(self, pattern: bytes) -> None:
        """Look for one more pattern."""
        if pattern in self.known:
            return
        self.known.add(pattern)
        self.expect(pattern)
        size = len(pattern)
        (self._short if size < _MIDDLE else self._middle if size < _LONG else self._long).append(pattern)

    def expect(self, pattern: bytes) -> None:
        """Have `held` know the beginnings of a pattern, whether or not it is looked for."""
        self._begun.append(pattern)
        self._new.append(pattern)

    def _index(self) -> None:
        """Enter new patterns into the sets. Not when they are added: a start may need none of them."""
        new, self._new = self._new, []
        for pattern in new:
            self._heads.update((pattern[:1], pattern[:2], pattern[:3]))
            for at in range(LEAST):
                end = len(pattern) - (len(pattern) - at) % LEAST
                self._quads.update(memoryview(pattern)[at:end].cast("I"))
            if len(pattern) < _MIDDLE or pattern not in self.known:
                continue
            words = [_word(pattern, at) for at in range(_WORD)]
            self._dense.update(words)
            if len(pattern) >= _LONG:
                self._sparse.update(words, [_word(pattern, at) for at in range(_WORD, _SPARSE)])

    def covered(self, data: bytes) -> list[Span]:
        """Return the parts of some bytes that belong to an occurrence; they neither touch nor overlap."""
        hits = self._found(data)
        return joined([span for pattern in hits for span in _occurrences(pattern, data)]) if hits else []

    def _found(self, data: bytes) -> list[bytes]:
        """Return patterns, among them all that occur."""
        size = len(data)
        if self._new:
            if size <= _SMALL:
                return [pattern for pattern in self.known if pattern in data]
            self._index()
        hits = [pattern for pattern in self._short if pattern in data]
        if size < _MIDDLE or not self._dense:
            return hits
        words = memoryview(data)[: size & -_WORD].cast("Q")
        if size <= _SMALL or len(self._middle) > _FEW:
            if not self._dense.isdisjoint(words):
                hits += [*self._long, *self._middle]
            return hits
        hits += [pattern for pattern in self._middle if pattern in data]
        if self._long and not self._sparse.isdisjoint(words[:: _SPARSE // _WORD]):
            hits += self._long
        return hits

    def held(self, data: bytes) -> int:
        """Return where the longest end of some bytes begins that may be the beginning of a pattern."""
        if self._new:
            self._index()
        size = len(data)
        last = data[-LEAST:]
        if len(last) == LEAST and int.from_bytes(last, sys.byteorder) in self._quads:
            longest = max((_beginning(pattern, data, last) for pattern in self._begun), default=0)
            if longest:
                return size - longest
        for length in (3, 2, 1):
            if data[-length:] in self._heads and size >= length:
                return size - length
        return size


def _word(pattern: bytes, at: int) -> int:
    return int.from_bytes(pattern[at : at + _WORD], sys.byteorder)


def _occurrences(pattern: bytes, data: bytes) -> Iterator[Span]:
    at = data.find(pattern)
    if at < 0:
        return
    step = _period(pattern)
    while at >= 0:
        yield at, at + len(pattern)
        at = data.find(pattern, at + step)


def _beginning(pattern: bytes, data: bytes, last: bytes) -> int:
    """Return how many bytes at the end of some data, of which `last` are the last, begin a pattern."""
    end = len(pattern) - 1
    while (at := pattern.rfind(last, 0, end)) >= 0:
        if data.endswith(pattern[: at + LEAST]):
            return at + LEAST
        end = at + LEAST - 1
    return 0


def joined(spans: list[Span]) -> list[Span]:
    """Return spans in order, those that touch or overlap as one."""
    spans.sort()
    made = spans[:1]
    for start, end in spans[1:]:
        if start <= made[-1][1]:
            made[-1] = made[-1][0], max(made[-1][1], end)
        else:
            made.append((start, end))
    return made


def _period(pattern: bytes) -> int:
    """Return how far apart two occurrences are at least: by how much a pattern can overlap itself."""
    at = pattern.find(pattern[:1], 1)
    while at >= 0:
        if pattern.startswith(pattern[at:]):
            return at
        at = pattern.find(pattern[:1], at + 1)
    return len(pattern)

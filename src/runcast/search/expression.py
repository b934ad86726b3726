"""What a search looks for: a text or a regular expression, with or without case.

Owns which lines of a block match, at the speed of one scan over the whole block where that is possible. A
line is looked at as a reader sees it: decoded, without its end and without escape sequences. Must not know
logs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from heapq import merge
from typing import NamedTuple

from runcast.errors import UsageError
from runcast.search.finding import contains, occurrences
from runcast.search.needles import needles_of

__all__ = ["Expression", "Match", "count_lines"]

_MOST = 4096  # characters of an expression
# Sequences that move no text: CSI, OSC and other strings up to their end, two-byte escapes (ECMA-48).
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
# What can tell the end of a block from the end of a line, or gives up nothing that it has taken: assertions,
# flags, atomic groups. Groups with and without a name are not among it.
_BOUND_TO_BLOCK = re.compile(r"\(\?(?!:|P<|P=|#)|\\[AZ]|[*+?}]\+")
_BYTES_A_LINE = 1024  # with needles nearer than that, one scan for the expression itself is faster


class Match(NamedTuple):
    """A line of a block that matches.

    Attributes:
        number: of the line in the block, counted from 0.
        begin: where it begins in the block.
        end: where its line feed is, or the block's end.
    """

    number: int
    begin: int
    end: int


class Expression:
    """A text, or a regular expression in Python's syntax, that is searched for in single lines.

    Args:
        text: what is searched for; a line end is in no line.
        regex: whether it is a regular expression.
        ignore_case: whether the case of letters counts nothing.

    Raises:
        UsageError: it is empty, too long, has a line end, or is no regular expression.
    """

    def __init__(self, text: str, *, regex: bool = False, ignore_case: bool = False) -> None:
        if not 0 < len(text) <= _MOST:
            raise UsageError(f"expected 1 to {_MOST:,} characters to search for, got {len(text):,}")
        if not regex and ("\n" in text or "\r" in text):
            raise UsageError(
                "expected a text within a line to search for, got a line end: search for one line"
            )
        try:
            pattern = text if regex else re.escape(text)
            self._pattern = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
            self._in_block = re.compile(pattern, self._pattern.flags | re.MULTILINE)
        except (re.error, RecursionError, OverflowError) as error:
            at = getattr(error, "pos", None)
            place = "" if at is None else f" at character {at + 1}"
            reason = getattr(error, "msg", str(error))
            raise UsageError(
                f"expected a regular expression, got {text[:80]!r}: {reason}{place}; "
                "without regex it is searched for as it stands"
            ) from None
        self._ignore_case = bool(self._pattern.flags & re.IGNORECASE)
        self._by_line = regex and bool(_BOUND_TO_BLOCK.search(pattern))
        self._is_needle = not regex and (text.isascii() or not self._ignore_case)
        if not self._is_needle:
            self._needles = needles_of(pattern, self._pattern.flags)
        else:
            self._needles = ((text.lower() if ignore_case else text).encode(errors="surrogateescape"),)

    def matches(self, line: bytes) -> bool:
        """Return whether a single line, with or without its end, matches."""
        return next(self.lines(line.removesuffix(b"\n")), None) is not None

    def rules_out(self, block: bytes) -> bool:
        """Return whether certainly no line of a block matches, which most blocks show at one look."""
        if not self._needles or b"\x1b" in block:
            return False
        if self._ignore_case:
            if not block.isascii():
                return False
            block = block.lower()
        return not any(contains(block, needle) for needle in self._needles)

    def lines(self, block: bytes) -> Iterator[Match]:
        """Yield the lines of a block that match, in order.

        Args:
            block: lines that end with LF; the last one may be without.
        """
        if b"\x1b" in block:
            stripped = _ESCAPES.sub(b"", block)
            yield from _in_original(block, self._plain_lines(stripped))
        else:
            yield from self._plain_lines(block)

    def _plain_lines(self, block: bytes) -> Iterator[Match]:
        """Yield the lines that match in a block without escape sequences."""
        candidates = self._candidates(block)
        if candidates is None:
            return self._scanned(block)
        if self._is_needle:
            return _lines_at(block, candidates)
        # Where no line may match, nothing is decoded; where many may, one scan is faster than one for each.
        few = len(block) // _BYTES_A_LINE + 1
        first = [place for place, _ in zip(candidates, range(few), strict=False)]
        if len(first) == few:
            return self._scanned(block)
        search = self._pattern.search
        return (found for found in _lines_at(block, iter(first)) if search(_text_of(block, found)))

    def _candidates(self, block: bytes) -> Iterator[int] | None:
        """Return where lines that may match have one of the needles; None where nothing is certain."""
        if not self._needles:
            return None
        if self._ignore_case:
            if not block.isascii():  # other letters may be an ASCII one in another case, as U+212A is a k
                return None
            block = block.lower()
        if len(self._needles) == 1:
            return occurrences(block, self._needles[0])
        return merge(*(occurrences(block, needle) for needle in self._needles))

    def _scanned(self, block: bytes) -> Iterator[Match]:
        """Yield the lines that match, found by the expression itself."""
        if b"\r" in block:
            ends = block.replace(b"\r\n", b"\n").removesuffix(b"\r")
            if len(ends) < len(block):
                yield from _in_original(block, self._scanned(ends))
                return
        text = block.removesuffix(b"\n").decode(errors="replace")
        if len(text) != len(block.removesuffix(b"\n")):
            yield from _in_original(block, self._in_text(text))
        else:
            yield from self._in_text(text)

    def _in_text(self, text: str) -> Iterator[Match]:
        """Yield the lines of a text that match; places count its characters."""
        search = self._pattern.search
        if self._by_line:
            begin = 0
            for number, line in enumerate(text.split("\n")):
                if search(line):
                    yield Match(number, begin, begin + len(line))
                begin += len(line) + 1
            return
        number = at = 0  # of the line that is looked at next, and where it begins
        while (found := self._in_block.search(text, at)) is not None:
            number += text.count("\n", at, found.start())
            begin = text.rfind("\n", 0, found.start()) + 1
            end = text.find("\n", found.end())
            end = len(text) if end < 0 else end
            # A match may have taken line ends: then its lines count one by one.
            for line in text[begin:end].split("\n"):
                if search(line):
                    yield Match(number, begin, begin + len(line))
                number += 1
                begin += len(line) + 1
            at = end + 1
            if at > len(text):
                return


def count_lines(block: bytes, begin: int, end: int) -> int:
    """Return how many line feeds there are between two places.

    `bytes.count` looks at every byte; removing them searches with memchr, which pays from some length on.
    """
    if end - begin < 4096:
        return block.count(b"\n", begin, end)
    part = block[begin:end]
    return len(part) - len(part.replace(b"\n", b""))


def _lines_at(block: bytes, places: Iterator[int]) -> Iterator[Match]:
    """Yield the lines that have these places, each once."""
    number = at = 0
    end = -1
    for place in places:
        if place < end:
            continue  # in the line before
        begin = block.rfind(b"\n", 0, place) + 1
        number += count_lines(block, at, begin)
        end = block.find(b"\n", place)
        end = len(block) if end < 0 else end
        yield Match(number, begin, end)
        at = begin


def _in_original(block: bytes, matches: Iterator[Match]) -> Iterator[Match]:
    """Yield the same lines with their places in a block, of which other bytes were searched."""
    number = at = 0
    for match in matches:
        for _ in range(match.number - number):
            at = block.index(b"\n", at) + 1
        number = match.number
        end = block.find(b"\n", at)
        yield Match(number, at, len(block) if end < 0 else end)


def _text_of(block: bytes, match: Match) -> str:
    return block[match.begin : match.end].removesuffix(b"\r").decode(errors="replace")

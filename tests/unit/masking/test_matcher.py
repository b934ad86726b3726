"""The search for many byte strings: where they occur, and where one may begin."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.masking.matcher import LEAST, Matcher

WORDS = st.binary(min_size=LEAST, max_size=40)
FEW_LETTERS = st.lists(st.sampled_from([b"a", b"b"]), min_size=LEAST, max_size=30).map(b"".join)


def of(patterns: list[bytes]) -> Matcher:
    matcher = Matcher()
    for pattern in patterns:
        matcher.add(pattern)
    return matcher


def flags(patterns: list[bytes], data: bytes) -> list[bool]:
    """Whether each byte belongs to an occurrence, by trying all places."""
    found = [False] * len(data)
    for pattern in patterns:
        for at in range(len(data) - len(pattern) + 1):
            if data.startswith(pattern, at):
                found[at : at + len(pattern)] = [True] * len(pattern)
    return found


def beginning(patterns: list[bytes], data: bytes) -> int:
    return next(
        at
        for at in range(len(data) + 1)
        if at == len(data) or any(p.startswith(data[at:]) and p != data[at:] for p in patterns)
    )


def check(patterns: list[bytes], data: bytes) -> None:
    matcher = of(patterns)
    covered = [False] * len(data)
    last = -1
    for start, end in matcher.covered(data):
        assert last < start < end
        covered[start:end] = [True] * (end - start)
        last = end
    assert covered == flags(patterns, data)
    assert matcher.held(data) == beginning(patterns, data)


@given(st.lists(st.one_of(WORDS, FEW_LETTERS), max_size=8), st.binary(max_size=60), st.data())
def test_finds_what_trying_all_places_finds(patterns, other, data):
    """Every byte of every occurrence is found, however they overlap, and the longest beginning at the end."""
    pieces = st.sampled_from([*patterns, *(p[: len(p) // 2] for p in patterns), other, b"a", b"ab"])
    check(patterns, b"".join(data.draw(st.lists(pieces, max_size=8))))


@pytest.mark.parametrize("size", [4, 7, 8, 14, 15, 16, 22, 23, 24, 31, 32, 40])
@pytest.mark.parametrize("count", [1, 30])
def test_finds_patterns_of_each_length_at_each_place(size, count):
    """No length and no place slips through the words that are looked up."""
    chance = random.Random(size)
    patterns = [chance.randbytes(size) for _ in range(count)]
    matcher = of(patterns)
    for before in range(33):
        for after in (0, 1, 9, 40):
            data = bytes(before) + patterns[-1] + bytes(after)
            assert matcher.covered(data) == [(before, before + size)]


def test_occurrences_that_overlap_are_one_stretch():
    """A pattern that repeats itself covers all of its repetitions."""
    assert of([b"abab"]).covered(b"xababababy") == [(1, 9)]
    assert of([b"aaaa"]).covered(b"a" * 100) == [(0, 100)]
    assert of([b"abcd", b"cdef"]).covered(b"abcdef") == [(0, 6)]


def test_without_patterns_nothing_is_found():
    """A matcher with nothing to look for finds nothing, and holds nothing back."""
    assert of([]).covered(b"anything") == []
    assert of([]).held(b"anything") == 8
    assert of([b"secret"]).held(b"") == 0

"""Run ids: in order, unguessable, safe as names."""

from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast import ids
from runcast.ids import ALPHABET, LENGTH, is_run_id, new_run_id, time_of
from tests.unit.texts import texts


def test_shape():
    """An id is 26 letters that are safe in a path and in a URL."""
    for _ in range(100):
        assert is_run_id(new_run_id())


def test_order():
    """Ids of one process are all different and in the order in which they were minted."""
    minted = [new_run_id() for _ in range(5000)]

    assert minted == sorted(set(minted))


def test_clock_that_stands_or_goes_back(monkeypatch: pytest.MonkeyPatch):
    """Within a millisecond, and when the clock goes back, ids go on in order and unguessable."""
    times = iter([10**18, *[10**18] * 500, *range(10**18, 0, -(10**15))])
    monkeypatch.setattr(ids, "time", SimpleNamespace(time_ns=lambda: next(times)))
    monkeypatch.setattr(ids, "_last", 0)
    minted = [new_run_id() for _ in range(1000)]

    assert minted == sorted(set(minted))
    numbers = [sum(ALPHABET.index(c) << 5 * n for n, c in enumerate(reversed(one))) for one in minted]
    assert min(after - before for before, after in pairwise(numbers)) > 1 << 20


def test_time(monkeypatch: pytest.MonkeyPatch):
    """An id tells when it was minted, to the millisecond."""
    monkeypatch.setattr(ids, "time", SimpleNamespace(time_ns=lambda: 1_700_000_000_123_999_999))
    monkeypatch.setattr(ids, "_last", 0)

    assert time_of(new_run_id()) == 1_700_000_000.123


def test_known_time():
    """The time is that of any other ULID reader."""
    assert time_of("01arz3ndektsv4rrffq69g5fav") == 1469922850.259


@pytest.mark.parametrize(
    "text",
    [
        *("", "..", "../" * 9, "/etc/passwd", ".new-" + "0" * 21, "." * LENGTH, "0" * 25, "0" * 27),
        *("8" + "0" * 25, "0" * 25 + "u", "0" * 25 + "U", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "0" * 25 + "\n"),
        *("0" * 12 + "/" + "0" * 13, "0" * 25 + "\0", "٣" * LENGTH, "0" * 25 + "-"),
    ],
)
def test_names_that_are_no_id(text: str):
    """Nothing else is an id: no path, no upper case, no letter outside the alphabet."""
    assert not is_run_id(text)


@given(texts(max_size=30))
def test_what_is_an_id_is_safe(text: str):
    """Whatever has the shape of an id consists of 26 letters and digits."""
    if is_run_id(text):
        assert len(text) == LENGTH
        assert set(text) <= set(ALPHABET)


@given(st.integers(0, 2**128 - 1))
def test_every_number_is_an_id(number: int):
    """All 128-bit numbers have an id, and none of them is refused."""
    text = "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))

    assert is_run_id(text)

"""JSON, times and outcomes."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.model import Outcome, Reason
from runcast.wire.jsons import compact, escape, outcome_json, rfc3339
from tests.unit.texts import texts
from tests.unit.wire.logs import PROPERTY


def unquote(said: bytes | None) -> str:
    assert said is not None
    return json.loads(b'"' + said + b'"')


@PROPERTY
@given(texts(), st.sampled_from([1, 2000]))
def test_escape(text: str, times: int):
    """Text is the same behind any JSON parser, and ASCII on one line on the wire; short and long."""
    said = escape(text.encode() * times)

    assert unquote(said) == text * times
    assert said is not None
    assert said.isascii()
    assert all(32 <= byte for byte in said)


@pytest.mark.parametrize("size", [1, 1023, 1024, 5000])
def test_escape_every_ascii(size: int):
    """Every ASCII character survives, below and above the size at which the way changes."""
    data = bytes(range(128)) * (size // 128 + 1)

    assert unquote(escape(data)) == data.decode()


@pytest.mark.parametrize("size", [1, 5000])
def test_escape_no_text(size: int):
    """What is no UTF-8 has no escape."""
    assert escape(b"\xff" * size) is None
    assert escape(b"a" * size + b"\xc3") is None


def test_compact():
    """Objects are said without blanks, in ASCII, on one line."""
    assert compact({"a": "é\u2028\n", "b": [1, None, True]}) == b'{"a":"\\u00e9\\u2028\\n","b":[1,null,true]}'


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_numbers(number: float):
    """What JSON has no number for is null, so that a browser can read the rest."""
    assert compact({"a": [number, 1.5], "b": {"c": number}}) == b'{"a":[null,1.5],"b":{"c":null}}'


def test_other_objects():
    """What JSON has no word for is said in Python's."""
    assert compact({"a": {1}, "b": complex(0, 1)}) == b'{"a":"{1}","b":"1j"}'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, None),
        (1.0, "1970-01-01T00:00:01.000000Z"),
        (1_763_683_200.123456, "2025-11-21T00:00:00.123456Z"),
        (1_763_683_199.9999999, "2025-11-21T00:00:00.000000Z"),
    ],
)
def test_rfc3339(seconds: float, text: str | None):
    """Times are in UTC to the microsecond; unknown ones are None."""
    assert rfc3339(seconds) == text


def test_outcome():
    """An outcome has its time as text; none is None."""
    outcome = Outcome(Reason.EXITED, 3, ended_at=1.5)

    times = {"ended_at": "1970-01-01T00:00:01.500000Z", "started_at": None}
    assert outcome_json(outcome) == outcome.to_json() | times
    assert outcome_json(None) is None

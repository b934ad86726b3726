"""The parameters of a request."""

from urllib.parse import parse_qsl

import pytest

from runcast.errors import BadOffset, UsageError
from runcast.wire.query import Query, parse_since
from tests.unit.wire.logs import DATA, ERR, OUT

NOW = 1_763_683_200.0  # 2025-11-21T00:00:00Z


def parse(text: str) -> Query:
    return Query.parse(parse_qsl(text, keep_blank_values=True), now=NOW)


def test_defaults():
    """Nothing asked for: from the start, all channels, followed."""
    assert parse("") == Query()
    assert Query().follow


def test_all():
    """Every parameter has its place."""
    text = "tail=5&channel=stderr&follow=0&end=1&named=1&format=sse&wait=20&max=7&interval=2.5"

    assert parse(text) == Query(
        tail=5,
        channels=frozenset({ERR}),
        follow=False,
        end=True,
        named=True,
        format="sse",
        wait=20.0,
        max=7,
        interval=2.5,
    )
    assert parse("offset=now").offset == "now"
    assert parse("offset=00000000000000000012").offset == "00000000000000000012"
    assert parse("line=1").line == 1


@pytest.mark.parametrize(
    "text", ["channel=stdout&channel=data", "channel=stdout,data", "channel=data, stdout"]
)
def test_channels(text: str):
    """Channels are repeated or separated by commas."""
    assert parse(text).channels == {OUT, DATA}


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", True), ("true", True), ("Yes", True), ("", True), ("0", False), ("false", False), ("no", False)],
)
def test_flags(text: str, value: bool):
    """Flags are 1 or 0; the bare name is 1."""
    assert parse(f"follow={text}").follow is value
    assert parse(f"end={text}").end is value


def test_others_are_not_ours():
    """Parameters that we do not know are passed over, whatever they say."""
    assert parse("branch=main&branch=x&key=7&_=") == Query()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tail=-1", "expected tail to be a whole number of 0 or more, got '-1'"),
        ("tail=", "expected tail to be"),
        ("tail=1.5", "expected tail to be"),
        ("tail=\u0665", "expected tail to be"),
        ("tail=" + "9" * 19, "expected tail to be"),
        ("line=0", "expected line to be a whole number of 1 or more, got '0'"),
        ("max=0", "expected max to be a whole number of 1 or more, got '0'"),
        ("wait=-1", "expected wait to be a number of seconds"),
        ("wait=nan", "expected wait to be a number of seconds"),
        ("wait=inf", "expected wait to be a number of seconds"),
        ("wait=1e9", "expected wait to be a number of seconds"),
        ("interval=0", "expected interval to be more than 0 seconds"),
        ("interval=x", "expected interval to be a number of seconds"),
        ("follow=maybe", "expected follow to be 1 or 0, got 'maybe'"),
        ("end=2", "expected end to be 1 or 0"),
        ("named=on%0A", "expected named to be 1 or 0"),
        ("channel=", "expected channel to be stdout, stderr or data, got ''"),
        ("channel=gap", "expected channel to be stdout, stderr or data, got 'gap'"),
        ("channel=stdout,stdin", "expected channel to be stdout, stderr or data, got 'stdin'"),
        ("tail=5&tail=6", "expected tail once, got it with '5' and '6'"),
        ("tail=5&offset=6", "expected one place to begin, got offset and tail: choose one of them"),
        ("line=5&since=5m&tail=1", "expected one place to begin, got tail and line and since"),
        ("since=yesterday", "expected since to be a time such as 2026-11-21T08:30:00Z, seconds"),
    ],
)
def test_errors(text: str, words: str):
    """What is wrong is told with the parameter's name and what came."""
    with pytest.raises(UsageError) as caught:
        parse(text)

    assert words in str(caught.value)
    assert caught.value.http_status == 400


@pytest.mark.parametrize("text", ["", "x", "-2", "+1", "1.0", "0x10", "9" * 21, "\u0661", "Now"])
def test_bad_offset(text: str):
    """A text that is no offset is refused before anything is read."""
    with pytest.raises(BadOffset):
        Query.parse([("offset", text)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5m", NOW - 300),
        ("90s", NOW - 90),
        ("1h30m", NOW - 5400),
        ("1.5h", NOW - 5400),
        ("250ms", NOW - 0.25),
        ("1w1d", NOW - 8 * 86400),
        ("0s", NOW),
        ("999999999w", 0.0),
        ("1763683200", NOW),
        ("1763683200.5", NOW + 0.5),
        ("2025-11-21T00:00:00Z", NOW),
        ("2025-11-21t00:00:00.25z", NOW + 0.25),
        ("2025-11-21T01:00:00+01:00", NOW),
        ("2025-11-21T01:00:00 01:00", NOW),
        ("2025-11-20T19:00:00-05:00", NOW),
        ("2025-11-21 00:00:00Z", NOW),
        ("2025-11-21T00:00:00.123456789Z", NOW + 0.123456),
    ],
)
def test_since(text: str, expected: float):
    """A time is RFC 3339, seconds since the epoch, or how long ago."""
    assert parse_since(text, NOW) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        *("", "5", "m", "5 m", "-5m", "5M", "5m!", "2025-11-21", "2025-11-21T00:00:00", "12:00:00Z", "now"),
        *("2025-13-01T00:00:00Z", "2025-11-21T25:00:00Z", "0000-01-01T00:00:00Z", "nan", "1e9", "\u0665m"),
        *("1763683200000", "1763683200.0000000001"),
    ],
)
def test_no_time(text: str):
    """A time without a zone, or another text, is refused. (A small number is a time in 1970.)"""
    if text == "5":
        assert parse_since(text, NOW) == 5.0
        return
    with pytest.raises(UsageError, match="expected since to be a time"):
        parse_since(text, NOW)


def test_ago_counts_from_now():
    """Without a given time, how long ago counts from the clock."""
    assert parse_since("1h") > NOW

"""Durations, sizes, times, signals and variables as people type them."""

import time
from datetime import datetime

import pytest

from runcast.cli.values import duration, signal_number, since, size, variable


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("90", 90), ("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86400), ("250ms", 0.25)),
        *(("1.5h", 5400), (".5", 0.5), ("1h30m", 5400), ("0", 0)),
    ],
)
def test_duration(text: str, seconds: float):
    """A duration is a number of seconds, or numbers with units."""
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "s", "-5", "5 m", "5x", "1h-30m", "nan", "inf", "1e3", "\uff15m", "5mm", "."]
)
def test_no_duration(text: str):
    """Anything else is refused, with what is expected."""
    with pytest.raises(ValueError, match=r"expected a duration such as 90, .*got"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("4096", 4096), ("64M", 64 << 20), ("1g", 1 << 30), ("1.5KiB", 1536), ("2TB", 2 << 40), ("none", None)],
)
def test_size(text: str, count: int | None):
    """A size is bytes, or a number with a power of 1024; none is none."""
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "M", "-1", "1P", "1 M", "1iB2", "all"])
def test_no_size(text: str):
    """Anything else is refused, with what is expected."""
    with pytest.raises(ValueError, match=r"expected a size such as 4096, .*got"):
        size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-31T12:00:00Z", 1769860800),
        ("2026-01-31t13:00:00.5+01:00", 1769860800.5),
        ("2026-01-31 12:00:00", datetime(2026, 1, 31, 12).timestamp()),
        ("2026-01-31", datetime(2026, 1, 31).timestamp()),
    ],
)
def test_since_a_time(text: str, seconds: float):
    """A time is RFC 3339, local where it names no zone."""
    assert since(text) == seconds


def test_since_a_while_ago():
    """A duration counts back from now, and not beyond the epoch."""
    before = time.time()
    assert before - 300 <= since("5m") <= time.time() - 300
    assert since("100000d") == 0


@pytest.mark.parametrize("text", ["", "yesterday", "12:00", "2026-13-01", "2026-01-31T25:00:00Z"])
def test_no_time(text: str):
    """Anything else is refused, with what is expected."""
    with pytest.raises(ValueError, match=r"expected a time such as .*got"):
        since(text)


@pytest.mark.parametrize("text", ["15", "TERM", "SIGTERM", "term", "sigterm"])
def test_signal(text: str):
    """A signal has a number, a name, and a longer name."""
    assert signal_number(text) == 15


@pytest.mark.parametrize("text", ["", "SIG", "0", "-9", "99", "NOPE", "²"])
def test_no_signal(text: str):
    """Anything else is refused, with what is expected."""
    with pytest.raises(ValueError, match=r"expected a signal such as .*got"):
        signal_number(text)


def test_variable():
    """A variable is cut at its first equals sign; its value may be empty."""
    assert variable("A=b=c") == ("A", "b=c")
    assert variable("A=") == ("A", "")


@pytest.mark.parametrize("text", ["", "A", "=b"])
def test_no_variable(text: str):
    """Anything else is refused, with what is expected."""
    with pytest.raises(ValueError, match=r"expected NAME=VALUE, got"):
        variable(text)

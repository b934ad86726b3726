"""Times, signals and variables as people type them."""

import time
from datetime import datetime

import pytest

from runcast.cli.values import cells, signal_number, since, variable


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


@pytest.mark.parametrize(("text", "size"), [("80x24", (80, 24)), ("1X65535", (1, 65535))])
def test_cells(text: str, size: tuple[int, int]):
    """The size of a terminal is its columns and its rows."""
    assert cells(text) == size


@pytest.mark.parametrize(
    "text", ["", "80", "80x", "0x24", "80x0", "1000000x24", "80x65536", "-1x24", "80*24"]
)
def test_no_cells(text: str):
    """Anything else is refused, with what is expected."""
    with pytest.raises(ValueError, match=r"expected COLSxROWS such as 80x24, each from 1 to 65535, got "):
        cells(text)

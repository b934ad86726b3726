"""Durations and sizes as people write them, wherever they do."""

from collections.abc import Callable

import pytest

from runcast.quantities import duration, duration_text, size


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *(("90", 90), ("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86400), ("250ms", 0.25)),
        *(("1.5h", 5400), (".5", 0.5), ("1h30m", 5400), ("0", 0), ("1w", 604800), (2.5, 2.5), (0, 0)),
    ],
)
def test_duration(value: str | float, seconds: float):
    """A duration is a number of seconds, or numbers with units."""
    assert duration(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((-1, "0 ms"), (0.085, "85 ms"), (0.1, "0.1 s"), (3.14, "3.1 s"), (9.94, "9.9 s"), (9.96, "9 s")),
        *((59.9, "59 s"), (303, "5 min 03 s"), (7500, "2 h 05 min"), (273_600, "3 d 4 h")),
    ],
)
def test_duration_text(seconds: float, text: str):
    """Seconds are read in the unit that suits them, and never as more than they are."""
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    "value",
    [
        *("", "s", "-5", "5 m", "5x", "1h-30m", "nan", "inf", "1e3", "\uff15m", "5mm", ".", "9" * 400),
        *(-1, float("inf"), float("nan")),
    ],
    ids=lambda value: f"{value!r:.9}",
)
def test_no_duration(value: str | float):
    """Anything else is refused, with what is expected."""
    with pytest.raises(ValueError, match=r"expected a duration such as 90, .*got"):
        duration(value)


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ("4096", 4096),
        ("64M", 64 << 20),
        ("1g", 1 << 30),
        ("1.5KiB", 1536),
        ("1.5GiB", 3 << 29),
        ("none", None),
        (7, 7),
    ],
)
def test_size(value: str | int, count: int | None):
    """A size is bytes, or a number with a power of 1024; none is none."""
    assert size(value) == count


@pytest.mark.parametrize(
    "value",
    ["", "M", "-1", "1P", "1 M", "1iB2", "all", "9" * 400, "1\u212a", -1],
    ids=lambda value: f"{value!r:.9}",
)
def test_no_size(value: str | int):
    """Anything else is refused, with what is expected."""
    with pytest.raises(ValueError, match=r"expected a size such as 4096, .*got"):
        size(value)


@pytest.mark.parametrize("parse", [duration, size])
@pytest.mark.parametrize("value", ["0", "0m", 0])
def test_nothing(parse: Callable[..., float | None], value: str | int):
    """Where nothing at all would have no meaning it is refused in the same words."""
    with pytest.raises(ValueError, match=r"expected a (duration|size) such as .*got"):
        parse(value, zero=False)

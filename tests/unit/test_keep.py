"""What stays of finished runs, as people write it."""

import pytest

from runcast.keep import Keep, parse_keep

WEEK = 7 * 86400


@pytest.mark.parametrize(
    ("written", "keep"),
    [
        (100, Keep(100)),
        ("100", Keep(100)),
        ("7d", Keep(None, WEEK)),
        ("1h30m", Keep(None, 5400)),
        ("5m", Keep(None, 300)),
        ("0.2s", Keep(None, 1)),
        ("5M", Keep(None, None, 5 << 20)),
        ("2GiB", Keep(None, None, 2 << 30)),
        ([100], Keep(100)),
        (("7d", "2G", 100), Keep(100, WEEK, 2 << 30)),
        ({"runs": 3, "bytes": 9}, Keep(3, None, 9)),
        (Keep(0, 1), Keep(0, 1)),
    ],
)
def test_written(written: object, keep: Keep):
    """A number is one of runs, a time has a unit of time, a size one of bytes; a list has several."""
    assert parse_keep(written) == keep


@pytest.mark.parametrize(
    "written",
    [
        *(None, True, 0, -1, 1.5, "", "soon", "0", "0d", "none", b"7d", [], [[1]], [1, 2], ["7d", "1h"]),
        *({}, {"runs": 0}, {"runs": "3"}, {"days": 7}, {1: 2}, 10**9 + 1, "9" * 30, {"bytes": True}),
    ],
)
def test_wrong(written: object):
    """Anything else is refused with what was expected, and what came."""
    with pytest.raises(ValueError, match=r"expected a number of runs \(100\), a time .* got "):
        parse_keep(written)


@pytest.mark.parametrize("keep", [Keep(1), Keep(None, 2), Keep(None, None, 3), Keep(4, 5, 6)])
def test_json(keep: Keep):
    """Its JSON has the bounds that there are, and means the same."""
    assert parse_keep(keep.to_json()) == keep
    assert None not in keep.to_json().values()

"""What `keep_viewed=` says."""

import pytest

from runcast.errors import UsageError
from runcast.keep import Keep
from runcast.web.adapters.viewed import keep_of


@pytest.mark.parametrize(
    ("value", "keep"),
    [
        (None, None),
        ((100, "1d"), Keep(100, 86400)),
        ([5, 90], Keep(5, 90)),
        ((0, "1h30m"), Keep(0, 5400)),
        ((1, 0.25), Keep(1, 1)),
    ],
)
def test_option(value: object, keep: Keep | None):
    """`keep_viewed=` is a number of runs and a time, or None."""
    assert keep_of(value) == keep


@pytest.mark.parametrize(
    "value",
    [
        *(100, "100", (100,), (100, "1d", 2), (-1, "1d"), (True, "1d"), (1.5, "1d"), ("100", "1d"), (1, 0)),
        *((1, "soon"), (1, None), (1, -5), (1, float("inf")), {"runs": 1}, (10**9, 1), (1, 10**12)),
    ],
)
def test_wrong_option(value: object):
    """Anything else is refused with what was expected."""
    with pytest.raises(UsageError, match="expected keep_viewed= as a number of runs and a time"):
        keep_of(value)

"""What stays of finished runs: a number of them, a time, a size, or several of these.

Owns how people write such a rule, and its form in JSON. Does not know which runs there are, nor removes any.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from runcast.quantities import duration, size

__all__ = ["EXPECTED", "Keep", "parse_keep"]

EXPECTED = 'a number of runs (100), a time ("7d"), a size ("2G"), or a list of these'
_MOST = {"runs": 10**9, "seconds": 10**12, "bytes": 10**18}


class Keep(NamedTuple):
    """A rule: a finished run goes that is beyond any of its bounds. None is no bound.

    Attributes:
        runs: how many stay, the newest.
        seconds: how long each stays after its end.
        bytes: how much disk all of them may take, the newest first.
    """

    runs: int | None = None
    seconds: int | None = None
    bytes: int | None = None

    def to_json(self) -> dict[str, int]:
        """Return the bounds that there are, by name."""
        return {name: bound for name, bound in self._asdict().items() if bound is not None}


def parse_keep(value: object) -> Keep:
    """Return the rule that somebody wrote: `100`, `"100"`, `"7d"`, `"2G"`, a list of them, or its JSON.

    A number is one of runs; `5m` are minutes, `5M` is a size.

    Raises:
        ValueError: it has no meaning, with a sentence that says what was expected.
    """
    if isinstance(value, Keep):
        return value
    if isinstance(value, Mapping):
        bounds = dict(value)
    else:
        bounds = {}
        for one in value if isinstance(value, list | tuple) else [value]:
            name, bound = _bound(one)
            if name in bounds:
                raise ValueError(f"expected {EXPECTED}, got two bounds of one kind: {value!r:.80}")
            bounds[name] = bound
    if not bounds or any(not _is_bound(name, bound) for name, bound in bounds.items()):
        raise ValueError(f"expected {EXPECTED}, got {value!r:.80}")
    return Keep(**bounds)


def _bound(value: object) -> tuple[str, Any]:
    """Return the name of a bound, and its number; of what is none a number that is none."""
    if not isinstance(value, str):
        return "runs", value
    text = value.strip()
    if text.isdecimal():
        return "runs", int(text) if len(text) < 20 else math.inf
    try:
        return "seconds", max(1, round(duration(text, zero=False)))
    except ValueError:
        pass
    try:
        return "bytes", size(text, zero=False)
    except ValueError:
        return "runs", None


def _is_bound(name: object, bound: object) -> bool:
    known = _MOST.get(name) if isinstance(name, str) else None
    return known is not None and type(bound) is int and 1 <= bound <= known

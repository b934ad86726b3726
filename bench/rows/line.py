"""LINE: one line, from the writer to who follows its run: on another host, and on the same one.

Two agents and one Valkey between them, all on this machine, so there is one clock and no network. A process
writes to one run at a rate, another one follows that run as an application does. Each line must come once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from bench.bench import Bench
from bench.hosts import Host, follower, linked, same_bytes, until, wanted, writer
from bench.measure import OURS, alternate
from bench.row import Figure, Goal, Row
from runcast import Run
from tests.helpers.engines import serving, valkey

_RATE = 50
_SECONDS, _QUICK_SECONDS = 10, 4
_SAME = "same host"
_WARM = 1.0  # seconds, not counted


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the latencies."""
    seconds = bench.pick(_SECONDS, _QUICK_SECONDS)
    with (
        bench.memory(1 << 28) as folder,
        serving(valkey(), Path(folder, "engine")) as server,
        linked(folder, server.url) as (a, b),
    ):
        found = alternate(
            bench,
            "LINE",
            {OURS: lambda: _followed(a, b, seconds), _SAME: lambda: _followed(a, a, seconds)},
        )
    for share, most in ((50, 3.0), (99, 2.0)):
        goals = (Goal(most, _SAME),)
        yield found.figure(f"later p{share}", f"one line, on another host, p{share}", "ms", goals=goals)


def _followed(a: Host, there: Host, seconds: float) -> dict[str, float]:
    with writer(a.path) as runs:
        [run_id] = runs.ask("make", 1)
        mirror = there.has(run_id)
        with follower(_WARM, [f"{there.path}/{run_id}"]) as following:
            assert following.answer() == ["ready"]
            [lines] = runs.ask("write", _RATE, seconds + _WARM)
            runs.ask("end")
            told = json.loads(" ".join(following.answer()))
        assert (told["lines"], told["wrong"]) == (int(lines), 0), f"{lines} lines, each once, got {told}"
        if there is not a:
            until(lambda: wanted(there, [run_id]) and mirror.closed, "the end of a mirror")
            same_bytes(Run(f"{a.path}/{run_id}"), mirror)
    return {name: value for name, value in told.items() if name.startswith("later")}


ROW = Row("LINE", "one line, from one host to another", measure)

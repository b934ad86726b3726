"""What a line of a run costs agents and engine, counted in requests."""

import time
from pathlib import Path

import pytest

from runcast.model import State
from tests.helpers.engines import serving, valkey
from tests.helpers.link_hosts import PATIENCE, linked_hosts

pytestmark = pytest.mark.slow
LINES = 200


def test_requests_of_a_line(tmp_path: Path):
    """A line that others follow takes one append, whose message brings it: nothing else of the engine."""
    with (
        serving(valkey(), tmp_path / "engine") as engine,
        linked_hosts(tmp_path, engine.url, "rc:") as (a, b),
    ):
        run = a.store.start(["cat"], stdin="pipe")
        lines = b.get(run).lines(timeout=PATIENCE)
        run.send(b"first\n")
        assert next(lines) == "first"
        began, before = time.monotonic(), calls(engine.command("INFO", "commandstats"))
        for number in range(LINES):
            run.send(b"%d\n" % number)
            assert next(lines) == str(number)
        found, seconds = calls(engine.command("INFO", "commandstats")), int(time.monotonic() - began)
        took = {name: found[name] - before.get(name, 0) for name in found}
        run.send(b"", eof=True)
        assert list(lines) == []
        assert run.state is State.EXITED

    others = 3 * LINES // 10 + 3 * seconds  # leases, lists and looks, on a machine as slow as it likes
    assert took["xadd"] == LINES
    assert took.get("xrange", 0) <= others
    assert took["hmget"] - took["xadd"] <= others  # an append looks at the tail
    assert took["spublish"] <= LINES + others


def calls(stats: object) -> dict[str, int]:
    """Return how often a server has carried out each command, those of scripts included."""
    assert isinstance(stats, dict)
    return {name.removeprefix("cmdstat_"): int(one["calls"]) for name, one in stats.items()}

"""Which mirrors are beyond their rule. Nothing is connected to."""

import os
import time
from pathlib import Path

import pytest

from runcast.agent.connection import Connection
from runcast.agent.evicting import Evicting
from runcast.agent.mirrors import Mirrors
from runcast.keep import Keep
from runcast.link.memory import MemoryEngine, MemoryLink
from runcast.store.files import StoreFiles
from runcast.store.links import LinkFile
from runcast.store.mirrors import mark_mirror
from tests.unit.runs import EXITED, make_run

DAY = 86400


@pytest.fixture
def files(own_store: Path) -> StoreFiles:
    """A store with a run of its own, and mirrors that ended 3, 2, 1 and 0 days ago."""
    make_run(own_store)
    for days in (3, 2, 1, 0):
        outcome = EXITED._replace(ended_at=time.time() - days * DAY)
        path = own_store / make_run(own_store, f"01k{9 - days}" + "0" * 22, outcome=outcome)
        mark_mirror(str(path), "a")
        os.utime(path / "outcome.json", (time.time() - days * DAY,) * 2)
    return StoreFiles(str(own_store))


def left(files: StoreFiles, keep: Keep, quiet: float = 60.0) -> str:
    """Return the ages of the mirrors that stay, in days."""
    link = MemoryLink(MemoryEngine())
    connection = Connection(link, files.path, lambda fresh: None)
    mirrors = Mirrors(connection, files, "b", -1)
    Evicting(connection, LinkFile("memory:"), files, mirrors).sweep(keep, quiet)
    link.close()
    assert sum(not files.run(run_id).is_mirror for run_id in files.ids()) == 1
    return "".join(sorted(str(9 - int(one[3])) for one in files.ids() if files.run(one).is_mirror))


def test_by_number_and_age(files: StoreFiles):
    """The newest stay, as many as the rule says, and what ended less than so long ago."""
    assert left(files, Keep(runs=4)) == "0123"
    assert left(files, Keep(seconds=5 * DAY // 2)) == "012"
    assert left(files, Keep(runs=2)) == "01"


def test_just_ended(files: StoreFiles):
    """What ended less than a minute ago stays, as does what is pinned."""
    pinned = next(run_id for run_id in files.ids() if run_id[3] == "7")
    files.run(pinned).pin()
    assert left(files, Keep(seconds=1)) == "02"

"""How much disk the runs of each name take."""

from collections.abc import Mapping
from pathlib import Path

from runcast import Store
from runcast.retention.disk_use import DiskUse
from runcast.run.base import files_of
from tests.helpers.wait import wait_until
from tests.unit.runs import make_run


def measured(use: DiskUse) -> Mapping[str, int]:
    """Return what is measured, which a thread does."""
    return wait_until(use.by_name)


def test_by_name(own_store: Path):
    """Runs are counted by the names that are known, and all others as one."""
    runs = {name: make_run(own_store, name=name) for name in ("build", "deploy", "mine", "yours")}
    store = Store(str(own_store))
    sizes = {name: files_of(store.get(run_id)).disk_bytes() for name, run_id in runs.items()}
    use = DiskUse(store.path, ["build", "deploy", "never"])

    assert measured(use) == {
        "build": sizes["build"],
        "deploy": sizes["deploy"],
        "never": 0,
        "other": sizes["mine"] + sizes["yours"],
    }


def test_removed(own_store: Path):
    """What is removed is counted no more, at the next measure."""
    run_id = make_run(own_store, name="build")
    store = Store(str(own_store))
    use = DiskUse(store.path, ["build"])
    assert measured(use)["build"] > 0

    store.remove(run_id)
    use._measure()

    assert use.by_name() == {"build": 0, "other": 0}

"""Files that are kept with a run, and what ends that in the middle: the supervisor's death, a stop."""

import os
import signal
from pathlib import Path

import pytest

from runcast import Run, State, Store
from tests.helpers.children import supervisor_of
from tests.helpers.wait import MS, wait_until

DEADLINE = 30000 * MS
LARGE = 600 * 1024 * 1024  # bytes without blocks: copying them takes a while, having them costs nothing

pytestmark = [pytest.mark.fault, pytest.mark.slow]


@pytest.fixture(name="run")
def run_fixture(store: Store, tmp_path: Path) -> Run:
    """Give a run whose command has ended, and whose large file is just being copied."""
    (tmp_path / "a").write_text("small")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(LARGE)
    run = store.start(["true"], cwd=tmp_path, artifacts=["a", "large"])
    copy = Path(store.path) / run.id / "artifacts" / "1"
    wait_until(lambda: copy.exists() and copy.stat().st_size > 0, DEADLINE)
    assert run.outcome is None
    return run


def test_killed(run: Run, store: Store):
    """A supervisor that dies then leaves a run that is lost, without files, and can be removed."""
    os.kill(supervisor_of(run), signal.SIGKILL)
    run.wait(timeout=DEADLINE)
    assert run.state is State.LOST
    assert (run.artifacts, run.left_out) == ([], [])
    store.remove(run)
    assert not (Path(store.path) / run.id).exists()


def test_stopped(run: Run):
    """Somebody who stops the run then has its end at once: what was not copied is left out."""
    run.kill()
    outcome = run.wait(timeout=DEADLINE)
    assert outcome.code == 0
    assert run.artifacts == [("a", 5)]
    assert run.left_out == [("large", "the run was stopped meanwhile, or the time was up")]

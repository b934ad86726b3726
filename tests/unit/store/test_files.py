"""The folder of a store: what gets out of it, and what stays."""

import os
import threading
from pathlib import Path

import pytest

from runcast.errors import RunNotFound, RunPinned
from runcast.store.files import StoreFiles
from tests.unit.runs import make_run


def test_pinned(tmp_path: Path):
    """A pinned run is not removed, nor is anything of it; unpinned it is."""
    files = StoreFiles(str(tmp_path))
    run = files.run(make_run(tmp_path))
    run.pin()
    there = sorted(os.listdir(run.path))

    with pytest.raises(RunPinned, match=f"run {run.id} is pinned: unpin it first, then remove it"):
        files.remove(run.id)
    assert sorted(os.listdir(run.path)) == there

    run.unpin()
    files.remove(run.id)
    assert os.listdir(tmp_path) == []


def test_pinned_while_removed(tmp_path: Path):
    """Of a run that is pinned while somebody removes it, one of the two fails: no pin is lost."""
    files = StoreFiles(str(tmp_path))

    def pin(run_id: str, together: threading.Barrier, pinned: list[str]) -> None:
        together.wait()
        try:
            files.run(run_id).pin()
        except FileNotFoundError:
            return
        pinned.append(run_id)

    for _ in range(30):
        run_id, together, pinned = make_run(tmp_path), threading.Barrier(2), list[str]()
        pinning = threading.Thread(target=pin, args=(run_id, together, pinned))
        pinning.start()
        together.wait()
        try:
            files.remove(run_id)
            removed = True
        except (RunPinned, RunNotFound):
            removed = False
        pinning.join()

        assert removed is not files.has(run_id)
        assert not (removed and pinned)

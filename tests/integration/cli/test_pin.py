"""`runcast pin` and `runcast unpin`: keep runs."""

import os
import shutil
import subprocess
from pathlib import Path

from runcast import Store
from tests.helpers.cli import LONG, RUNCAST, cli
from tests.helpers.programs import program
from tests.helpers.stores import temporary_store

SLEEP = ["sleep", "1000"]


def test_pinned(store: Store):
    """A pinned run is shown as one and is not removed, with the reason; unpinned it is as any other."""
    kept, other = store.start(["true"]), store.start(["true"])
    for run in (kept, other):
        run.wait(timeout=LONG)

    assert cli("pin", kept.id) == cli("pin", kept.id) == (0, b"", "")
    assert [b"exit 0, pinned" in line for line in cli("ls").out.splitlines()[1:]] == [False, True]

    done = cli("rm", kept.id, other.id)
    assert (done.code, done.out) == (2, b"")
    assert done.err == f"runcast: run {kept.id} is pinned: unpin it first, then remove it\n"
    assert cli("rm", "--all-finished") == (0, b"", "")
    assert [run.id for run in store.list()] == [kept.id]

    assert cli("unpin", kept.id) == cli("unpin", kept.id) == (0, b"", "")
    assert cli("rm", kept.id) == (0, b"", "")
    assert list(store.list()) == []


def test_force(store: Store):
    """A run is pinned while it goes on; `rm --force` stops, unpins and removes it."""
    run = store.start(SLEEP)
    assert cli("pin", "last") == (0, b"", "")
    assert cli("rm", run.id).err == f"runcast: run {run.id} is pinned: unpin it first, then remove it\n"
    assert run.outcome is None

    assert cli("rm", "--force", run.id) == (0, b"", "")
    assert list(store.list()) == []


def test_moved_and_copied(store: Store, tmp_path: Path):
    """A pin goes with its run where the store is moved or copied."""
    store.start(["true"]).wait(timeout=LONG)
    assert cli("pin", "last").code == 0

    shutil.copytree(store.path, tmp_path / "copy", ignore=shutil.ignore_patterns(".supervisors"))
    with temporary_store(tmp_path / "copy") as copy, temporary_store(tmp_path / "moved") as moved:
        os.rename(store.path, moved.path)
        for place in (copy, moved):
            assert [run.pinned for run in place.list()] == [True]
            assert cli("--store", place.path, "rm", "last").code == 2


def test_read_only_store(store: Store):
    """A store that cannot be written to is named, with what to do; nothing is pinned."""
    run = store.start(["true"])
    run.wait(timeout=LONG)
    powerless = [program("setpriv"), "--bounding-set", "-dac_override"] if os.geteuid() == 0 else []
    os.chmod(store.path, 0o500)
    try:
        command = [*powerless, RUNCAST, "pin", run.id]
        done = subprocess.run(command, capture_output=True, timeout=LONG, check=False)
    finally:
        os.chmod(store.path, 0o700)

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == (
        f"runcast: cannot write to the store {store.path}: permission denied: "
        "make it writable, or use another (--store, RUNCAST_STORE)\n"
    )
    assert not run.pinned


def test_no_such_run(store: Store):
    """If one of the ids names no run, none is pinned."""
    run = store.start(["true"])

    done = cli("pin", run.id, "nosuchrun")

    assert (done.code, done.out) == (2, b"")
    assert "no run 'nosuchrun'" in done.err
    assert not run.pinned

"""`--store`: where the runs are, and what is said of a place that cannot be a store."""

import os
import subprocess
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.cli import LONG, RUNCAST, cli
from tests.helpers.programs import program
from tests.helpers.stores import temporary_store


def test_option_wins(store: Store, tmp_path: Path):
    """`--store` names the store, above `$RUNCAST_STORE`; `file:` before it changes nothing."""
    with temporary_store(tmp_path / "other") as other:
        assert cli("--store", other.path, "run", "echo", "hello").code == 0
        assert cli("--store", f"file:{other.path}", "log", "last").out == b"hello\n"
        assert len(list(other.list())) == 1
    assert not os.path.exists(store.path)


def test_default_is_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without any, runs are kept in the user's state folder, and nobody else may look."""
    monkeypatch.delenv("RUNCAST_STORE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with temporary_store(tmp_path / "state" / "runcast"):
        assert cli("run", "echo", "hello").out == b"hello\n"
        assert cli("log", "last").out == b"hello\n"
        assert (tmp_path / "state" / "runcast").stat().st_mode & 0o777 == 0o700


def test_memory(tmp_path: Path):
    """A store in memory lives as long as the command; nothing of it is left."""
    left = set(os.listdir("/dev/shm"))

    assert cli("--store", "memory:", "run", "echo", "hello").out == b"hello\n"
    assert not {name for name in set(os.listdir("/dev/shm")) - left if name.startswith("runcast-")}


def test_read_only_folder(tmp_path: Path):
    """A folder of ours that may not be written to is told, with what to do."""
    place = tmp_path / "store"
    place.mkdir(0o500)
    powerless = [program("setpriv"), "--bounding-set", "-dac_override"] if os.geteuid() == 0 else []

    command = [*powerless, RUNCAST, "--store", place, "run", "true"]
    done = subprocess.run(command, capture_output=True, timeout=LONG, check=False)

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == (
        f"runcast: cannot write to the store {place}: permission denied: "
        "make it writable, or use another (--store, RUNCAST_STORE)\n"
    )
    assert os.listdir(place) == []

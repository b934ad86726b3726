"""A run's folder: the small files in it, and who holds its lock."""

import errno
import json
import os
from pathlib import Path

import pytest

from runcast.log import RunDirectory
from runcast.log.directory import STATE_BYTES, write_durably
from runcast.model import Outcome, Reason

ASKED = {"name": "ls", "source": "command", "command": ["ls"], "created_at": 1.0}


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    """The folder of a run that was just asked for."""
    return RunDirectory.create(str(tmp_path / "run"), ASKED)


def test_request(directory: RunDirectory):
    """What was asked comes back; the folder and its files are the owner's alone."""
    assert directory.request() == ASKED
    assert os.stat(directory.path).st_mode & 0o777 == 0o700
    assert os.stat(f"{directory.path}/run.json").st_mode & 0o777 == 0o600


def test_long_request(tmp_path: Path):
    """A request of any length is written whole."""
    request = ASKED | {"env": {f"NAME_{n}": "value" * 100 for n in range(1000)}}

    assert RunDirectory.create(str(tmp_path / "run"), request).request() == request


def test_no_such_run(tmp_path: Path):
    """A folder that is not there has no request, no state, no outcome and nobody's lock."""
    directory = RunDirectory(str(tmp_path / "none"))

    with pytest.raises(FileNotFoundError):
        directory.request()
    assert (directory.state(), directory.outcome(), directory.held) == ({}, None, False)


def test_lock(directory: RunDirectory):
    """One holder at a time; everybody sees that it is held, and that it is free again."""
    other = RunDirectory(directory.path)
    assert not other.held
    assert directory.acquire()
    assert (directory.held, other.held, other.acquire()) == (True, True, False)

    directory.release()
    directory.release()
    assert not other.held
    assert other.acquire()
    other.release()


def test_lock_moves_with_the_folder(directory: RunDirectory):
    """A folder that gets its name stays locked by the same holder."""
    assert directory.acquire()
    path = directory.path + "-named"
    os.rename(directory.path, path)
    moved = directory.moved(path)
    directory.release()

    assert RunDirectory(path).held
    moved.release()
    assert not RunDirectory(path).held


def test_state(directory: RunDirectory):
    """The holder tells the state, a later one replaces it whole, everybody reads it."""
    assert directory.state() == {}
    assert directory.acquire()
    directory.write_state({"state": "running", "pid": 12345, "started_at": 1700000000.5})
    directory.write_state({"state": "stopping"})

    assert RunDirectory(directory.path).state() == {"state": "stopping"}
    assert os.stat(f"{directory.path}/lock").st_size == STATE_BYTES
    directory.release()
    assert directory.state() == {"state": "stopping"}


def test_state_that_is_no_json(directory: RunDirectory):
    """A state that cannot be read is none, not an error."""
    Path(directory.path, "lock").write_bytes(b"\0" * STATE_BYTES)

    assert directory.state() == {}


def test_outcome(directory: RunDirectory):
    """An outcome is there whole or not at all, and comes back as it was."""
    outcome = Outcome(Reason.STOPPED, signal=15, message="why", value=[1, {"a": None}], ended_at=1.25)
    assert directory.outcome() is None
    directory.reserve_outcome()
    assert directory.outcome() is None

    directory.write_outcome(outcome)

    assert directory.outcome() == outcome
    assert [name for name in os.listdir(os.path.dirname(directory.path)) if "outcome" in name] == []


def test_outcome_is_as_long_as_it_is(directory: RunDirectory):
    """Room that was set aside leaves nothing behind an outcome that needs less of it, or more."""
    directory.reserve_outcome()
    directory.write_outcome(Outcome(Reason.EXITED, 0))
    assert json.loads(Path(directory.path, "outcome.json").read_bytes())["ok"] is True

    directory.reserve_outcome()
    directory.write_outcome(Outcome(Reason.EXITED, 0, value="v" * 10_000))
    assert directory.outcome() == Outcome(Reason.EXITED, 0, value="v" * 10_000)


@pytest.mark.parametrize("text", [b"", b"{", b"\0" * 100, b"[]", b"{}", b'{"reason": 1}'])
def test_damaged_outcome(directory: RunDirectory, text: bytes):
    """An outcome that cannot be read: it is over, and nobody knows how."""
    Path(directory.path, "outcome.json").write_bytes(text)

    outcome = directory.outcome()

    assert (outcome.reason, outcome.ok) == (Reason.LOST, False)


def test_durable_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """File, name, folder, in this order: what survives a power loss is whole."""
    done: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename
    kinds = {True: "folder", False: "file"}

    def fsync(fd: int) -> None:
        done.append(f"fsync {kinds[os.path.isdir(f'/proc/self/fd/{fd}')]}")
        real_fsync(fd)

    def rename(old: str, new: str) -> None:
        done.append("rename")
        real_rename(old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    write_durably(str(tmp_path / "draft"), str(tmp_path / "name"), b"text")

    assert done == ["fsync file", "rename", "fsync folder"]
    assert (tmp_path / "name").read_bytes() == b"text"


def test_outcome_that_cannot_be_written(directory: RunDirectory, monkeypatch: pytest.MonkeyPatch):
    """If the disk fails, there is no half an outcome."""

    def fsync(fd: int) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="the disk is broken"):
        directory.write_outcome(Outcome(Reason.EXITED, 0))

    assert directory.outcome() is None

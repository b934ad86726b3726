"""A run's folder: the small files in it, and who holds its lock."""

import errno
import json
import os
from pathlib import Path

import pytest

from runcast.model import Outcome, Reason, TerminalSize
from runcast.store.contents import SIZES_BYTES
from runcast.store.run_files import RunFiles
from runcast.store.run_folder import STATE_BYTES
from runcast.sysio.writes import replace

ASKED = {"name": "ls", "source": "command", "command": ["ls"], "created_at": 1.0}


@pytest.fixture
def directory(tmp_path: Path) -> RunFiles:
    """The folder of a run that was just asked for."""
    return RunFiles.create(str(tmp_path / "run"), ASKED)


def test_request(directory: RunFiles):
    """What was asked comes back; the folder and its files are the owner's alone."""
    assert directory.request() == ASKED
    assert os.stat(directory.path).st_mode & 0o777 == 0o700
    assert os.stat(f"{directory.path}/run.json").st_mode & 0o777 == 0o600


def test_long_request(tmp_path: Path):
    """A request of any length is written whole."""
    request = ASKED | {"env": {f"NAME_{n}": "value" * 100 for n in range(1000)}}

    assert RunFiles.create(str(tmp_path / "run"), request).request() == request


def test_no_such_run(tmp_path: Path):
    """A folder that is not there has no request, no state, no outcome and nobody's lock."""
    directory = RunFiles(str(tmp_path / "none"))

    with pytest.raises(FileNotFoundError):
        directory.request()
    assert (directory.state(), directory.outcome(), directory.held) == ({}, None, False)


def test_lock(directory: RunFiles):
    """One holder at a time; everybody sees that it is held, and that it is free again."""
    other = RunFiles(directory.path)
    assert not other.held
    assert directory.acquire()
    assert (directory.held, other.held, other.acquire()) == (True, True, False)

    directory.release()
    directory.release()
    assert not other.held
    assert other.acquire()
    other.release()


def test_lock_moves_with_the_folder(directory: RunFiles):
    """A folder that gets its name stays locked by the same holder."""
    assert directory.acquire()
    path = directory.path + "-named"
    moved = directory.publish(path)
    directory.release()

    assert RunFiles(path).held
    moved.release()
    assert not RunFiles(path).held


def test_state(directory: RunFiles):
    """The holder tells the state, a later one replaces it whole, everybody reads it."""
    assert directory.state() == {}
    assert directory.acquire()
    directory.write_state({"state": "running", "pid": 12345, "started_at": 1700000000.5})
    directory.write_state({"state": "stopping"})

    assert RunFiles(directory.path).state() == {"state": "stopping"}
    assert os.stat(f"{directory.path}/lock").st_size == STATE_BYTES
    directory.release()
    assert directory.state() == {"state": "stopping"}


def test_state_that_is_no_json(directory: RunFiles):
    """A state that cannot be read is none, not an error."""
    Path(directory.path, "lock").write_bytes(b"\0" * STATE_BYTES)

    assert directory.state() == {}


def test_outcome(directory: RunFiles):
    """An outcome is there whole or not at all, and comes back as it was."""
    outcome = Outcome(Reason.STOPPED, signal=15, message="why", value=[1, {"a": None}], ended_at=1.25)
    assert directory.outcome() is None
    directory.reserve_outcome()
    assert directory.outcome() is None

    directory.write_outcome(outcome)

    assert directory.outcome() == outcome
    assert [name for name in os.listdir(os.path.dirname(directory.path)) if "outcome" in name] == []


def test_outcome_is_as_long_as_it_is(directory: RunFiles):
    """Room that was set aside leaves nothing behind an outcome that needs less of it, or more."""
    directory.reserve_outcome()
    directory.write_outcome(Outcome(Reason.EXITED, 0))
    assert json.loads(Path(directory.path, "outcome.json").read_bytes())["ok"] is True

    directory.reserve_outcome()
    directory.write_outcome(Outcome(Reason.EXITED, 0, value="v" * 10_000))
    assert directory.outcome() == Outcome(Reason.EXITED, 0, value="v" * 10_000)


@pytest.mark.parametrize("text", [b"", b"{", b"\0" * 100, b"[]", b"{}", b'{"reason": 1}'])
def test_damaged_outcome(directory: RunFiles, text: bytes):
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
    replace(str(tmp_path / "draft"), str(tmp_path / "name"), b"text")

    assert done == ["fsync file", "rename", "fsync folder"]
    assert (tmp_path / "name").read_bytes() == b"text"


def test_outcome_that_cannot_be_written(directory: RunFiles, monkeypatch: pytest.MonkeyPatch):
    """If the disk fails, there is no half an outcome."""

    def fsync(fd: int) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="the disk is broken"):
        directory.write_outcome(Outcome(Reason.EXITED, 0))

    assert directory.outcome() is None


def test_pin(directory: RunFiles):
    """A pin is one empty file of this user alone, and leaves no draft; it may be set or taken twice."""
    other = RunFiles(directory.path)
    for _ in range(2):
        directory.pin()
        assert other.pinned
    status = os.stat(f"{directory.path}/pinned")
    assert (status.st_mode & 0o777, status.st_size) == (0o600, 0)
    assert os.listdir(os.path.dirname(directory.path)) == ["run"]

    for _ in range(2):
        directory.unpin()
        assert not other.pinned


def test_pin_of_no_run(tmp_path: Path):
    """A run that is not there cannot be pinned."""
    with pytest.raises(FileNotFoundError):
        RunFiles(str(tmp_path / "none")).pin()


def test_sizes(directory: RunFiles):
    """The sizes of a terminal come back in order; of several at one offset the last counts."""
    assert directory.sizes() == []
    sizes = [TerminalSize(0, 81, 24, 1.0), TerminalSize(7, 90, 30, 2.0), TerminalSize(7, 100, 31, 3.0)]
    for size in sizes:
        directory.add_size(size)

    assert directory.sizes() == RunFiles(directory.path).sizes() == [sizes[0], sizes[2]]
    directory.add_size(TerminalSize(8, 1, 65535, 4.0))
    assert directory.sizes()[-1] == TerminalSize(8, 1, 65535, 4.0)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0\0\0\n",
        b"not json\n",
        b"[80, 24]\n",
        b'{"offset": 9, "columns": 80, "rows": 24}\n',
        b'{"offset": -1, "columns": 80, "rows": 24, "time": 1.0}\n',
        b'{"offset": 9, "columns": 0, "rows": 24, "time": 1.0}\n',
        b'{"offset": 9, "columns": 80, "rows": 65536, "time": 1.0}\n',
        b'{"offset": 9, "columns": true, "rows": 24, "time": 1.0}\n',
        b'{"offset": 1, "columns": 80, "rows": 24, "time": 1.0}\n',  # before the one that it follows
    ],
)
def test_damaged_sizes(directory: RunFiles, damage: bytes):
    """Lines without a meaning are passed over, and the others count."""
    whole = TerminalSize(5, 90, 30, 2.0)
    directory.add_size(whole)
    with open(f"{directory.path}/sizes", "ab") as file:
        file.write(damage)
    assert directory.sizes() == [whole]
    with open(f"{directory.path}/sizes", "ab") as file:
        file.write(b'{"offset": 9, "colu')  # a write that a power loss cut
    assert directory.sizes() == [whole]


def test_many_sizes(directory: RunFiles):
    """However often a terminal is resized, its sizes have a bound, and the newest are kept."""
    for offset in range(6000):
        directory.add_size(TerminalSize(offset, 80 + offset % 2, 24, 1.0))

    assert os.stat(f"{directory.path}/sizes").st_size <= SIZES_BYTES
    kept = directory.sizes()
    assert kept[-1].offset == 5999
    assert [size.offset for size in kept] == list(range(kept[0].offset, 6000))
    assert len(kept) > 1000

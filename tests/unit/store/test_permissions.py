"""Who else may write to a store (promise T15)."""

import logging
import os
from pathlib import Path

import pytest

from runcast import Store
from runcast.errors import StoreUnusable
from runcast.store.memory import _sweep


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that only its user may write to."""
    path = tmp_path / "store"
    path.mkdir(mode=0o700)
    return path


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_open_to_all(folder: Path, mode: int) -> None:
    """A store that everybody can write to is refused, with the cure."""
    folder.chmod(mode)

    with pytest.raises(StoreUnusable, match=rf"everybody can write to .* \(mode {mode:04o}\): `chmod go-w "):
        Store.open(folder)
    folder.chmod(0o755)
    Store.open(folder)


def test_open_parent(tmp_path: Path) -> None:
    """A store in whose place everybody can put another is refused; with the sticky bit nobody else can."""
    above = tmp_path / "above"
    (above / "between" / "store").mkdir(parents=True)
    above.chmod(0o777)

    for name in ("store", "not there yet"):
        with pytest.raises(StoreUnusable, match=r"everybody can in .*/above \(mode 0777\), .*`chmod \+t "):
            Store.open(above / "between" / name)
    above.chmod(0o1777)
    Store.open(above / "between" / "store")


def test_linked_store(tmp_path: Path, folder: Path) -> None:
    """The store itself may be a link, as its user named it; what it leads to is looked at."""
    (tmp_path / "link").symlink_to(folder)
    Store.open(tmp_path / "link")

    folder.chmod(0o777)
    with pytest.raises(StoreUnusable, match="everybody can write to"):
        Store.open(tmp_path / "link")


def test_group(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A store that a group can write to is warned of, once, with the cure; the user's own is nobody else."""
    if os.geteuid() == 0:
        os.chown(folder, 0, 100)
    folder.chmod(0o770)

    with caplog.at_level(logging.WARNING, "runcast"):
        Store.open(folder)
        Store.open(folder)

    expected = [f"chmod g-w {folder}"] if os.geteuid() == 0 else []
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == expected


def test_planted_in_memory(tmp_path: Path) -> None:
    """What is in the place of another's store in memory is left alone, and waited for by nobody."""
    (tmp_path / "theirs").mkdir()
    os.mkfifo(tmp_path / "theirs" / ".owner")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / ".owner").touch()
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "file").touch()
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead" / ".owner").touch()
    if os.geteuid() == 0:
        (tmp_path / "given").mkdir()
        (tmp_path / "given" / ".owner").touch()
        os.chown(tmp_path / "given", 65534, 65534)
    before = {one.name for one in tmp_path.rglob("*")}

    for name in ("theirs", "link", "file", "given", "dead"):
        _sweep(f"{tmp_path}/{name}")

    assert before - {one.name for one in tmp_path.rglob("*")} == {"dead"}

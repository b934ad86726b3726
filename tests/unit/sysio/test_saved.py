"""Saving files under names that are not trusted: below the folder, whole or not at all."""

from pathlib import Path

import pytest

from runcast.errors import UsageError
from runcast.sysio.saved import Saved


def test_saved(tmp_path: Path):
    """A file is saved with its folders, and takes the place of another."""
    for data in (b"first", b"second"):
        file = Saved(tmp_path / "new", "a/b/c.txt")
        with file.whole():
            file.write(data)
        assert Path(file.path).read_bytes() == data
    assert [path.name for path in (tmp_path / "new" / "a" / "b").iterdir()] == ["c.txt"]


def test_nothing_of_it(tmp_path: Path):
    """After an error there is no part of it."""
    file = Saved(tmp_path, "c.txt")
    file.write(b"half")
    with pytest.raises(ZeroDivisionError), file.whole():
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", "a/..", "x\0y"])
def test_names(tmp_path: Path, name: str):
    """No name leads out."""
    with pytest.raises(UsageError, match="expected a path"):
        Saved(tmp_path / "new", name)
    assert not (tmp_path / "x").exists()


def test_links(tmp_path: Path):
    """A link in the folder leads nowhere; one in the place of the file is replaced."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "away").symlink_to("../outside")
    (tmp_path / "new" / "file").symlink_to("../outside/file")
    with pytest.raises(OSError, match="away"):
        Saved(tmp_path / "new", "away/x")
    file = Saved(tmp_path / "new", "file")
    with file.whole():
        file.write(b"here")
    assert list((tmp_path / "outside").iterdir()) == []
    assert (tmp_path / "new" / "file").read_bytes() == b"here"

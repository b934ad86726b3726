"""A shelf in a folder: it passes the check of shelves, which notices a broken one; faults of the folder."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast.errors import ShelfDamaged, ShelfDown, ShelfMissing, StoreUnusable
from runcast.shelf import Shelf, open_shelf
from runcast.shelf.folder import FolderShelf
from runcast.shelf.opening import MARK, ShelfRules, identify, parse_shelf
from runcast.store.shelf_urls import Bucket
from runcast.testing import FolderShelfPlace, check_shelf


def test_promises():
    """A folder keeps every promise of a shelf."""
    check_shelf(FolderShelfPlace)


class Overwrites(FolderShelf):
    """Has the last one who keeps a name, not the first."""

    def keep(self, name: str, file: str) -> bool:
        shutil.rmtree(self._path(name), ignore_errors=True)
        if os.path.exists(self._path(name)):
            os.unlink(self._path(name))
        return super().keep(name, file)


class Short(FolderShelf):
    """Gives less than is wanted where an object ends."""

    def fetch(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        return super().fetch(name)[start : None if length is None else start + length]


class Unordered(FolderShelf):
    """Lists in any order."""

    def names(self, prefix: str = "") -> Iterator[str]:
        return reversed(list(super().names(prefix)))


@pytest.mark.parametrize("broken", [Overwrites, Short, Unordered])
def test_check_notices(broken: type[FolderShelf]):
    """A shelf that breaks a promise does not pass."""

    class Place(FolderShelfPlace):
        def shelf(self) -> Shelf:
            return broken(self._folder.name)

    with pytest.raises(AssertionError, match="promise broken"):
        check_shelf(Place)


@pytest.fixture
def shelf(tmp_path: Path) -> FolderShelf:
    """An empty shelf."""
    (tmp_path / "shelf").mkdir()
    return FolderShelf(str(tmp_path / "shelf"))


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file to keep."""
    path = tmp_path / "file"
    path.write_bytes(b"bytes")
    path.chmod(0o600)
    return str(path)


def test_folder_is_gone(shelf: FolderShelf, file: str):
    """A folder that is not there is never made: what belongs on another disk would fill this one."""
    os.rmdir(shelf.path)

    for call in (lambda: shelf.keep("a", file), lambda: shelf.fetch("a"), lambda: list(shelf.names())):
        with pytest.raises(ShelfDown, match="is it mounted"):
            call()

    assert not os.path.exists(shelf.path)


def test_another_folder(shelf: FolderShelf, file: str):
    """A folder that takes the place of the shelf, as when a disk is unmounted, is not the shelf."""
    shelf.keep("a", file)
    os.rename(shelf.path, shelf.path + "-away")
    os.mkdir(shelf.path)

    for call in (lambda: shelf.keep("b", file), lambda: shelf.fetch("a")):
        with pytest.raises(ShelfDown, match="another one"):
            call()

    assert os.listdir(shelf.path) == []


def test_identity(shelf: FolderShelf, tmp_path: Path):
    """A new shelf gets an id, all hosts find the same; an empty folder is not the shelf that it was."""
    draft = str(tmp_path / "draft")
    known = identify(shelf, None, draft)

    assert identify(FolderShelf(shelf.path), None, draft) == known
    assert identify(FolderShelf(shelf.path), known, draft) == known
    os.unlink(f"{shelf.path}/{MARK}")
    with pytest.raises(ShelfDown, match="none is there"):
        identify(shelf, known, draft)
    assert os.listdir(shelf.path) == []
    identify(shelf, None, draft)
    with pytest.raises(ShelfDown, match="the right one"):
        identify(shelf, known, draft)
    assert not os.path.exists(draft)


def test_what_is_no_object(shelf: FolderShelf, file: str):
    """A link or a folder at an object's name is refused, and not followed."""
    os.symlink(file, f"{shelf.path}/link")
    os.mkdir(f"{shelf.path}/folder")

    for name in ("link", "folder"):
        with pytest.raises(ShelfDamaged):
            shelf.fetch(name)
    assert shelf.keep("link", file) is False


def test_drafts(shelf: FolderShelf, file: str):
    """What a writer left that died is no object, and goes a day later; that of another one stays."""
    shelf.keep("a/b", file)
    for name, age in ((".draft-old", 25 * 3600), (".draft-new", 3600)):
        path = f"{shelf.path}/a/{name}"
        Path(path).write_bytes(b"part")
        os.utime(path, (time.time() - age,) * 2)

    assert list(shelf.names()) == ["a/b"]
    with pytest.raises(ShelfMissing):
        shelf.fetch("a/c")
    shelf.keep("a/c", file)

    assert sorted(os.listdir(f"{shelf.path}/a")) == [".draft-new", "b", "c"]


def test_urls():
    """A URL names a folder and says what stays elsewhere."""
    assert parse_shelf("file:///mnt/runs") == ("/mnt/runs", ShelfRules(None, None, 600.0))
    assert parse_shelf("file://localhost/mnt/a%20b/?local_age=7d&local_bytes=10G&link_age=0") == (
        "/mnt/a b",
        ShelfRules(7 * 86400.0, 10 * 1024**3, 0.0),
    )
    assert isinstance(open_shelf("file:///mnt/runs"), FolderShelf)
    assert parse_shelf("s3://runs") == (Bucket("runs"), ShelfRules())
    assert parse_shelf("s3://my.runs/a/b/?region=eu-central-1&endpoint=https://minio:9000&link_age=1h") == (
        Bucket("my.runs", "a/b/", "https://minio:9000", "eu-central-1"),
        ShelfRules(link_age=3600.0),
    )


@pytest.mark.parametrize(
    "url",
    [
        *("/mnt/runs", "file:mnt", "file://host/mnt", "s3://", "", "file://"),
        *("file:///m?age=1d", "file:///m?local_age=x", "file:///m?local_bytes=-1", "file:///m?x"),
        *("s3://Bucket", "s3://key:secret@bucket", "s3://runs?endpoint=minio:9000", "s3://runs?endpoint="),
        *("s3://runs?endpoint=http://user:word@host", "file:///m?endpoint=http://host"),
    ],
)
def test_bad_urls(url: str):
    """What is no folder, or no rule, is refused."""
    with pytest.raises(StoreUnusable, match="expected"):
        parse_shelf(url)

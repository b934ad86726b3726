"""Files of a store, opened with care: whatever is planted there is refused, and nothing waits."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast.errors import FileDamaged, StoreUnusable
from runcast.json_objects import parse_object, read_json
from runcast.sysio.files import (
    create,
    folder,
    is_folder,
    names_in,
    open_folder,
    open_own,
    own_size,
    read_own,
    remove,
)
from runcast.sysio.writes import replace, write_new

SECRET = b'{"secret": 1}'


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    path.symlink_to(path.parent / "outside")


def dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nothing")


def itself(path: Path) -> None:
    path.symlink_to(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def directory(path: Path) -> None:
    path.mkdir()


PLANTED = {
    "a FIFO": fifo,
    "a symbolic link": link,
    "a symbolic link to nothing": dangling,
    "a symbolic link to itself": itself,
    "a symbolic link to a device": device,
    "a folder": directory,
}
planted = pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file that nobody may read or write through a link."""
    path = tmp_path / "outside"
    path.write_bytes(SECRET)
    return path


@planted
def test_planted(plant: Callable[[Path], None], outside: Path, tmp_path: Path) -> None:
    """What is no regular file is refused by every way to open one, with what is there, and is not touched."""
    path = tmp_path / "run.json"
    plant(path)
    before = path.lstat()

    for act in (
        lambda: open_own(str(path), os.O_RDONLY),
        lambda: open_own(str(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        lambda: open_own(str(path), os.O_RDWR | os.O_CREAT),
        lambda: read_own(str(path)),
        lambda: read_json(str(path)),
        lambda: own_size(str(path)),
    ):
        with pytest.raises(
            FileDamaged, match=r"run.json: expected a file, a (FIFO|symbolic link|folder) is there"
        ):
            act()
    assert os.path.samestat(before, path.lstat())
    assert outside.read_bytes() == SECRET


@planted
def test_create(plant: Callable[[Path], None], outside: Path, tmp_path: Path) -> None:
    """A draft takes the place of whatever is there, and what a link led to stays as it was."""
    path = tmp_path / "draft"
    plant(path)

    replace(str(path), str(tmp_path / "name"), b"text")

    assert (tmp_path / "name").read_bytes() == b"text"
    assert (tmp_path / "name").stat().st_mode & 0o777 == 0o600
    assert outside.read_bytes() == SECRET


@planted
def test_write_new(plant: Callable[[Path], None], outside: Path, tmp_path: Path) -> None:
    """A file of a folder that was just made is written there or not at all."""
    path = tmp_path / "run.json"
    plant(path)

    with pytest.raises(FileExistsError):
        write_new(str(path), b"text")
    write_new(str(tmp_path / "other"), b"text")

    assert (tmp_path / "other").read_bytes() == b"text"
    assert outside.read_bytes() == SECRET


def test_create_keeps_what_is_ours(tmp_path: Path) -> None:
    """A file of ours is opened as it is."""
    path = tmp_path / "draft"
    path.write_bytes(b"room")
    os.close(create(str(path), os.O_WRONLY))

    assert path.read_bytes() == b"room"


def test_huge(tmp_path: Path) -> None:
    """A file over its bound is refused by its size, none of it read."""
    path = tmp_path / "run.json"
    path.touch()
    os.truncate(path, 1 << 40)

    with pytest.raises(FileDamaged, match="expected at most 67108864 bytes, it has 1099511627776"):
        read_own(str(path))
    with pytest.raises(FileDamaged, match="expected at most 10 bytes"):
        read_own(str(path), 10)


@pytest.mark.root
def test_somebody_elses(tmp_path: Path) -> None:
    """T15: somebody else's file or folder is refused, whatever its permissions."""
    path = tmp_path / "run.json"
    path.write_bytes(b"{}")
    path.chmod(0o666)
    os.chown(path, 65534, 65534)

    with pytest.raises(FileDamaged, match="expected a file of user 0, it is user 65534's"):
        read_json(str(path))
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 65534, 65534)
    for act in (folder, open_folder):
        with pytest.raises(FileDamaged, match="expected a folder of user 0, it is user 65534's"):
            act(str(tmp_path / "theirs"))
    assert not is_folder(str(tmp_path / "theirs"))
    assert list(names_in(str(tmp_path / "theirs"))) == []


@pytest.mark.parametrize("plant", [fifo, link, dangling, itself], ids=lambda plant: plant.__name__)
def test_no_folder(plant: Callable[[Path], None], tmp_path: Path) -> None:
    """What is in the place of a folder is refused, a link to a folder as well, and is not made one."""
    (tmp_path / "outside").mkdir()
    path = tmp_path / "keys"
    plant(path)

    for act in (folder, open_folder, lambda path: folder(path, make=True)):
        with pytest.raises(FileDamaged, match=r"keys: expected a folder, a (FIFO|symbolic link) is there"):
            act(str(path))
    assert list(names_in(str(path))) == []


def test_missing(tmp_path: Path) -> None:
    """A file that is not there is told as that; a folder in a folder that is there is damage."""
    with pytest.raises(FileNotFoundError):
        read_own(str(tmp_path / "none"))
    with pytest.raises(FileDamaged, match="expected a folder, it is missing"):
        open_folder(str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError):
        open_folder(str(tmp_path / "none" / "log"))
    assert folder(str(tmp_path / "made"), make=True) == str(tmp_path / "made")
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o700


def test_remove(outside: Path, tmp_path: Path) -> None:
    """A link is removed and not what it leads to, a folder with all in it."""
    (tmp_path / "link").symlink_to(outside)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()

    remove(str(tmp_path / "link"))
    remove(str(tmp_path / "full"))

    assert sorted(one.name for one in tmp_path.iterdir()) == ["outside"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty"),
        (b"\0" * 300, r"it is empty \(zeros\)"),
        (b'{"a": ', "something else at byte 6"),
        (b"[]", r"got \[\]"),
        (b"null", "got null"),
        (b"\xff{}", "in UTF-8, byte 0 is not"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "of a usual kind"),
        (b'{"a": ' + b"[" * 201 + b"]" * 201 + b"}", "nested more than 200 deep"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "of a usual kind"),
    ],
    ids=str,
)
def test_no_object(data: bytes, message: str) -> None:
    """What is no JSON object is refused with what was expected and what came."""
    with pytest.raises(ValueError, match="expected a JSON object.*" + message):
        parse_object(data)


def test_object() -> None:
    """What we write ourselves is read, however many brackets its texts have."""
    assert parse_object(b'{"a": [1, {"b": "' + b"[" * 1000 + b'"}]}') == {"a": [1, {"b": "[" * 1000}]}
    assert issubclass(FileDamaged, StoreUnusable)

"""The token: where it comes from, and who else may see it."""

import os
import stat
import threading
from pathlib import Path

import pytest

from runcast.errors import StoreUnusable, UsageError
from runcast.store.token import checked, kept_token


def test_made_once(tmp_path: Path):
    """A store's token is made once and kept: links and pages live through a restart."""
    store = tmp_path / "store"

    first = kept_token(str(store))

    assert kept_token(str(store)) == first
    assert kept_token(str(tmp_path / "other")) != first


def test_unguessable(tmp_path: Path):
    """A token has at least 128 bits, and needs no quoting in a URL or a header."""
    tokens = {kept_token(str(tmp_path / str(number))) for number in range(20)}

    assert len(tokens) == 20
    assert all(
        len(token) * 6 >= 128 and token.replace("-", "").replace("_", "").isalnum() for token in tokens
    )


def test_for_nobody_else(tmp_path: Path):
    """Nobody else can read the token or enter the store, whatever the umask."""
    before = os.umask(0)
    try:
        kept_token(str(tmp_path / "store"))
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "store" / ".token").stat().st_mode) == 0o600
    assert os.listdir(tmp_path / "store") == [".token"]


def test_servers_that_start_at_once(tmp_path: Path):
    """Of several servers that start at once all get the same token, whole."""
    got: list[str] = []
    barrier = threading.Barrier(8)

    def begin() -> None:
        barrier.wait()
        got.append(kept_token(str(tmp_path / "store")))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(got) == 8
    assert len(set(got)) == 1
    assert len(got[0]) == 32


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_file_that_others_can_use(tmp_path: Path, mode: int):
    """A token that others can read or write is not trusted."""
    kept_token(str(tmp_path))
    (tmp_path / ".token").chmod(mode)

    with pytest.raises(StoreUnusable, match="only this user can read, others can"):
        kept_token(str(tmp_path))


def test_planted_link(tmp_path: Path):
    """A link planted in place of the file is not followed, and nothing is written through it."""
    target = tmp_path / "target"
    target.write_text("known-to-somebody-else\n")
    target.chmod(0o600)
    store = tmp_path / "store"
    store.mkdir()
    (store / ".token").symlink_to(target)

    with pytest.raises(StoreUnusable, match="cannot keep the token"):
        kept_token(str(store))

    assert target.read_text() == "known-to-somebody-else\n"


@pytest.mark.parametrize("content", ["", "\n", "two words\n", "ü\n", "a\0b", "x" * 257])
def test_file_that_holds_no_token(tmp_path: Path, content: str):
    """A file with something else in it is not taken for a token, least of all an empty one."""
    (tmp_path / ".token").write_text(content)
    (tmp_path / ".token").chmod(0o600)

    with pytest.raises(StoreUnusable, match=r"expected a token in .*, got something else"):
        kept_token(str(tmp_path))


def test_folder_in_its_place(tmp_path: Path):
    """What is no file at all is told as an error like others."""
    (tmp_path / ".token").mkdir()

    with pytest.raises(StoreUnusable):
        kept_token(str(tmp_path))


@pytest.mark.parametrize("token", ["x" * 16, "correct-horse_battery.staple~+/=", "x" * 256])
def test_chosen_token(token: str):
    """What a header can carry is a token."""
    assert checked(token, "--token") == token


def test_chosen_short():
    """A token that can be guessed is refused."""
    with pytest.raises(UsageError, match="of at least 16 characters, got 7: a shorter one can be guessed"):
        checked("hunter2", "--token")


@pytest.mark.parametrize("token", ["", " ", "a b", "a\n", "ü", 'a"b', "a;b", "a&b", "a%20b", "x" * 257])
def test_chosen_wrongly(token: str):
    """What a header or a URL would change is refused, and not repeated."""
    with pytest.raises(
        UsageError, match=f"^expected --token as 16 to 256 letters.*, got {len(token)} characters$"
    ):
        checked(token, "--token")

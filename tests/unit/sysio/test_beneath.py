"""Files beneath a folder: what patterns match, and that nothing leads out."""

import os
from pathlib import Path

import pytest

from runcast.sysio.beneath import TooManyNames, check_pattern, matching, open_file
from tests.helpers.descriptors import open_in

FILES = ("a.txt", "b.txt", "out/a.png", "out/b.png", "out/deep/er/c.png", ".hidden/d.txt", "out/.e.png")


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path):
    """Give a descriptor of a folder with files, and with ways out of it."""
    inside = tmp_path / "inside"
    for name in FILES:
        (inside / name).parent.mkdir(parents=True, exist_ok=True)
        (inside / name).write_text(name)
    (tmp_path / "secret.txt").write_text("secret")
    (inside / "out.txt").symlink_to("../secret.txt")
    (inside / "away").symlink_to("..")
    (inside / "[x]").write_text("odd")
    fd = os.open(inside, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a.txt", ["a.txt"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("[!a].txt", ["b.txt"]),
        ("none", []),
        ("none/*", []),
        ("a.txt/b", []),
        ("out/*.png", ["out/a.png", "out/b.png"]),
        ("out/.*", ["out/.e.png"]),
        ("*/d.txt", []),
        (".hidden/*", [".hidden/d.txt"]),
        ("**/*.png", ["out/a.png", "out/b.png", "out/deep/er/c.png"]),
        ("out/**/c.png", ["out/deep/er/c.png"]),
        ("out/**", ["out/a.png", "out/b.png", "out/deep", "out/deep/er", "out/deep/er/c.png"]),
        ("out/**/**", ["out/a.png", "out/b.png", "out/deep", "out/deep/er", "out/deep/er/c.png"]),
        ("away/*", []),
        ("**/secret.txt", []),
        ("[[]x]", ["[x]"]),
    ],
)
def test_matches(folder: int, pattern: str, found: list[str]):
    """A pattern matches as in a shell, and goes through no link."""
    assert list(matching(folder, pattern)) == found


@pytest.mark.parametrize(
    ("pattern", "short"), [("a", "a"), ("./a//b/", "a/b"), ("a/./**", "a/**"), ("..a/b..", "..a/b..")]
)
def test_pattern(pattern: str, short: str):
    """A pattern has one form."""
    assert check_pattern(pattern) == short


@pytest.mark.parametrize(
    "pattern", ["", ".", "/", "/etc/passwd", "..", "../a", "a/../b", "a/..", "a\0b", "a/" * 50]
)
def test_no_pattern(pattern: str):
    """What leads out of the folder, or to nothing, is none."""
    with pytest.raises(ValueError, match="expected a path"):
        check_pattern(pattern)


def test_opened(folder: int):
    """A file is opened by its path."""
    fd = open_file(folder, "out/deep/er/c.png")
    assert os.read(fd, 100) == b"out/deep/er/c.png"
    os.close(fd)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("out.txt", "no link"),
        ("away/secret.txt", "not through a symbolic link"),
        ("out", r"it is a folder: out/\*\* has"),
        ("fifo", "no link, socket or device"),
    ],
)
def test_not_opened(folder: int, tmp_path: Path, path: str, why: str):
    """What is no regular file below real folders is not opened, and nothing waits for it."""
    os.mkfifo("fifo", dir_fd=folder)
    before = open_in(tmp_path)
    with pytest.raises(ValueError, match=why):
        open_file(folder, path)
    assert open_in(tmp_path) == before


def test_too_deep(tmp_path: Path):
    """A walk ends somewhere, and says so."""
    deep = tmp_path
    for _ in range(60):
        deep /= "d"
    deep.mkdir(parents=True)
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(TooManyNames):
            list(matching(fd, "**/x"))
    finally:
        os.close(fd)

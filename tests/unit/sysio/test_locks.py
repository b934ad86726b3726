"""Locks of open files: one holder or several that share, and free when the file is closed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast.sysio.files import is_locked
from runcast.sysio.locks import lock, unlock


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """The same file, opened twice."""
    path = tmp_path / "file"
    path.touch()
    fds = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    yield fds
    for fd in fds:
        os.close(fd)


def test_one_holder(two: tuple[int, int]):
    """While one has the lock no other gets it, shared or not; afterwards it does."""
    one, other = two

    assert lock(one)
    assert not lock(other, wait=False)
    assert not lock(other, wait=False, shared=True)
    unlock(one)
    assert lock(other, wait=False)


def test_shared(two: tuple[int, int]):
    """Several share a lock, and nobody has it alone meanwhile."""
    one, other = two

    assert lock(one, shared=True)
    assert lock(other, wait=False, shared=True)
    assert not lock(one, wait=False)


def test_is_locked(tmp_path: Path):
    """A file is locked while somebody holds its lock; one that is not there, or no file, never is."""
    path = tmp_path / "file"
    assert not is_locked(str(path))
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    lock(fd)
    assert is_locked(str(path))
    os.close(fd)
    assert not is_locked(str(path))
    assert not is_locked(str(tmp_path))

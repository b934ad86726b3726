"""The conformance check of a shelf: the promises that every place for finished output keeps.

A failure is an AssertionError with the promise, the expected value and the actual one.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from typing import Protocol

from runcast.errors import RuncastError, ShelfDamaged, ShelfMissing, UsageError
from runcast.shelf.base import Shelf
from runcast.shelf.folder import FolderShelf
from runcast.sysio.writes import write_file

__all__ = ["FolderShelfPlace", "ShelfPlace", "check_shelf"]

_HOSTS = 8
_ALL = bytes(range(256))


class ShelfPlace(Protocol):
    """A shelf, empty at first, that several hosts share."""

    def shelf(self) -> Shelf:
        """Return it as another host has it."""

    def close(self) -> None:
        """Remove it."""


class FolderShelfPlace:
    """A folder for the moment."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="runcast-shelf-")

    def shelf(self) -> Shelf:
        """Return the folder as another host has it."""
        return FolderShelf(self._folder.name)

    def close(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()


def check_shelf(factory: Callable[[], ShelfPlace]) -> None:
    """Check that a shelf keeps the promises of every shelf.

    Args:
        factory: called for each check, returns a place with an empty shelf; see `ShelfPlace`.

    Raises:
        AssertionError: a promise is broken; the message names it.
    """
    for check in (_ranges, _once, _one_of_many, _names, _bad_names, _missing, _copied):
        place = factory()
        try:
            with tempfile.TemporaryDirectory(prefix="runcast-check-") as files:
                check(place, files)
        except (AssertionError, RuncastError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            promise = " ".join((check.__doc__ or "").split())
            raise AssertionError(f"promise broken: {promise} {type(error).__name__}: {error}") from error
        finally:
            place.close()


def _file(files: str, data: bytes, name: str = "file") -> str:
    path = f"{files}/{name}"
    write_file(path, data)
    return path


def _same(actual: object, expected: object) -> None:
    if actual != expected:
        raise AssertionError(f"expected {expected!r:.200}, got {actual!r:.200}")


def _raises(kind: type[RuncastError], call: Callable[[], object]) -> None:
    try:
        got = call()
    except kind:
        return
    raise AssertionError(f"expected {kind.__name__}, got {got!r:.200}")


def _ranges(place: ShelfPlace, files: str) -> None:
    """Another host fetches what was kept, whole or any range of it, and never less than it wants."""
    data = _ALL * 5000
    _same(place.shelf().keep("a/big", _file(files, data)), True)
    _same(place.shelf().keep("a/empty", _file(files, b"")), True)
    there = place.shelf()
    _same(there.fetch("a/big"), data)
    _same(there.fetch("a/empty"), b"")
    for start, length in ((0, 1), (255, 2), (len(data) - 1, 1), (1000, 300000), (len(data), 0), (7, 0)):
        _same(there.fetch("a/big", start, length), data[start : start + length])
    _same(there.fetch("a/big", 1000), data[1000:])
    for start, length in ((len(data), 1), (len(data) - 1, 2), (0, len(data) + 1)):
        _raises(ShelfDamaged, lambda start=start, length=length: there.fetch("a/big", start, length))  # type: ignore[misc]


def _once(place: ShelfPlace, files: str) -> None:
    """An object that is there stays as it is when its name is kept again."""
    _same(place.shelf().keep("a/b", _file(files, b"first")), True)
    for data in (b"second", b"first", b""):
        _same(place.shelf().keep("a/b", _file(files, data)), False)
        _same(place.shelf().fetch("a/b"), b"first")


def _one_of_many(place: ShelfPlace, files: str) -> None:
    """Of several hosts who keep one name at once, one does, and its object is what all of them find."""
    paths = [_file(files, bytes([number]) * 200_000, f"file{number}") for number in range(_HOSTS)]
    kept: list[int] = []
    found: list[bytes] = []

    def keep(number: int) -> None:
        shelf = place.shelf()
        if shelf.keep("a/race", paths[number]):
            kept.append(number)
        found.append(shelf.fetch("a/race"))

    threads = [threading.Thread(target=keep, args=(number,)) for number in range(_HOSTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _same(len(kept), 1)
    _same(found, [bytes([kept[0]]) * 200_000] * _HOSTS)


def _names(place: ShelfPlace, files: str) -> None:
    """Names are listed in order, by any prefix, and nothing else is."""
    names = ["a-b", "a/b", "a/b.c", "a/bb/c", "ab", "b/0", "b/1/x"]
    _same(list(place.shelf().names()), [])
    for name in reversed(names):
        place.shelf().keep(name, _file(files, name.encode()))
    for prefix in ("", "a", "a/", "a/b", "a/bb/", "b/1", "b/0", "c", "a/b.c", "a/b.cd"):
        expected = sorted(name for name in names if name.startswith(prefix))
        _same(list(place.shelf().names(prefix)), expected)


def _bad_names(place: ShelfPlace, files: str) -> None:
    """A name that could lead elsewhere is none."""
    path = _file(files, b"x")
    for name in ("", "/a", "a/", "../a", "a/../b", "a//b", ".a", "A", "a b", "a\n", "a\0b"):
        _raises(UsageError, lambda name=name: place.shelf().keep(name, path))  # type: ignore[misc]
        _raises(UsageError, lambda name=name: place.shelf().fetch(name))  # type: ignore[misc]


def _missing(place: ShelfPlace, files: str) -> None:
    """What is not there is said to be missing, and nothing else is."""
    place.shelf().keep("a/b", _file(files, b"x"))
    for name in ("a/c", "c/b", "a/b.index"):
        _raises(ShelfMissing, lambda name=name: place.shelf().fetch(name))  # type: ignore[misc]


def _copied(place: ShelfPlace, files: str) -> None:
    """What is kept is a copy: the file may change and go afterwards."""
    path = _file(files, b"before")
    place.shelf().keep("a/b", path)
    with open(path, "r+b") as file:
        file.write(b"after!")
    os.unlink(path)
    _same(place.shelf().fetch("a/b"), b"before")

"""A shelf that is a folder: on a disk of this machine, or one that several hosts have mounted.

An object is a file at its name. It is written as a draft, synced, and linked to its name, which fails where
there is one; so it appears whole, and is never overwritten, by whichever host. What was left of a writer
that died is swept a day later. Owns what is done about a folder that is not there, is another one than
it was, cannot be written to, or is full. The folder itself is never made: where a disk is not mounted, it
would be on the wrong one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from typing import Final

from runcast.errors import FileDamaged, ShelfDamaged, ShelfDown, ShelfFull, ShelfMissing
from runcast.ids import new_run_id
from runcast.shelf.base import Shelf, check_name
from runcast.sysio.files import make_folders, open_own
from runcast.sysio.writes import sync_folder, write_all, write_new

__all__ = ["FolderShelf"]

_DRAFT: Final = ".draft-"
_ABANDONED = 24 * 3600.0  # seconds; the clocks of hosts may differ
_BLOCK = 1024 * 1024
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class FolderShelf(Shelf):
    """Objects in a folder.

    Args:
        path: of the folder, which must be there whenever it is used.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._known: tuple[int, int] | None = None  # the folder, as it was at first

    def __repr__(self) -> str:
        return f"<FolderShelf {self.path}>"

    def __str__(self) -> str:
        return self.path

    def keep(self, name: str, file: str) -> bool:
        """Keep it, as `Shelf.keep` says."""
        path = self._path(name)
        folder = os.path.dirname(path)
        with self._errors(f"keep {name}"):
            self._make(folder)
            if os.path.lexists(path):
                sync_folder(folder)
                return False
            self._sweep(folder)
            draft = f"{folder}/{_DRAFT}{new_run_id()}"
            try:
                _copy(file, draft)
                kept = self._link(draft, path)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft)
            sync_folder(folder)
            return kept

    def _link(self, draft: str, path: str) -> bool:
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            raise ShelfDown(
                f"expected a file system with hard links at the shelf {self.path}, so that nothing there is "
                f"overwritten: {(error.strerror or '').lower()}: use a folder on another one"
            ) from None
        return True

    def fetch(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a range, as `Shelf.fetch` says."""
        path = self._path(name)
        with self._errors(f"fetch {name}"):
            try:
                fd = open_own(path, os.O_RDONLY)
            except FileNotFoundError:
                raise ShelfMissing(
                    f"expected the object {name} on the shelf {self.path}, it has none"
                ) from None
            except FileDamaged as error:
                raise ShelfDamaged(f"the shelf {self.path} has something else as {name}: {error}") from None
            try:
                size = os.fstat(fd).st_size
                length = size - start if length is None else length
                data = _read(fd, start, length)
            finally:
                os.close(fd)
        if length < 0 or len(data) < length:
            raise ShelfDamaged(
                f"expected {length} bytes from {start} on in the object {name} of the shelf {self.path}, "
                f"it ends at {size}: it was cut off"
            )
        return data

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield names, as `Shelf.names` says."""
        with self._errors("list"):
            found = list(self._below("", prefix))
        yield from found

    def _below(self, inside: str, prefix: str) -> Iterator[str]:
        """Yield the names in a folder of the shelf, in order of the whole names."""
        entries = []
        for name in os.listdir(f"{self.path}/{inside}"):
            if not name.startswith("."):
                folder = os.path.isdir(f"{self.path}/{inside}{name}")
                entries.append(f"{inside}{name}/" if folder else f"{inside}{name}")
        for name in sorted(entries):
            if not name.endswith("/"):
                if name.startswith(prefix):
                    yield name
            elif name.startswith(prefix) or prefix.startswith(name):
                yield from self._below(name, prefix)

    def _path(self, name: str) -> str:
        return f"{self.path}/{check_name(name)}"

    def _make(self, folder: str) -> None:
        if not os.path.isdir(folder):
            make_folders(folder)
            while len(folder := os.path.dirname(folder)) >= len(self.path):
                sync_folder(folder)

    def _sweep(self, folder: str) -> None:
        for name in os.listdir(folder):
            if name.startswith(_DRAFT):
                with contextlib.suppress(OSError):  # it is done now, or swept by somebody else
                    if time.time() - os.lstat(f"{folder}/{name}").st_mtime > _ABANDONED:
                        os.unlink(f"{folder}/{name}")

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Check that the folder is the one that it was, and say what failed in terms of the shelf."""
        try:
            status = os.stat(self.path)
            here = status.st_dev, status.st_ino
            self._known = self._known or here
            if here != self._known:
                raise ShelfDown(
                    f"expected the folder that {self.path} was before, it is another one: is it mounted?"
                )
            yield
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            if error.errno in _FULL:
                raise ShelfFull(f"cannot {what} on the shelf {self.path}: {said}: make room there") from None
            raise ShelfDown(
                f"cannot {what} on the shelf {self.path}: {said}: is it mounted, and this user's?"
            ) from None


def _copy(file: str, draft: str) -> None:
    """Copy a file into a new one, durably."""
    write_new(draft, b"")
    source = open_own(file, os.O_RDONLY)
    try:
        target = open_own(draft, os.O_WRONLY)
        try:
            while data := os.read(source, _BLOCK):
                write_all(target, data)
            os.fsync(target)
        finally:
            os.close(target)
    finally:
        os.close(source)


def _read(fd: int, start: int, length: int) -> bytes:
    parts = []
    while length > 0 and (part := os.pread(fd, length, start)):
        parts.append(part)
        start, length = start + len(part), length - len(part)
    return b"".join(parts)

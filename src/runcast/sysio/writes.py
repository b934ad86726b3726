"""Writing files of ours: in one go, all of it or nothing, and so that it survives a power loss.

Owns the one atomic write: a draft beside the file, renamed when it is whole. Knows no runs.
"""

from __future__ import annotations

import contextlib
import errno
import os

from runcast.sysio.files import FILE_MODE, SAFE, create, open_own

__all__ = [
    "replace",
    "sync_file",
    "sync_folder",
    "write_all",
    "write_file",
    "write_new",
    "write_once",
    "write_whole",
]


def write_all(fd: int, data: bytes) -> None:
    """Write all of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_whole(fd: int, data: bytes) -> None:
    """Append all of it at once or nothing: behind a part of a record no other would be found.

    Raises:
        OSError: the disk, or RLIMIT_FSIZE, has no room for it.
    """
    written = os.write(fd, data)
    if written < len(data):
        os.ftruncate(fd, os.fstat(fd).st_size - written)
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))


def write_file(path: str, data: bytes) -> None:
    """Write a small file anew, for this user alone; what is no file of ours makes way for it."""
    fd = create(path, os.O_WRONLY | os.O_TRUNC)
    try:
        write_all(fd, data)
    finally:
        os.close(fd)


def write_new(path: str, data: bytes) -> None:
    """Write a file that is not there yet, for this user alone.

    Raises:
        FileExistsError: something is.
    """
    fd = os.open(path, SAFE | os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        write_all(fd, data)
    finally:
        os.close(fd)


def replace(draft: str, path: str, data: bytes, *, durable: bool = True) -> None:
    """Write a file so that readers see the old content or the new one, and never a part.

    Args:
        draft: where it is written before it is renamed, in the same file system. Room that this file
            already has is used in place.
        path: where it goes.
        data: all of it.
        durable: have it survive a power loss once this returns; else nothing is synced.
    """
    fd = create(draft, os.O_WRONLY if durable else os.O_WRONLY | os.O_TRUNC)
    try:
        write_all(fd, data)
        if durable:
            os.ftruncate(fd, len(data))
            os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(draft, path)
    if durable:
        sync_folder(os.path.dirname(path))


def write_once(draft: str, path: str, data: bytes) -> bool:
    """Write a file whole, unless it is there; of several at once one does. Return whether this one did."""
    try:
        write_new(draft, data)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
            return True
        return False
    finally:
        os.unlink(draft)


def sync_file(path: str) -> None:
    """Have what is in a file of ours survive a power loss."""
    fd = open_own(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_folder(path: str) -> None:
    """Have the names in a folder survive a power loss."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

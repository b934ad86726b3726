"""The files of a store, opened with care.

Owns the one way in which a file of ours is opened, and a small one read: never through a symbolic
link, never waiting (a FIFO), never a device, a folder or somebody else's file, never more than a
stated size. What does not fit is refused with a `FileDamaged`, which says what is there. Also where a
file is that was moved while it was open.

A store is its user's alone (`Store.open` refuses folders that others may write to). What is in it
may still come from elsewhere: a backup, an archive that was unpacked, a folder that was once open to
all, half of a power loss. So nothing found below a store is followed or trusted before it was looked
at. A process of the same user that swaps files while we look is no threat that file modes, or this
module, could hold off. Imports nothing of ours but errors.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from runcast.errors import FileDamaged
from runcast.sysio.locks import lock, unlock

__all__ = [
    "DIR_MODE",
    "FILE_MODE",
    "SAFE",
    "create",
    "folder",
    "folder_above",
    "is_at",
    "is_folder",
    "is_locked",
    "make_folders",
    "names_in",
    "open_folder",
    "open_or_make",
    "open_own",
    "own_size",
    "read_kernel",
    "read_own",
    "remove",
]

SMALL = (
    64 * 1024 * 1024
)  # bytes: more than run.json has with the longest command and environment there can be
FILE_MODE, DIR_MODE = 0o600, 0o700  # output may hold secrets: nobody else's business
SAFE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_BLOCK = 64 * 1024
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# What open(2) says of a link, a socket or a FIFO that nobody reads, a folder that is to be written.
_NOT_REGULAR = frozenset({errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENODEV})


def open_own(path: str, flags: int, *, dir_fd: int | None = None) -> int:
    """Open a file as `os.open` does, if it is a regular one of this user's; return the descriptor.

    Raises:
        FileNotFoundError: there is none, and `flags` do not have it made.
        FileDamaged: something else is there.
        OSError: it cannot be opened.
    """
    return _open(path, flags, dir_fd)[0]


def _open(path: str, flags: int, dir_fd: int | None = None) -> tuple[int, os.stat_result]:
    try:
        fd = os.open(path, flags | SAFE, FILE_MODE, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in _NOT_REGULAR:
            raise FileDamaged(f"{path}: expected a file, {_kind_of(path, dir_fd)} is there") from None
        if error.errno == errno.ENOTDIR:
            raise FileDamaged(f"{path}: expected a file in a folder, the folder is something else") from None
        raise
    try:
        status = os.fstat(fd)
        _check(path, status)
    except BaseException:
        os.close(fd)
        raise
    return fd, status


def _check(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise FileDamaged(f"{path}: expected a file, {_kind(status.st_mode)} is there")
    _check_owner(path, status, "a file")


def _check_owner(path: str, status: os.stat_result, what: str) -> None:
    if status.st_uid != os.geteuid():
        raise FileDamaged(f"{path}: expected {what} of user {os.geteuid()}, it is user {status.st_uid}'s")


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "a file")


def _kind_of(path: str, dir_fd: int | None) -> str:
    try:
        return _kind(os.stat(path, dir_fd=dir_fd, follow_symlinks=False).st_mode)
    except OSError:
        return "something else"


def own_size(path: str) -> int:
    """Return the size of a regular file of this user's, in bytes.

    Raises:
        FileNotFoundError: there is nothing.
        FileDamaged: it is something else.
    """
    status = os.lstat(path)
    _check(path, status)
    return status.st_size


def read_own(path: str, most: int = SMALL) -> bytes:
    """Return what is in a small file of ours, by four system calls.

    Raises:
        FileNotFoundError: there is none.
        FileDamaged: it is no file of ours, or longer than `most` bytes.
    """
    fd, status = _open(path, os.O_RDONLY)
    try:
        if status.st_size > most:
            raise FileDamaged(f"{path}: expected at most {most} bytes, it has {status.st_size}")
        data = os.read(fd, status.st_size + 1)
        while len(data) > status.st_size:  # it grew meanwhile
            more = os.read(fd, most)
            data += more
            if not more or len(data) > most:
                break
        if len(data) > most:
            raise FileDamaged(f"{path}: expected at most {most} bytes, it has more")
        return data
    finally:
        os.close(fd)


def read_kernel(path: str) -> bytes:
    """Return the content of a file of the kernel's, or of the system's: one whose size means nothing.

    Raises:
        OSError: there is none, or it cannot be read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = b""
        while part := os.read(fd, _BLOCK):
            data += part
        return data
    finally:
        os.close(fd)


def open_or_make(path: str, flags: int) -> int:
    """Open a file of ours as `open_own` does, made if nothing is there: what was just made needs no look.

    Raises:
        FileDamaged: something else is there.
        OSError: it cannot be opened or made.
    """
    try:
        return os.open(path, flags | SAFE | os.O_CREAT | os.O_EXCL, FILE_MODE)
    except OSError:  # it is there; or it cannot be made, and `open_own` says why
        return open_own(path, flags | os.O_CREAT)


def create(path: str, flags: int) -> int:
    """Open a file of ours to write; what is no such file makes way for a new one.

    For what belongs to one writer and whose old content is worth nothing: drafts, signs of life.

    Raises:
        OSError: it cannot be made.
    """
    try:
        return open_or_make(path, flags)
    except FileDamaged:
        remove(path)
        return open_own(path, flags | os.O_CREAT | os.O_EXCL)


def remove(path: str) -> None:
    """Remove what is there, whatever it is; never what a symbolic link leads to."""
    try:
        os.unlink(path)
    except IsADirectoryError:
        import shutil

        shutil.rmtree(path)


def is_folder(path: str) -> bool:
    """Return whether there is a folder of this user's; a symbolic link to one is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def open_folder(path: str) -> int:
    """Open a folder, not through a symbolic link; return the descriptor.

    Raises:
        FileNotFoundError: not even the folder that it should be in is there.
        FileDamaged: something else is there, or nothing.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        if os.path.isdir(os.path.dirname(path)):
            raise FileDamaged(f"{path}: expected a folder, it is missing") from None
        raise
    except NotADirectoryError:
        raise FileDamaged(f"{path}: expected a folder, {_kind_of(path, None)} is there") from None
    try:
        _check_owner(path, os.fstat(fd), "a folder")
    except BaseException:
        os.close(fd)
        raise
    return fd


def folder(path: str, *, make: bool = False) -> str:
    """Return the path of a folder of this user's.

    Args:
        path: the folder.
        make: make it if it is not there.

    Raises:
        FileDamaged: something else is there, or nothing.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        if not make:
            raise FileDamaged(f"{path}: expected a folder, it is missing") from None
        with contextlib.suppress(FileExistsError):
            os.makedirs(path, DIR_MODE)
        status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise FileDamaged(f"{path}: expected a folder, {_kind(status.st_mode)} is there: move it away")
    _check_owner(path, status, "a folder")
    return path


def names_in(path: str) -> Iterator[str]:
    """Yield the names in a folder of this user's; none where there is no such folder."""
    if is_folder(path):
        with contextlib.suppress(OSError):
            yield from os.listdir(path)


def make_folders(path: str) -> None:
    """Make a folder and those above it that are missing, for this user alone whatever the umask is."""
    parent = os.path.dirname(path)
    if not os.path.isdir(parent) and parent != path:
        make_folders(parent)
    try:
        os.mkdir(path, DIR_MODE)
    except FileExistsError:
        if not os.path.isdir(path):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None


def is_locked(path: str) -> bool:
    """Return whether somebody holds the lock of this file; what is no file of ours nobody holds."""
    try:
        fd = open_own(path, os.O_RDONLY)
    except (FileNotFoundError, FileDamaged):
        return False
    try:
        if not lock(fd, wait=False, shared=True):
            return True
    except OSError:
        return True
    else:
        unlock(fd)
        return False
    finally:
        os.close(fd)


def is_at(path: str, fd: int) -> bool:
    """Return whether this path is the path of an open file now."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    except OSError:
        return False


def folder_above(fd: int, inside: str) -> str | None:
    """Return the folder below which an open file is `inside`; None if it is elsewhere, or removed.

    Args:
        fd: the file.
        inside: its path from that folder on, such as `/keys/name`.
    """
    try:
        path = os.readlink(f"/proc/self/fd/{fd}")  # " (deleted)" behind it where it has no name any more
    except OSError:
        return None
    return path.removesuffix(inside) if path.endswith(inside) and is_at(path, fd) else None

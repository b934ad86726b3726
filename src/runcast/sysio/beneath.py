"""Files beneath a folder, by patterns: found and opened without ever leaving it.

Owns what a pattern is and the walk. Each folder is opened from the one above it, by its name alone and not
through a symbolic link, so nothing that is swapped meanwhile leads out (openat(2), O_NOFOLLOW). Must not
know what the files are for.

A pattern is a relative path. `*`, `?` and `[…]` match within one name, `**` any number of folders. As in a
shell they match no name that begins with a dot unless the pattern's does.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import stat
from collections.abc import Iterator

from runcast.sysio.files import SAFE

__all__ = ["TooManyNames", "check_pattern", "is_plain", "matching", "open_file", "parts_of"]

_NAMES_MOST = 100_000  # that are looked at for one pattern
_DEEPEST = 40  # folders in each other
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_FILE = frozenset({errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EISDIR})


class TooManyNames(Exception):
    """There are more names than are looked at."""


def parts_of(path: str) -> list[str]:
    """Return the names in a path or a pattern; those that say nothing (`./a//b`) are left out."""
    return [part for part in path.split("/") if part not in ("", ".")]


def check_pattern(pattern: str) -> str:
    """Return a pattern in its shortest form.

    Raises:
        ValueError: it is none, or leads out of the folder; the message says what was expected.
    """
    parts = parts_of(pattern)
    if pattern.startswith("/") or ".." in parts:
        raise ValueError("expected a path within the folder of the run, without / before it and .. in it")
    if not parts or "\0" in pattern:
        raise ValueError("expected a path with a name in it")
    if len(parts) > _DEEPEST:
        raise ValueError(f"expected a path of at most {_DEEPEST} names")
    return "/".join(parts)


def is_plain(pattern: str) -> bool:
    """Return whether a pattern matches nothing but its own text."""
    return not any(one in pattern for one in "*?[")


def matching(folder: int, pattern: str) -> Iterator[str]:
    """Yield the paths of what matches, beneath an open folder, in order; folders and links among them.

    Raises:
        TooManyNames: not all of it was looked at.
    """
    parts = parts_of(pattern)
    if parts[-1] == "**":
        parts.append("*")
    left = [_NAMES_MOST]
    seen: set[str] = set()
    for path in _walk(folder, parts, "", left):
        if path not in seen:  # `**` may come to it in several ways
            seen.add(path)
            yield path


def open_file(folder: int, path: str) -> int:
    """Open a regular file beneath an open folder; return the descriptor.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is something else; the message says what was expected.
        OSError: it cannot be read.
    """
    *folders, name = parts_of(path)
    above = os.dup(folder)
    try:
        for one in folders:
            below = os.open(one, _FOLDER, dir_fd=above)
            os.close(above)
            above = below
        fd = os.open(name, os.O_RDONLY | SAFE, dir_fd=above)
    except OSError as error:
        if error.errno == errno.ENOTDIR:  # a link to a folder, too
            raise ValueError("expected a file below folders, and not through a symbolic link") from None
        if error.errno in _NO_FILE:
            raise ValueError("expected a regular file, no link, socket or device") from None
        raise
    finally:
        os.close(above)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    is_folder = stat.S_ISDIR(mode)
    raise ValueError(
        f"expected a regular file, it is a folder: {path}/** has what is in it"
        if is_folder
        else "expected a regular file, no link, socket or device"
    )


def _walk(folder: int, parts: list[str], above: str, left: list[int]) -> Iterator[str]:
    first, *rest = parts
    if first == "**":
        yield from _walk(folder, rest, above, left)
        names, following = _names(folder, "*", left), parts
    else:
        names, following = ([first] if is_plain(first) else _names(folder, first, left)), rest
    for name in names:
        path = f"{above}{name}"
        if not following:
            with contextlib.suppress(OSError):  # it is not there
                os.stat(name, dir_fd=folder, follow_symlinks=False)
                yield path
            continue
        if path.count("/") >= _DEEPEST:
            raise TooManyNames
        try:
            below = os.open(name, _FOLDER, dir_fd=folder)
        except OSError:  # no folder, a link, or not to be read
            continue
        try:
            yield from _walk(below, following, f"{path}/", left)
        finally:
            os.close(below)


def _names(folder: int, pattern: str, left: list[int]) -> list[str]:
    found = []
    try:
        entries = os.listdir(folder)
    except OSError:
        return []
    left[0] -= len(entries)
    if left[0] < 0:
        raise TooManyNames
    for name in entries:
        if name.startswith(".") <= pattern.startswith(".") and fnmatch.fnmatchcase(name, pattern):
            found.append(name)
    return sorted(found)

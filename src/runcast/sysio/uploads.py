"""Files that somebody gives with a start: what they are called, how long they are, their bytes.

Owns the one form in which they go from a caller or a client into the folder of a run. A name is a client's:
it is shown, and never part of a path. Must not know requests or parameters.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import IO, Any

from runcast.errors import UsageError
from runcast.sysio.copies import copy_part
from runcast.sysio.descriptors import in_memory
from runcast.sysio.files import FILE_MODE, SAFE

__all__ = ["FileLike", "Upload", "shown_name", "upload_of"]

FileLike = bytes | os.PathLike[str] | IO[bytes]
"""A file as Python code passes it."""

_NAME_CHARACTERS = 100


class Upload:
    """A file, or a part of one, to be copied.

    Args:
        fd: the open file; closed with this object.
        start: where it begins there.
        size: in bytes.
        name: as its giver has it.

    Attributes:
        size: in bytes.
        name: for people.
        token: stands in the arguments of a command where the path of the copy is to be.
        suffix: what its path in the run ends with.
    """

    def __init__(self, fd: int, start: int, size: int, name: str) -> None:
        self._fd, self._start, self.size = fd, start, size
        self.name = shown_name(name)
        self.token = f"<{os.urandom(16).hex()}>"
        self.suffix = ""

    def __del__(self) -> None:
        os.close(self._fd)

    def pieces(self, most: int) -> Iterator[bytes]:
        """Yield its bytes, so many at once.

        Raises:
            OSError: it became shorter.
        """
        at, end = self._start, self._start + self.size
        while at < end:
            data = os.pread(self._fd, min(most, end - at), at)
            if not data:
                raise self._shorter()
            at += len(data)
            yield data

    def _shorter(self) -> OSError:
        return OSError(f"the file {self.name!r} became shorter while it was read")

    def copy_to(self, path: str) -> None:
        """Copy it to a new file.

        Raises:
            OSError: it cannot be written, or became shorter.
        """
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFE, FILE_MODE)
        try:
            if not copy_part(self._fd, self._start, target, self.size):
                raise self._shorter()
        finally:
            os.close(target)


def shown_name(name: str) -> str:
    """Return a client's name of a file as people may see it: no folders, no control characters, short."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(one for one in last if one.isprintable())[-_NAME_CHARACTERS:] or "file"


def upload_of(name: str, value: object) -> Upload:
    """Return what Python code passed for a file: an open file, a path or bytes.

    Args:
        name: of the parameter, for messages.
        value: the file.

    Raises:
        UsageError: it is none of these, or cannot be read.
    """
    if isinstance(value, Upload):
        return value
    try:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return _in_memory(bytes(value), "file")
        if isinstance(value, os.PathLike):
            path = os.fspath(value)
            return _of_descriptor(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), 0, str(path))
        if isinstance(value, io.BytesIO):
            return _in_memory(value.read(), "file")
        if hasattr(value, "fileno"):
            return _of_file(value)
    except (OSError, ValueError) as error:
        why = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        raise UsageError(f"expected {name} as a file that can be read, got {value!r:.80}: {why}") from None
    raise UsageError(f'expected {name} as a file (open(…, "rb"), a Path or bytes), got {value!r:.80}')


def _of_file(value: Any) -> Upload:
    file: IO[bytes] = value
    start = file.tell()
    if isinstance(file, io.TextIOBase):
        raise ValueError('open it in binary, open(…, "rb")')
    return _of_descriptor(os.dup(file.fileno()), start, str(getattr(file, "name", "file")))


def _of_descriptor(fd: int, start: int, name: str) -> Upload:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise ValueError("it is no regular file")
    return Upload(fd, start, max(status.st_size - start, 0), name)


def _in_memory(data: bytes, name: str) -> Upload:
    return Upload(in_memory(data), 0, len(data), name)

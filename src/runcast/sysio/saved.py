"""A file that is saved under a name that is not trusted: below a folder, whole or not at all.

Owns both. Must not know what is saved.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator

from runcast.errors import UsageError
from runcast.sysio.beneath import check_pattern, parts_of

__all__ = ["Saved"]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Saved:
    """A file that is being saved in a folder, under a name with slashes.

    Args:
        folder: where; made if it is not there, as are the folders in the name.
        name: the name, which is not trusted.

    Raises:
        UsageError: the name leads out of the folder.
        OSError: it cannot be made.
    """

    def __init__(self, folder: str | os.PathLike[str], name: str) -> None:
        try:
            *above, self._name = parts_of(check_pattern(name))
        except ValueError as error:
            raise UsageError(f"{error}, got {name!r:.200}") from None
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, *above, self._name)
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for one in above:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(one, dir_fd=self._folder)
                below = os.open(one, _FOLDER, dir_fd=self._folder)
                os.close(self._folder)
                self._folder = below
            self._draft = f".{secrets.token_hex(8)}.part"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(self._draft, flags, 0o666, dir_fd=self._folder)
        except BaseException:
            os.close(self._folder)
            raise

    def write(self, data: bytes) -> None:
        """Append to it."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """Give the file its name at the end of the block; after an error there is nothing of it."""
        try:
            yield
            os.replace(self._draft, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(self._draft, dir_fd=self._folder)
            raise
        finally:
            os.close(self._fd)
            os.close(self._folder)

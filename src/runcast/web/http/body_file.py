"""A request body that goes to a file as it comes: of forms with files, which may be long.

Owns the file: without a name, on the disk of the store, gone with this object. Must not know what a form is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from runcast.errors import StoreUnwritable
from runcast.sysio.descriptors import unnamed_file
from runcast.web.http.bodies import BodyIncomplete, BodyTooLarge, LengthRequired, check_whole

__all__ = ["BodyFile"]

_PIECE_BYTES = 256 * 1024


class BodyFile:
    """The body of one request.

    Args:
        folder: on whose disk it is.
        limit: bytes that it may have.

    Raises:
        StoreUnwritable: it cannot be made.
    """

    def __init__(self, folder: str, limit: int) -> None:
        self.limit, self._size = limit, 0
        try:
            self.fd = unnamed_file(folder)
        except OSError as error:
            raise StoreUnwritable((error.strerror or str(error)).lower(), full=False) from None

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # it could not be made
            os.close(self.fd)

    def write(self, data: bytes) -> None:
        """Append what came.

        Raises:
            BodyTooLarge: that is more than the limit.
            StoreUnwritable: the disk is full.
        """
        self._size += len(data)
        if self._size > self.limit:
            raise BodyTooLarge(self.limit)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self.fd, view) :]
        except OSError as error:
            raise StoreUnwritable((error.strerror or str(error)).lower(), full=True) from None

    def end(self, length: int | None) -> None:
        """Look at the whole: its server has ended it.

        Raises:
            BodyIncomplete: it has fewer bytes than were announced.
        """
        check_whole(self._size, length)

    def read_from(self, read: Callable[[int], bytes], length: int | None) -> None:
        """Read a body to its end.

        Args:
            read: returns so many bytes at most, none at the end; what it raises means a cut.
            length: what was announced.

        Raises:
            LengthRequired: nothing was announced.
            BodyIncomplete: it was cut.
        """
        if length is None:
            raise LengthRequired
        left = length
        while left:
            try:
                part = read(min(left, _PIECE_BYTES))
            except Exception as error:  # each server has kinds of its own for it
                raise BodyIncomplete(self._size, length, str(error)) from error
            if not part:
                break
            self.write(part)
            left -= len(part)
        self.end(length)

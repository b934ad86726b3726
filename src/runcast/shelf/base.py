"""The interface of a shelf: immutable objects by name, kept once and read in ranges.

Owns what every shelf promises, and the form of names. What is in an object, and whether it is what
was kept, is not the shelf's: `manifest.py` has lengths and checksums. There is no verb that removes: how
long a shelf keeps is a rule of the shelf.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator

from runcast.errors import UsageError

__all__ = ["Shelf", "check_name"]

_PART = r"[a-z0-9][a-z0-9._-]{0,99}"
_NAME = re.compile(rf"{_PART}(/{_PART}){{0,4}}")


class Shelf(ABC):
    """A place for objects. Any thread may use it, and any number of hosts at once.

    Every verb may raise `ShelfDown`, and then it may have been done or not: each can be repeated.
    """

    @abstractmethod
    def keep(self, name: str, file: str) -> bool:
        """Keep what is in a file under a name, unless there is an object of that name.

        Of several who keep one name at once, one is taken. The object is there whole, and survives
        a power loss, when this returns, even if another one kept it; before, nobody sees a part of it.

        Args:
            name: parts of lower-case letters, digits, `.`, `_` and `-`, with `/` between them.
            file: the path of a file that does not change meanwhile.

        Returns:
            Whether this call kept it. If not, an object of that name is there, of whatever content.

        Raises:
            ShelfFull: there is no room.
            ShelfDown: it cannot be reached or written to.
        """

    @abstractmethod
    def fetch(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a range of an object.

        Args:
            name: of the object.
            start: where the range begins, in bytes.
            length: how many bytes; all from there on by default.

        Raises:
            ShelfMissing: there is no such object.
            ShelfDamaged: the object ends before the range does, or is no object.
            ShelfDown: it cannot be reached or read.
        """

    @abstractmethod
    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names that begin with a text, in order; none of what is being kept.

        Raises:
            ShelfDown: it cannot be reached or read.
        """


def check_name(name: str) -> str:
    """Return the name of an object.

    Raises:
        UsageError: it is none.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"expected a name of an object such as 01j/01j…/run, got {name!r:.80}")
    return name

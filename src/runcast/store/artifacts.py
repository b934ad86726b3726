"""The files that are kept with a run: what is in its folder `artifacts`, and the list of it.

    artifacts.json   the list, written once, when all of them are there: their names, sizes and numbers,
                     and what was left out
    artifacts/N      a file, by its number in the list
    artifacts/N.part  of a mirror: a file that is being brought

Of a mirror, the list is here and the files are brought when somebody reads them, all of one or nothing; the
time of such a file is when it was read last. Names are only in the list, so none of them is ever part of a
path here. Must not know where the files come from (supervisor/artifacts.py, agent/kept_files.py).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from runcast.errors import FileDamaged
from runcast.json_objects import read_json
from runcast.model import Artifact, LeftOut
from runcast.sysio.copies import copy_part
from runcast.sysio.files import DIR_MODE, create, open_own
from runcast.sysio.writes import replace
from runcast.utf8 import is_text

__all__ = ["ARTIFACTS", "ArtifactFiles"]

ARTIFACTS = "artifacts"  # the folder
_LIST_BYTES = 8 * 1024 * 1024  # of the list: more than 1,000 paths take

Lists = tuple[list[Artifact], list[LeftOut]]


class ArtifactFiles:
    """The kept files of one run, by the path of its folder. Cheap to make."""

    def __init__(self, path: str) -> None:
        self._folder = f"{path}/{ARTIFACTS}"
        self._list = f"{path}/{ARTIFACTS}.json"

    def add(self, number: int, source: int, size: int, stopped: Callable[[], bool]) -> bool:
        """Copy so many bytes of an open file; return whether all of them are there.

        Raises:
            OSError: it can be neither read nor kept.
        """
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._folder, DIR_MODE)
        path = f"{self._folder}/{number}"
        fd = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        whole = False
        try:
            whole = copy_part(source, 0, fd, size, stopped)
        finally:
            os.close(fd)
            if not whole:
                os.unlink(path)
        return whole

    def write(self, kept: Sequence[Artifact], left_out: Sequence[LeftOut], draft: str) -> None:
        """Write the list: from now on the files are there.

        Raises:
            OSError: it cannot be written.
        """
        lists = {
            "artifacts": [one._asdict() for one in kept],
            "left_out": [one._asdict() for one in left_out],
        }
        replace(draft, self._list, json.dumps(lists).encode())

    def changed(self) -> tuple[int, int] | None:
        """Return what is another value when the list is another one; None where there is none."""
        try:
            status = os.stat(self._list)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def lists(self) -> Lists:
        """Return what is kept, by number, and what was left out; nothing where that is damaged."""
        try:
            found = read_json(self._list, _LIST_BYTES)
        except OSError:
            return [], []
        kept = [Artifact(one["name"], one["bytes"]) for one in _objects(found.get("artifacts"), "bytes")]
        return kept, [LeftOut(one["name"], one["why"]) for one in _objects(found.get("left_out"), "why")]

    def open(self, number: int, size: int, *, touch: bool = False) -> int:
        """Return a descriptor of a file.

        Args:
            number: of the file.
            size: its bytes.
            touch: note that it was read now, for a file that was brought and may make room.

        Raises:
            FileNotFoundError: the run was removed, or it was not brought.
            FileDamaged: it is not whole.
        """
        fd = open_own(f"{self._folder}/{number}", os.O_RDONLY)
        if touch:
            with contextlib.suppress(OSError):  # the store is read-only
                os.utime(fd)
        if (there := os.fstat(fd).st_size) != size:
            os.close(fd)
            raise FileDamaged(f"{ARTIFACTS}/{number}: expected {size} bytes, it has {there}")
        return fd

    def has(self, number: int) -> bool:
        """Return whether a file is here."""
        return os.path.lexists(f"{self._folder}/{number}")

    def begin_part(self, number: int) -> int:
        """Return a descriptor of the place in which a file is brought, which is empty.

        Raises:
            OSError: there is no room, or the run was removed.
        """
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._folder, DIR_MODE)
        return create(f"{self._folder}/{number}.part", os.O_RDWR | os.O_TRUNC)

    def end_part(self, number: int, *, whole: bool) -> None:
        """Have the file there whose bytes have all come, or none of it."""
        path = f"{self._folder}/{number}"
        with contextlib.suppress(FileNotFoundError):  # the run was removed
            if whole:
                os.rename(f"{path}.part", path)
            else:
                os.unlink(f"{path}.part")

    def brought(self) -> list[tuple[float, int, int]]:
        """Return the files that are here: when each was read last, its bytes, its number."""
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.isdecimal():
                    status = entry.stat(follow_symlinks=False)
                    found.append((status.st_mtime, status.st_size, int(entry.name)))
        return found

    def let_go(self, number: int) -> None:
        """Remove a file that was brought. Who has it open goes on."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self._folder}/{number}")


def _objects(found: Any, field: str) -> list[dict[str, Any]]:
    """Return the objects of a list up to the first that is none: their places are the files' numbers."""
    good = []
    for one in found if isinstance(found, list) else ():
        if not isinstance(one, dict) or not is_text(one.get("name")):
            break
        value = one.get(field)
        if not (is_text(value) if field == "why" else isinstance(value, int) and value >= 0):
            break
        good.append(one)
    return good

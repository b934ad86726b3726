"""How far the replies to the polls of one key are: `.position-ID`, beside the run's folder.

Owns that file: it is outside the folder, so that it wakes no follower, and each change is made under
its lock, so that any worker may answer. Knows no requests.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

from runcast.json_objects import parse_object
from runcast.sysio.files import create
from runcast.sysio.locks import lock

__all__ = ["DIGITS", "Position"]

DIGITS = 18  # the number of a reply has fewer
_MOST_BYTES = 64 * 1024
_REMEMBERED = 8  # replies of which is known where they ended: polls may overlap


class Position:
    """How far the replies to the polls of a run are."""

    def __init__(self, store: str, run_id: str) -> None:
        self._path = f"{store}/.position-{run_id}"

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        fd = create(self._path, os.O_RDWR)
        try:
            lock(fd)
            state = _read(os.read(fd, _MOST_BYTES))
            yield state
            data = json.dumps(state).encode()
            os.pwrite(fd, data, 0)
            os.ftruncate(fd, len(data))
        finally:
            os.close(fd)

    def begin(self, seen: int | None) -> tuple[int, int]:
        """Return where a reply begins, and its number.

        Args:
            seen: the number of the last reply that the client got, if it says so.
        """
        with self._changing() as state:
            ends = state["ends"]
            state["reply"] += 1
            known = seen is not None and (seen == 0 or str(seen) in ends)
            offset = ends.get(str(seen), 0) if known else state["taken"]
            return offset, state["reply"]

    def end(self, number: int, offset: int) -> None:
        """Note that a reply was delivered, and where it ended."""
        with self._changing() as state:
            ends = state["ends"]
            ends[str(number)] = offset
            state["taken"] = max(state["taken"], offset)
            for old in sorted(ends, key=int)[:-_REMEMBERED]:
                del ends[old]

    def forget(self) -> None:
        """Remove it: the next poll of the key begins anew."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


def _read(data: bytes) -> dict[str, Any]:
    """Return the content of the file; that of a new one, or one whose writer died, is the beginning.

    Then values come again, and none is lost.
    """
    with contextlib.suppress(ValueError, KeyError, AttributeError):
        value = parse_object(data)
        numbers = [value["reply"], value["taken"], *value["ends"].values()]
        if all(type(one) is int and 0 <= one < 2**63 for one in numbers) and all(
            map(_is_number, value["ends"])
        ):
            return value
    return {"reply": 0, "ends": {}, "taken": 0}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < DIGITS

"""The queues of a store: which runs have a slot of a queue, and which wait for one, in order.

    queues/NAME/ID          a run that waits: a hard link to its run.json
    queues/NAME/ID.started  one that has its slot
    queues/NAME/.lock       held by the process that looks for a slot and takes it

Owns these files. The order is that of the ids, which begin with a time. A place is taken before the run
has a name in the store, so that of two starts the first is the first; meanwhile the starter holds the lock
of the file. Does not know whether a run lives, and gives no slots.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from runcast.errors import FileDamaged
from runcast.ids import is_run_id
from runcast.json_objects import read_json
from runcast.sysio.files import create, folder, is_locked, names_in, open_own
from runcast.sysio.locks import lock

__all__ = ["STORE_QUEUE", "Entry", "QueueBounds", "QueueFiles", "hold"]

STORE_QUEUE: Final = ".store"  # the queue of all runs of a store, where that has a limit
_STARTED: Final = ".started"


class QueueBounds(NamedTuple):
    """How many runs may go on at once.

    Attributes:
        of_all: of the store, those of its commands; None for any number.
        of_queues: of its queues, by name; of any other it is one.
    """

    of_all: int | None = None
    of_queues: Mapping[str, int] = {}


class Entry(NamedTuple):
    """A run in a queue."""

    run_id: str
    started: bool


class QueueFiles:
    """One queue of a store. Cheap to make, and nothing need be there.

    Args:
        store: its folder.
        name: of the queue, fit for a file.
    """

    def __init__(self, store: str, name: str) -> None:
        self._folder = f"{store}/queues/{name}"

    def enter(self, run_id: str, run_path: str) -> None:
        """Take the last place for a run.

        Args:
            run_id: of the run.
            run_path: its folder, under whatever name it has now.

        Raises:
            OSError: the store cannot be written to.
            FileDamaged: something else is in the place of the queue.
        """
        folder(self._folder, make=True)
        with contextlib.suppress(FileExistsError):
            os.link(f"{run_path}/run.json", f"{self._folder}/{run_id}")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from taking a slot, and from leaving."""
        fd = create(f"{folder(self._folder, make=True)}/.lock", os.O_RDWR)
        try:
            lock(fd)
            yield
        finally:
            os.close(fd)

    def entries(self) -> list[Entry]:
        """Return the runs in the queue, oldest first."""
        found = []
        for name in sorted(names_in(self._folder)):
            run_id = name.removesuffix(_STARTED)
            if is_run_id(run_id):
                found.append(Entry(run_id, run_id != name))
        return found

    def start(self, run_id: str) -> None:
        """Give a run that waits its slot."""
        os.rename(f"{self._folder}/{run_id}", f"{self._folder}/{run_id}{_STARTED}")

    def leave(self, entry: Entry) -> None:
        """Take a run out of the queue."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self._folder}/{entry.run_id}{_STARTED if entry.started else ''}")

    def is_being_started(self, entry: Entry) -> bool:
        """Return whether the starter of a run lives, before the run has a supervisor."""
        return is_locked(f"{self._folder}/{entry.run_id}")

    def replaces(self, entry: Entry) -> bool:
        """Return whether a run takes the place of those before it."""
        name = f"{entry.run_id}{_STARTED if entry.started else ''}"
        try:
            return read_json(f"{self._folder}/{name}").get("replace") is True
        except (OSError, FileDamaged):
            return False


def hold(run_path: str) -> int:
    """Return the lock that says that a run is being started, to close once it has a supervisor.

    Raises:
        OSError: the file system has no locks.
    """
    fd = open_own(f"{run_path}/run.json", os.O_RDONLY)
    try:
        lock(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd

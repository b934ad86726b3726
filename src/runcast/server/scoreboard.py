"""What the worker processes of one server know of each other: numbers in memory that they share.

Owns the layout: a head for the server, and a row for each worker, which it alone writes while it lives. A row
outlives its worker, and the next one in that place counts on in it: so a counter never goes down when a
worker dies. What is a number of now (viewers) is set to 0 then. A server of one process has none of this.

Knows no files, and not what the numbers mean.
"""

from __future__ import annotations

import contextlib
import math
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from runcast.sysio.shared_memory import SharedMemory, SharedValue

__all__ = ["ATTEMPTS", "LOOK", "NOW", "Counts", "Scoreboard", "SharedCounts", "SharedViewers", "Worker"]

Key = tuple[str, ...]

# The head, in numbers of 8 bytes. The version is odd while processes come or go.
_VERSION, _FORMER_CPU, _RESTARTS, _MADE, _COUNTED_AT, _DUE = range(6)
_HEAD_BYTES = 4096
# A row: its process, its connections, how many entries there are; then these, each a name and its number.
_PID, _CONNECTIONS, _ENTRIES = range(3)
_NAME_BYTES = 56
_ROW_BYTES, _ENTRY, _FIRST = 64 * 1024, struct.Struct(f"{_NAME_BYTES}sd"), 64
_MOST_ENTRIES = (_ROW_BYTES - _FIRST) // _ENTRY.size
_SEPARATOR = "\t"
ATTEMPTS, LOOK = range(2)  # locks: of the wrong tokens, and of the look at the runs
NOW = "now"  # the first part of the names of numbers that end with their worker


class Worker(NamedTuple):
    """One of the workers of a server.

    Attributes:
        board: of the server.
        number: the worker's, from 0.
    """

    board: Scoreboard
    number: int


class Counts:
    """Numbers by name, of this process alone."""

    def __init__(self) -> None:
        self._own: Counter[Key] = Counter()
        self._lock = threading.Lock()

    def add(self, *key: str, by: int = 1) -> None:
        """Add to a number."""
        with self._lock:
            self._own[key] += by
            self._changed(key)

    def totals(self, kind: str) -> dict[Key, float]:
        """Return the numbers whose name begins so, by the rest of it."""
        own = dict(self._own)  # copied at once: others go on counting
        return {key[1:]: number for key, number in own.items() if key[0] == kind}

    def _changed(self, key: Key) -> None:
        """Take note of a new number."""


class SharedCounts(Counts):
    """The numbers of one worker, which the others read.

    Args:
        worker: whose numbers.
    """

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self._board, self._number = worker
        self._at: dict[Key, int] = {}
        for at, key, value in self._board.entries(self._number):
            self._at[key], self._own[key] = at, int(value)

    def totals(self, kind: str) -> dict[Key, float]:
        """Return the sums of all workers."""
        found: Counter[Key] = Counter()
        for number in range(self._board.workers):
            for _, key, value in self._board.entries(number):
                if key[0] == kind:
                    found[key[1:]] += int(value)
        return dict(found)

    def _changed(self, key: Key) -> None:
        at = self._at.get(key)
        if at is None:
            at = self._at[key] = self._board.add_entry(self._number, key)
        self._board.set_entry(at, self._own[key])


class SharedViewers(Counter[str]):
    """The viewers of one worker by what they are called, of which the others know.

    Args:
        counts: of the worker.
    """

    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self._counts = counts

    def __setitem__(self, kind: str, count: int) -> None:
        self._counts.add(NOW, "viewers", kind, by=count - self[kind])
        super().__setitem__(kind, count)


class Scoreboard:
    """The numbers of all workers.

    Args:
        workers: how many there are.

    Attributes:
        workers: the same.
        began: the time of the server's start, in seconds since the epoch.
        looked: what one worker has found out about the runs, for the next that looks.

    Raises:
        OSError: the system has no such memory.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._memory = SharedMemory(_HEAD_BYTES + workers * _ROW_BYTES)
        self._numbers = memoryview(self._memory.bytes).cast("d")
        self.looked, self.began = SharedValue(), time.time()
        for number in range(workers):
            self._numbers[self._cell(number, _CONNECTIONS)] = math.inf  # it takes none yet

    def _cell(self, number: int, which: int) -> int:
        return (_HEAD_BYTES + number * _ROW_BYTES) // 8 + which

    @contextlib.contextmanager
    def locked(self, lock: int) -> Iterator[None]:
        """Keep the other workers out of what a lock is for: `ATTEMPTS` or `LOOK`."""
        with self._memory.locked(lock):
            yield

    # Processes

    def came(self, number: int, pid: int) -> None:
        """Note the process of a worker; the parent does."""
        with self._changing():
            self._numbers[_RESTARTS] += self._numbers[self._cell(number, _PID)] < 0
            self._numbers[self._cell(number, _PID)] = pid

    def went(self, number: int, cpu: float) -> None:
        """Note that it has ended, and the processor time in seconds that it took; the parent does."""
        with self._changing():
            self._numbers[_FORMER_CPU] += cpu
            self._numbers[self._cell(number, _PID)] = -1
            self._numbers[self._cell(number, _CONNECTIONS)] = math.inf
            for at, key, _ in self.entries(number):
                if key[0] == NOW:
                    self.set_entry(at, 0)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        self._numbers[_VERSION] += 1
        try:
            yield
        finally:
            self._numbers[_VERSION] += 1

    @property
    def version(self) -> float:
        """A number that is another when processes have come or gone; odd while one does."""
        return self._numbers[_VERSION]

    @property
    def pids(self) -> list[int]:
        """The processes of the workers that live."""
        found = (int(self._numbers[self._cell(number, _PID)]) for number in range(self.workers))
        return [pid for pid in found if pid > 0]

    @property
    def former_cpu(self) -> float:
        """The processor time of workers that have ended, in seconds."""
        return self._numbers[_FORMER_CPU]

    @property
    def restarts(self) -> int:
        """How many workers were started for others that had ended."""
        return int(self._numbers[_RESTARTS])

    # Connections

    def set_connections(self, number: int, count: float) -> None:
        """Note how many connections a worker has; infinite for one that takes none."""
        self._numbers[self._cell(number, _CONNECTIONS)] = count

    def fewest_connections(self) -> float:
        """Return how many the worker with the fewest has."""
        return min(self._numbers[self._cell(number, _CONNECTIONS)] for number in range(self.workers))

    # Wrong tokens, and the look at the runs; call with the lock of each held

    @property
    def attempts(self) -> tuple[float, float]:
        """How many attempts count as made, and when that was so."""
        return self._numbers[_MADE], self._numbers[_COUNTED_AT]

    @attempts.setter
    def attempts(self, value: tuple[float, float]) -> None:
        self._numbers[_MADE], self._numbers[_COUNTED_AT] = value

    @property
    def due(self) -> float:
        """When the runs are to be looked at, in seconds of `time.monotonic`, which is the machine's."""
        return self._numbers[_DUE]

    @due.setter
    def due(self, value: float) -> None:
        self._numbers[_DUE] = value

    # Entries of a row

    def entries(self, number: int) -> Iterator[tuple[int, Key, float]]:
        """Yield where each number of a worker is, its name, and it."""
        start = _HEAD_BYTES + number * _ROW_BYTES
        for place in range(int(self._numbers[self._cell(number, _ENTRIES)])):
            at = start + _FIRST + place * _ENTRY.size
            name, value = _ENTRY.unpack_from(self._memory.bytes, at)
            yield at, tuple(name.rstrip(b"\0").decode().split(_SEPARATOR)), value

    def add_entry(self, number: int, key: Key) -> int:
        """Return where a new number of a worker is. Names are of a bounded number, far below a thousand."""
        name = _SEPARATOR.join(key).encode()
        cell = self._cell(number, _ENTRIES)
        place = int(self._numbers[cell])
        assert len(name) <= _NAME_BYTES, f"too long: {key}"
        assert place < _MOST_ENTRIES, "expected names of a bounded number"
        at = _HEAD_BYTES + number * _ROW_BYTES + _FIRST + place * _ENTRY.size
        _ENTRY.pack_into(self._memory.bytes, at, name, 0)
        self._numbers[cell] = place + 1  # last: a reader sees whole entries
        return at

    def set_entry(self, at: int, value: float) -> None:
        """Set a number; one write of 8 bytes, which no reader sees in part."""
        self._numbers[(at + _NAME_BYTES) // 8] = value

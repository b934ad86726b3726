"""What a row is given: how thorough to be, folders to work in, programs to run, cores to use."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.machine import available_bytes, busy_share, file_system
from bench.programs import BUILD, program
from bench.row import Skipped

__all__ = ["Bench", "Patience"]

_CALM = 0.06  # of all cores: an idle machine's own noise
_SPARE = 1.2  # factor for indexes, folders and other users of the disk


class Patience:
    """Seconds to spend on waiting for a quiet machine, all rows together."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.left = seconds


@dataclass(frozen=True)
class Bench:
    """What a row is given.

    Attributes:
        quick: fewer samples, so that all quick rows end within a minute.
        full: the sizes of the goals, however long it takes.
        rounds: how often each contender has its turn.
        patience: how long to wait for others on the machine to be quiet.
        disk_parent: where `disk` makes its folders.
    """

    quick: bool = False
    full: bool = False
    rounds: int = 3
    patience: Patience = field(default_factory=Patience)
    disk_parent: str = BUILD

    def pick(self, usual: int, quick: int) -> int:
        """Return one of two amounts."""
        return quick if self.quick else usual

    def say(self, text: str) -> None:
        """Report progress."""
        print(text, file=sys.stderr)

    def calm(self) -> None:
        """Wait until nobody else keeps the machine busy, while there is patience left."""
        reported = False
        begun = time.monotonic()
        while self.patience.left > 0 and (busy := busy_share()) > _CALM:
            if not reported:
                self.say(f"{busy:.0%} of the machine is busy, waiting up to {self.patience.left:.0f} s")
                reported = True
            self.patience.left -= time.monotonic() - begun
            begun = time.monotonic()

    def program(self, name: str) -> str:
        """Return the path of a C program of ours, compiled if need be."""
        return program(name)

    @property
    def memory_parent(self) -> str:
        """Where `memory` makes its folders."""
        return "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()

    @contextlib.contextmanager
    def memory(self, need: int = 0) -> Iterator[str]:
        """Give a folder in a memory file system with room for `need` bytes; removed afterwards."""
        with _folder(self.memory_parent, need) as path:
            yield path

    @contextlib.contextmanager
    def disk(self, need: int = 0) -> Iterator[str]:
        """Give a folder on a disk with room for `need` bytes; removed afterwards.

        Raises:
            Skipped: there is no disk.
        """
        os.makedirs(self.disk_parent, exist_ok=True)
        kind = file_system(self.disk_parent)
        if kind in ("tmpfs", "ramfs"):
            raise Skipped(f"expected a disk, {self.disk_parent} is on {kind}: name a folder with --disk")
        with _folder(self.disk_parent, need) as path:
            yield path

    @contextlib.contextmanager
    def on_core(self, number: int) -> Iterator[list[str]]:
        """Keep this process, and what it starts, on one core; give what keeps `linegen` on the other.

        Does nothing where there is only one.
        """
        before = os.sched_getaffinity(0)
        if len(before) < 2:
            yield []
            return
        cores = sorted(before)
        os.sched_setaffinity(0, {cores[number]})
        try:
            yield ["-c", str(cores[1 - number])]
        finally:
            os.sched_setaffinity(0, before)


@contextlib.contextmanager
def _folder(parent: str, need: int) -> Iterator[str]:
    free = available_bytes(parent)
    if free < need * _SPARE:
        raise Skipped(f"expected {need * _SPARE / 1e9:.1f} GB free in {parent}, there are {free / 1e9:.1f}")
    path = tempfile.mkdtemp(prefix="runcast-bench-", dir=parent)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)

"""Mirrors of runs that end while they are brought, over links whose news and replies overtake each other."""

import os
import random
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runcast.agent.connection import Connection
from runcast.agent.mirrors import Mirrors
from runcast.ids import new_run_id
from runcast.link.memory import MemoryEngine, MemoryLink
from runcast.log import FileLog
from runcast.log.records import pack
from runcast.model import Channel
from runcast.store.files import StoreFiles
from runcast.testing import FaultyLink
from tests.helpers.wait import MS

PATIENCE = 10000 * MS
LINES = [b"line %d\n" % number for number in range(20)]


@pytest.fixture(name="lock")
def lock_fixture(tmp_path: Path) -> Iterator[int]:
    """The lock of an agent."""
    fd = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    yield fd
    os.close(fd)


def shipped(ship: MemoryLink, run: str, chance: random.Random) -> Iterator[None]:
    """Ship a run: yield at times, so that more of it may be there at once."""
    ship.wait(ship.hello())
    ship.wait(ship.create(run, b"{}", "a"))
    at = 0
    for line in LINES:
        if chance.random() < 0.7:
            yield
        ship.wait(ship.tell(run, "state", b'{"lines": %d}' % at)) if chance.random() < 0.2 else None
        end = at + len(line)
        ship.wait(ship.put(run, at, end, line, pack(at, at + 1, 0, Channel.STDOUT)))
        at = end
    if chance.random() < 0.5:
        yield
    ship.wait(ship.tell(run, "outcome", b'{"reason": "exited", "exit_code": 0}'))


@pytest.mark.parametrize("seed", range(30))
def test_ends_whole(tmp_path: Path, lock: int, seed: int, monkeypatch: pytest.MonkeyPatch):
    """A mirror is closed, with all of the run, whatever overtakes what."""
    monkeypatch.setattr("runcast.agent.mirrors._FIELD_SECONDS", 0.0)
    engine, run, chance = MemoryEngine(), new_run_id(), random.Random(seed)
    link = FaultyLink(MemoryLink(engine), seed, 0.5, ["overtaken", "late", "delayed"])
    connection = Connection(link, str(tmp_path), lambda lacking: mirrors.rejoin())
    mirrors = Mirrors(connection, StoreFiles(str(tmp_path)), "b", lock)
    log = FileLog(f"{tmp_path}/{run}")
    with closing(MemoryLink(engine)) as ship, closing(connection), closing(log):
        deadline = time.monotonic() + PATIENCE
        steps = shipped(ship, run, chance)
        next(steps)
        while not log.closed:
            assert time.monotonic() < deadline, f"seed {seed}: the mirror is not closed"
            mirrors.want(run, time.monotonic())
            next(steps, None)
            for _ in range(chance.randrange(1, 6)):
                mirrors.news(connection.turn(time.monotonic()))
                mirrors.turn(time.monotonic())

        assert b"".join(chunk.data for chunk in log.read(0).chunks) == b"".join(LINES)

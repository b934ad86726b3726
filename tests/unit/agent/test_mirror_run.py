"""The mirror of one run: what readers learn of it while it is brought."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast.agent.mirror_run import Mirror
from runcast.errors import MirrorBehind, SegmentAway
from runcast.link import Entry, Look
from runcast.log import FileLog
from runcast.log.records import pack
from runcast.model import Channel
from runcast.store.files import StoreFiles

RUN = "0" * 26
LOOK = Look(b"{}", "a", b'{"lines": 3}', None, None, 100, 0, 0)
RECORD = pack(0, 1, 0, Channel.STDOUT)


@pytest.fixture(name="lock")
def lock_fixture(tmp_path: Path) -> Iterator[int]:
    """The lock of an agent."""
    fd = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    yield fd
    os.close(fd)


def test_where_the_log_ends_at_the_link(tmp_path: Path, lock: int):
    """While a long log is brought, readers know how long it is: who is far ahead waits for what comes."""
    mirror = Mirror.make(StoreFiles(str(tmp_path)), RUN, LOOK, lock)
    log = FileLog(f"{tmp_path}/{RUN}")
    assert log.tail_offset == 100
    with pytest.raises(MirrorBehind):
        log.check_offset(5000)

    mirror.append([Entry(0, 10, b"0123456789", RECORD)], 0, 10_000)

    assert log.tail_offset == 10_000
    log.check_offset(5000)
    with pytest.raises(SegmentAway) as away:
        log.read(5000)
    assert (away.value.start, away.value.end) == (10, 10_000)
    mirror.close()
    log.close()


def test_pauses_of_a_run_that_the_link_lost(tmp_path: Path, lock: int):
    """A run is looked for again at once, and less often the longer it does not come back."""
    mirror = Mirror.make(StoreFiles(str(tmp_path)), RUN, LOOK, lock)

    assert [mirror.next_pause() for _ in range(7)] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    mirror.append([Entry(0, 10, b"0123456789", RECORD)], 0, 10)
    assert mirror.next_pause() == 0.05
    mirror.close()

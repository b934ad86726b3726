"""What an agent sees of a store's files where the kernel has a watch for it, and where it has none."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast.agent.watching import StoreWatch
from runcast.ids import new_run_id
from runcast.log.entries import EntryLog
from runcast.model import Channel
from runcast.store.looks import Looks
from runcast.testing import FilePlace
from tests.helpers.counted_calls import built_in_calls
from tests.helpers.descriptors import targets
from tests.unit.runs import make_run

HOUR_NS = 3_600_000_000_000


def none_left() -> None:
    """Stand for an inotify of which a user has no instance left."""
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def instances() -> int:
    """Return how many instances of inotify this process has."""
    return list(targets()).count("anon_inode:inotify")


def test_new_and_removed(tmp_path: Path):
    """A run that gets its name is new, one that loses it is gone, and drafts are neither."""
    watch = StoreWatch(str(tmp_path))
    run_id = new_run_id()
    (tmp_path / f".new-{run_id}").mkdir()
    (tmp_path / f".new-{run_id}").rename(tmp_path / run_id)
    assert watch.take() == ({}, {run_id}, set())
    (tmp_path / run_id).rename(tmp_path / f".gone-{run_id}")
    assert watch.take() == ({}, set(), {run_id})
    watch.close()


def test_no_watch_for_the_store(tmp_path: Path):
    """Where the store itself cannot be watched there may be new runs at each look; nothing is left open."""
    before = instances()
    watch = StoreWatch(str(tmp_path / "not there"))
    assert (watch.fd, instances()) == (None, before)
    assert watch.due() is not None
    assert watch.take()[1] is None


def test_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without inotify what changed is news at the next look; else nothing is, and the store is not listed."""
    monkeypatch.setattr("runcast.agent.watching._POLL", 0.0)
    monkeypatch.setattr("runcast.store.looks._TICK_NS", -HOUR_NS)  # all that is here was written long ago
    monkeypatch.setattr("runcast.agent.watching.Inotify", none_left)
    run = make_run(tmp_path)
    log = tmp_path / run / "log"
    watch = StoreWatch(str(tmp_path))
    watch.add(run)
    assert watch.fd is None
    os.utime(tmp_path, ns=(1, 1))
    assert watch.take() == ({run: True}, None, set())
    changes: list[Callable[[], object]] = [
        lambda: os.utime(tmp_path / run / "lock", ns=(1, 1)),
        lambda: (tmp_path / run / "progress.json").write_bytes(b"{}"),
        lambda: os.truncate(min(log.iterdir()), 3),
        lambda: (log / f"{1000:020}").touch(),
    ]
    for change in changes:
        assert watch.take() == ({}, set(), set())
        assert built_in_calls(watch.take)["scandir"] == 0, "the store was listed"
        change()
        assert watch.take() == ({run: True}, set(), set())
    make_run(tmp_path)
    assert watch.take() == ({}, None, set())
    watch.remove(run)
    assert watch.take() == ({}, set(), set())


def test_changes_within_a_tick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A change that has the time of the one before, as two within a tick of the clock have, is news."""
    looks, now = Looks(), time.time_ns() + HOUR_NS  # still just now, however slow this machine is
    file = tmp_path / "lock"
    for text in (b"1", b"2"):
        file.write_bytes(text)
        for path in (file, tmp_path):
            os.utime(path, ns=(now, now))
        assert looks.changed(str(tmp_path))
    monkeypatch.setattr("runcast.store.looks._TICK_NS", -2 * HOUR_NS)
    assert looks.changed(str(tmp_path))
    assert not looks.changed(str(tmp_path))


def test_a_new_segment(tmp_path: Path):
    """Once a segment was begun nobody waits before the segments were listed, and the new one is watched.

    So nothing is lost between the end of one segment and the watch of the next, without a look at each line.
    """
    run_id = new_run_id()
    writer = FilePlace(str(tmp_path / run_id)).writer(segment_bytes=10)
    writer.append(Channel.STDOUT, b"first\n")
    watch, log = StoreWatch(str(tmp_path)), EntryLog(str(tmp_path / run_id))
    watch.add(run_id)
    at = log.entries(0, 8)[-1].end
    assert not watch.sees(run_id, log)
    assert log.entries(at, 8) == []
    assert watch.grows(run_id, log)
    assert not watch.grows(run_id, log)
    watch.take()

    writer.append(Channel.STDOUT, b"rest")
    assert watch.take()[0] == {run_id: False}
    at = log.entries(at, 8)[-1].end
    assert watch.sees(run_id, log)

    writer.append(Channel.STDOUT, b"next\n")
    assert watch.take()[0] == {run_id: False}
    assert not watch.sees(run_id, log)
    at = log.entries(at, 8)[-1].end
    assert not watch.sees(run_id, log)
    assert log.entries(at, 8) == []
    assert watch.grows(run_id, log)

    writer.append(Channel.STDOUT, b"more\n")
    assert watch.take()[0] == {run_id: False}
    assert [one.data for one in log.entries(at, 8)] == [b"more\n"]
    assert watch.sees(run_id, log)
    log.close()
    watch.close()

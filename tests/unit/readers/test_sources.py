"""The hub with sources of events that it is given: it needs nothing but their methods."""

import os
import sys
from collections.abc import Iterator
from types import FrameType

import pytest

from runcast.readers.hub import Hub


class Folder:
    """Something in a folder that can be watched."""

    def subscribe(self, wake: object) -> None:
        """Return None: changes of files are the news."""

    def watch_paths(self) -> list[str]:
        return ["/run", "/run/log"]

    def growing(self) -> tuple[object, int] | None:
        return "segment", 0


class Bell:
    """A source that is rung by hand: each thing that is watched has a number, in the order of the calls."""

    def __init__(self) -> None:
        self.fd, self._writer = os.pipe2(os.O_NONBLOCK)
        self.calls: list[tuple[str, str]] = []
        self.removed: list[int] = []

    def add_changes(self, folder: str) -> int:
        return self._add("changes", folder)

    def add_new_files(self, folder: str) -> int:
        return self._add("new files", folder)

    def add_growth(self, file: str) -> int:
        return self._add("growth", file)

    def _add(self, what: str, path: str) -> int:
        self.calls.append((what, path))
        return len(self.calls)

    def remove(self, number: int) -> None:
        self.removed.append(number)

    def ring(self, number: int) -> None:
        os.write(self._writer, bytes([number]))

    def drain(self) -> set[int]:
        return set(os.read(self.fd, 100))

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._writer)


@pytest.fixture
def bell() -> Iterator[Bell]:
    source = Bell()
    yield source
    source.close()


def test_what_is_watched(bell: Bell):
    """The first folder is watched for changes, others for new files, the file that grows from a wait on."""
    own = Hub(lambda: bell)
    watch = own.watch(Folder())
    assert bell.calls == [("changes", "/run"), ("new files", "/run/log")]
    own.wait([(watch, watch.version)], 0)
    assert bell.calls[2:] == [("growth", "/proc/self/fd/0")]
    watch.close()

    assert sorted(bell.removed) == [1, 2, 3]


def test_events(bell: Bell):
    """An event ends the wait; only one of the first folder is a change of the run itself."""
    own = Hub(lambda: bell)
    watch = own.watch(Folder())
    own.wait([(watch, watch.version)], 0)
    bell.ring(3)

    assert own.wait([(watch, watch.version)], 10)
    assert watch.folder_changes() == 0
    bell.ring(1)
    assert own.wait([(watch, watch.version)], 10)
    assert watch.folder_changes() == 1
    watch.close()


def test_waiter_does_not_wake_itself(bell: Bell):
    """A waiter that has seen an event itself is not woken for it once more: then there is nothing to read."""
    own = Hub(lambda: bell)
    watch = own.watch(Folder())
    own.wait([(watch, watch.version)], 0)
    bell.ring(3)
    assert own.wait([(watch, watch.version)], 10)
    calls: list[str] = []

    def note(frame: FrameType, event: str, function: object) -> None:
        if event == "c_call":
            calls.append(getattr(function, "__name__", ""))

    sys.setprofile(note)
    changed = own.wait([(watch, watch.version)], 0.02)
    sys.setprofile(None)
    watch.close()

    assert not changed
    assert "poll" in calls
    assert "read" not in calls


def test_source_that_fails():
    """Where a source cannot be opened, waits end by themselves, to look again."""

    def fail() -> Bell:
        raise OSError("no more instances")

    own = Hub(fail)
    watch = own.watch(Folder())

    assert watch.polled
    assert own.wait([(watch, watch.version)], 10)
    watch.close()

"""The threads of a shelf go on, and say what is wrong, whatever goes wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast.agent.shelf_threads import DOWN, FINE, KEPT, ShelfEvent, ShelfThreads
from runcast.log.away import away_at
from runcast.log.eviction import evict
from runcast.log.segments import segment_name, segment_starts
from runcast.shelf import Shelf
from runcast.shelf.opening import ShelfRules
from runcast.store.files import StoreFiles
from tests.helpers.shelves import large_run, read, shelf_at
from tests.helpers.wait import MS, wait_until

PATIENCE = 20000 * MS


class Failing(Shelf):
    """A shelf with a fault that nobody foresaw, until it is mended."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf, self.failing = shelf, True

    def keep(self, name: str, file: str) -> bool:
        self._fail()
        return self._shelf.keep(name, file)

    def fetch(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        self._fail()
        return self._shelf.fetch(name, start, length)

    def names(self, prefix: str = "") -> Iterator[str]:
        return self._shelf.names(prefix)

    def _fail(self) -> None:
        if self.failing:
            raise ValueError("of a library")


@pytest.mark.slow
def test_unforeseen(tmp_path: Path):
    """An error that is none of a shelf is said, and what it kept from being done is done when it is over."""
    files = large_run(tmp_path / "s")
    shelf = Failing(shelf_at(tmp_path / "shelf"))
    threads = ShelfThreads(shelf, ShelfRules(), StoreFiles(str(tmp_path / "s")))
    seen: list[ShelfEvent] = []

    def told(what: str, run_id: str) -> bool:
        seen.extend(threads.take())
        return any((event.what, event.run_id) == (what, run_id) for event in seen)

    try:
        wait_until(lambda: told(DOWN, ""), PATIENCE, "what is wrong with keeping")
        assert "of a library" in seen[-1].message
        shelf.failing = False
        wait_until(lambda: told(KEPT, files.id), PATIENCE, "the run on the shelf")

        whole, (first, *_) = read(files), segment_starts(files.log_path)
        evict(files, first)
        shelf.failing = True
        threads.want_segment(files.id, first)
        wait_until(lambda: told(DOWN, files.id), PATIENCE, "what is wrong with bringing")
        shelf.failing = False
        threads.want_segment(files.id, first)
        wait_until(lambda: told(FINE, files.id), PATIENCE, "the segment")
        assert read(files) == whole
    finally:
        threads.close()


class AskedAgain(ShelfThreads):
    """Threads of whom somebody wants a segment again in the very moment that it could not be had."""

    again: tuple[str, int] | None = None

    def _tell(self, event: ShelfEvent) -> None:
        super()._tell(event)
        if event.what == DOWN and self.again is not None:
            again, self.again = self.again, None
            self._shelf.failing = False
            self.want_segment(*again)


@pytest.mark.slow
def test_wanted_again_at_once(tmp_path: Path):
    """Who hears that a segment could not be had, and wants it again, is heard."""
    files = large_run(tmp_path / "s")
    shelf = Failing(shelf_at(tmp_path / "shelf"))
    shelf.failing = False
    threads = AskedAgain(shelf, ShelfRules(), StoreFiles(str(tmp_path / "s")))
    seen: set[str] = set()

    def told(what: str) -> bool:
        seen.update(event.what for event in threads.take())
        return what in seen

    try:
        wait_until(lambda: told(KEPT), PATIENCE, "the run on the shelf")
        whole, (first, *_) = read(files), segment_starts(files.log_path)
        evict(files, first)
        shelf.failing, threads.again = True, (files.id, first)
        threads.want_segment(files.id, first)
        wait_until(lambda: told(DOWN), PATIENCE, "what is wrong with bringing")
        wait_until(lambda: away_at(f"{files.log_path}/{segment_name(first)}") is None, PATIENCE, "it")
        assert read(files) == whole
    finally:
        threads.close()

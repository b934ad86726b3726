"""A check by use: one link ships a log, another mirrors it, and both fail all the time.

The shipper and the mirror here are the plainest ones that are right, so they show how a link is
used: what to do after `LinkDown` is `_connect`, and there is nothing more to it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from runcast.errors import LinkDown, NoRun
from runcast.ids import new_run_id
from runcast.link import Entry, Link, Reply, Stretch
from runcast.testing.link_steps import PATIENCE, same

__all__ = ["check_shipping"]

T = TypeVar("T")
_WINDOW = 5  # puts under way


def check_shipping(ship: Link, mirror: Link, seed: int, entries: int = 100) -> None:
    """Ship a random log over one link, mirror it over another: nothing may be lost, doubled or changed.

    The mirror reads only what is news to it, so lost news fail the check as well.

    Args:
        ship: the link of the run's host, not connected yet. It may fail as it likes.
        mirror: that of another host.
        seed: of the log.
        entries: how many it has.

    Raises:
        AssertionError: the mirror's log is another one, or does not come to its end.
    """
    log = _log(seed, entries)
    run = new_run_id()
    copy = _Mirror(mirror, run)
    for _ in _ship(ship, run, log):
        copy.turn()
    deadline = time.monotonic() + PATIENCE
    while not copy.ended:
        if time.monotonic() > deadline:
            raise AssertionError(f"the end: expected within {PATIENCE:g} s, the mirror is at {copy.at}")
        copy.turn()
    places, expected = ([entry[:2] for entry in entries] for entries in (copy.entries, log))
    same("places of all entries", expected, places)
    for entry, other in zip(log, copy.entries, strict=True):
        same(f"bytes and records of the entry at {entry.start}", entry, other)


def _log(seed: int, count: int) -> list[Entry]:
    """Return entries of all sizes, with gaps among them."""
    chance = random.Random(seed)
    at, entries = 0, []
    for number in range(count):
        size = chance.choice((1, 80, 1000, 65536 if number % 10 == 0 else 300))
        data = b"" if chance.random() < 0.05 else chance.randbytes(size)
        entries.append(Entry(at, at + size, data, b"%d" % number))
        at += size
    return entries


def _connect(link: Link) -> None:
    for _ in range(1000):
        try:
            link.wait(link.hello())
        except LinkDown:
            continue
        return
    raise AssertionError("expected a link that connects at some time, it did not in 1,000 attempts")


def _do(link: Link, call: Callable[[], Reply[T]]) -> T:
    """Request until there is a reply."""
    while True:
        try:
            return link.wait(call())
        except LinkDown:
            _connect(link)


def _ship(link: Link, run: str, log: list[Entry]) -> Iterator[None]:
    """Ship a log; yield after each window."""
    _do(link, lambda: link.create(run, b"{}", "here"))
    next_one = 0
    while next_one < len(log):
        yield
        replies = [link.put(run, *entry) for entry in log[next_one : next_one + _WINDOW]]
        try:
            taken = all(link.wait(reply) is None for reply in replies)
        except LinkDown:
            _connect(link)
            taken = False
        if taken:
            next_one += len(replies)
        else:
            tail = _do(link, lambda: link.look([run]))[run].tail
            next_one = next((n for n, entry in enumerate(log) if entry.start >= tail), len(log))
    same(
        "whether the run's own outcome is the first",
        True,
        _do(link, lambda: link.tell(run, "outcome", b"done")),
    )


class _Mirror:
    """What another host has of a run."""

    def __init__(self, link: Link, run: str) -> None:
        self.link, self.run = link, run
        self.entries: list[Entry] = []
        self.ended = False
        self.version: int | None = None  # of when it was looked at
        link.watch([run])

    @property
    def at(self) -> int:
        """Where its copy ends."""
        return self.entries[-1].end if self.entries else 0

    def turn(self) -> None:
        """Read what is new, if anything is."""
        self.link.step()
        try:
            if not self.link.news():
                return
        except LinkDown:
            _connect(self.link)
            return
        try:
            stretch = self._read()
            while self.at < stretch.tail:
                stretch = self._read()
        except NoRun:
            return
        if stretch.version is None or stretch.version != self.version:
            look = _do(self.link, lambda: self.link.look([self.run]))[self.run]
            self.ended = look.outcome is not None and self.at >= look.tail
            # One that came before the last bytes is looked at again with these, though nothing else changes.
            self.version = stretch.version if look.outcome is None else None

    def _read(self) -> Stretch:
        stretch = _do(self.link, lambda: self.link.read(self.run, self.at, 3000))
        self.entries += stretch.entries
        return stretch

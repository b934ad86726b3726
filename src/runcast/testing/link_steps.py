"""What the checks of links are made of: connecting, filling a log, reading it back, comparing."""

from __future__ import annotations

import time
from collections.abc import Callable

from runcast.errors import LinkDown, RuncastError
from runcast.ids import new_run_id
from runcast.link import Entry, Link
from runcast.testing.link_places import LinkPlace

__all__ = [
    *("LEASE", "PATIENCE", "PIECES"),
    *(
        "connect",
        "create",
        "entries_of",
        "fill",
        "hears",
        "put",
        "quiet",
        "read_all",
        "refused",
        "same",
        "stepped",
        "until",
    ),
]

PATIENCE = 10.0  # seconds for what must come
LEASE = 60.0  # seconds: longer than any check
PIECES = (b"one\n", b"two", b"\x00\xff\r\n", b"x" * 500, b"end")


def same(what: str, expected: object, got: object) -> None:
    if expected != got:
        raise AssertionError(f"{what}: expected {expected!r}, got {got!r}")


def refused(what: str, error: type[RuncastError], call: Callable[[], object]) -> None:
    try:
        got = call()
    except error:
        return
    raise AssertionError(f"{what}: expected {error.__name__}, got {got!r}")


def until(what: str, call: Callable[[], bool]) -> None:
    """Call until it returns true."""
    deadline = time.monotonic() + PATIENCE
    while not call():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: expected within {PATIENCE:g} s, did not come")
        time.sleep(0.005)


def connect(place: LinkPlace) -> Link:
    """Return a connected link. A busy server may take longer than a link waits: again, as agents do."""
    link = place.link()
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            link.wait(link.hello())
            return link
        except LinkDown:
            if time.monotonic() > deadline:
                raise


def create(link: Link, host: str = "a", run: str | None = None) -> str:
    run = run or new_run_id()
    return link.wait(link.create(run, b'{"name": "check"}', host))


def put(link: Link, run: str, start: int, data: bytes, index: bytes = b"") -> int | None:
    return link.wait(link.put(run, start, start + len(data), data, index))


def fill(link: Link, run: str) -> bytes:
    """Put all pieces, each with its number as the index."""
    at = 0
    for number, data in enumerate(PIECES):
        same(f"put at {at}", None, put(link, run, at, data, b"%d" % number))
        at += len(data)
    return b"".join(PIECES)


def entries_of(link: Link, run: str, offset: int = 0, limit: int = 1 << 20) -> list[Entry]:
    """Return all entries from an offset, and check that there is no hole."""
    found: list[Entry] = []
    while True:
        stretch = link.wait(link.read(run, offset, limit))
        if not stretch.entries:
            same("tail where nothing is left", offset, stretch.tail)
            return found
        for entry in stretch.entries:
            if not entry.start <= offset < entry.end:
                raise AssertionError(f"read at {offset}: expected an entry there, got {entry[:2]}")
            found.append(entry)
            offset = entry.end


def read_all(link: Link, run: str, offset: int = 0, limit: int = 1 << 20) -> bytes:
    """Return all bytes from an offset."""
    return b"".join(
        entry.data[max(0, offset - entry.start) :] for entry in entries_of(link, run, offset, limit)
    )


def hears(link: Link, *names: str) -> Callable[[], bool]:
    """Return what steps, and returns whether all of these names have been news since it was made."""
    seen: set[str] = set()

    def step() -> bool:
        seen.update(stepped(link))
        return seen.issuperset(names)

    return step


def quiet(link: Link) -> None:
    """Take all news that have come; what is sent afterwards is answered after them."""
    for _ in range(2):
        link.wait(link.leases())
        link.news()


def stepped(link: Link) -> set[str]:
    link.step()
    return link.news()

"""The engine in memory passes the check of links, faults and all, and the check notices a broken one."""

from collections.abc import Callable, Collection, Sequence
from contextlib import closing

import pytest

from runcast.errors import LinkDown, LinkError, RuncastError
from runcast.link import Ask, Entry, Link, Reply, Stretch
from runcast.link.memory import MemoryEngine, MemoryLink
from runcast.testing import FaultyLink, LinkPlace, MemoryLinkPlace, check_link, check_shipping


def test_memory():
    """The link in memory keeps every promise."""
    check_link(MemoryLinkPlace)


class Wrapped(MemoryLinkPlace):
    """Gives links with a wrapper around them that lets all through."""

    def link(self) -> Link:
        return FaultyLink(super().link(), seed=0, rate=0)


def test_no_faults():
    """A `FaultyLink` without faults is a link like any other."""
    check_link(Wrapped)


@pytest.mark.parametrize("seed", range(50))
def test_nothing_is_lost_or_doubled(seed: int):
    """With a fault in every fifth request on both sides, the mirror has the log as it was written."""
    with closing(MemoryLinkPlace()) as place:
        ship, mirror = (FaultyLink(place.link(), seed + 1000 * n, rate=0.2) for n in range(2))

        check_shipping(ship, mirror, seed)

    assert ship.faults.total() - ship.faults["none"] > 0


def test_every_fault_happens():
    """A `FaultyLink` has all of its faults, the same for the same seed."""

    def faults() -> dict[str, int]:
        with closing(MemoryLinkPlace()) as place:
            ship, mirror = (FaultyLink(place.link(), n, rate=0.3) for n in range(2))
            check_shipping(ship, mirror, 0, entries=300)
            return dict(ship.faults + mirror.faults)

    first = faults()

    assert first.keys() == {"none", "dropped", "cut", "doubled", "delayed", "overtaken", "late"}
    assert faults() == first


def broken(reply: Reply, change: Callable) -> Reply:
    """Return a reply with another result."""
    other: Reply = Reply()

    def settle(reply: Reply) -> None:
        try:
            other.succeed(change(reply.result()))
        except RuncastError as error:
            other.fail(error)

    reply.then(settle)
    return other


class BlindPuts(MemoryLink):
    """Appends whatever comes, wherever it belongs, as XADD with a free id would."""

    def put(self, run: str, start: int, end: int, data: bytes, records: bytes) -> Reply[int | None]:
        kept = self._engine.runs.get(run)
        if kept and start != kept.tail and data:
            end, start = kept.tail + len(data), kept.tail
        return super().put(run, start, end, data, records)


class SilentRefusal(MemoryLink):
    """Says that all was taken."""

    def put(self, run: str, start: int, end: int, data: bytes, records: bytes) -> Reply[int | None]:
        return broken(super().put(run, start, end, data, records), lambda tail: None)


class SleepsOn(MemoryLink):
    """Has no news of what is after `watch`."""

    def hear(self, name: str, of_bytes: bool) -> None:
        pass


class NoNewsAtFirst(MemoryLink):
    """Has no news of what was before `watch`."""

    def watch(self, runs: Collection[str]) -> None:
        self._watched |= set(runs)


class ForgetsWatched(MemoryLink):
    """Watches nothing any more after a cut."""

    def cut(self) -> None:
        super().cut()
        self._watched.clear()


class CutsTheFront(MemoryLink):
    """Reads from the entry after the one that an offset is in."""

    def read(self, run: str, offset: int, limit: int) -> Reply[Stretch]:
        def change(stretch: Stretch) -> Stretch:
            return stretch._replace(entries=[entry for entry in stretch.entries if entry.start >= offset])

        return broken(super().read(run, offset, limit), change)


class TellsNothing(MemoryLink):
    """Says at each read that nothing but bytes has changed."""

    def read(self, run: str, offset: int, limit: int) -> Reply[Stretch]:
        return broken(super().read(run, offset, limit), lambda stretch: stretch._replace(version=1))


class TextOnly(MemoryLink):
    """Keeps bytes as UTF-8."""

    def put(self, run: str, start: int, end: int, data: bytes, records: bytes) -> Reply[int | None]:
        text = data.decode(errors="replace").encode("latin-1", "replace")
        return super().put(run, start, end, text if len(text) == len(data) else data[::-1], records)


class AsksTwice(MemoryLink):
    """Hands out what is asked for a second time."""

    def asks(self) -> Reply[Sequence[Ask]]:
        return broken(super().asks(), lambda asks: [*asks, *asks])


class EndlessLease(MemoryLink):
    """Has leases that never end."""

    def lease(self, host: str, seconds: float, holder: bytes) -> Reply[None]:
        return super().lease(host, 3600.0, holder)


class Hasty(MemoryLink):
    """Settles replies before a step."""

    def put(self, run: str, start: int, end: int, data: bytes, records: bytes) -> Reply[int | None]:
        reply = super().put(run, start, end, data, records)
        self.step()
        return reply


class HidesGaps(MemoryLink):
    """Passes over gaps."""

    def read(self, run: str, offset: int, limit: int) -> Reply[Stretch]:
        def change(stretch: Stretch) -> Stretch:
            kept: list[Entry] = [entry for entry in stretch.entries if entry.data]
            return stretch._replace(entries=kept)

        return broken(super().read(run, offset, limit), change)


def place_of(kind: type[MemoryLink]) -> Callable[[], LinkPlace]:
    """Return what makes places with links of a kind."""

    class Place(MemoryLinkPlace):
        def link(self) -> Link:
            self._links.append(kind(self.engine))
            return self._links[-1]

    return Place


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (BlindPuts, "put at 11: expected 10, got None"),
        (SilentRefusal, "put at 11: expected 10, got None"),
        (SleepsOn, "what was during|a change"),
        (NoNewsAtFirst, "what was before"),
        (ForgetsWatched, "all of it"),
        (CutsTheFront, "expected an entry there|tail where nothing is left"),
        (TextOnly, "bytes"),
        (TellsNothing, "another number after a state"),
        (AsksTwice, "requests, each once"),
        (EndlessLease, "the end of a lease"),
        (Hasty, "replies before a step"),
        (HidesGaps, "expected an entry there, got"),
    ],
)
def test_planted_fault_is_found(fault: type[MemoryLink], said: str, monkeypatch: pytest.MonkeyPatch):
    """A link with one fault fails the check, and the message says which promise is broken."""
    for module in ("link_steps", "link_hosts"):
        monkeypatch.setattr(f"runcast.testing.{module}.PATIENCE", 0.3)

    with pytest.raises(AssertionError, match=f"promise broken: .*({said})"):
        check_link(place_of(fault))


def test_lost_data_are_shipped_again():
    """Where the engine loses everything in the middle, only what is created again can go on."""
    engine = MemoryEngine()
    with closing(MemoryLink(engine)) as link:
        link.wait(link.hello())
        link.wait(link.create("a", b"{}", "here"))
        engine.clear()

        with pytest.raises(LinkError, match="create it there first"):
            link.wait(link.put("a", 0, 1, b"x", b""))


def test_waiting_has_an_end():
    """A reply that does not come is LinkDown after the time that was given."""
    with closing(MemoryLink(MemoryEngine())) as link:
        link.wait(link.hello())

        with pytest.raises(LinkDown, match=r"within 0\.01 s"):
            link.wait(Reply(), 0.01)


def test_reply_before_it_has_come():
    """The result of a reply that has not come is a mistake of the caller's."""
    with pytest.raises(RuntimeError, match="has not"):
        Reply().result()

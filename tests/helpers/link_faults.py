"""Around faults of links: fill a log in pieces, connect again, and look whether all of it is there."""

from collections.abc import Callable, Sequence

from runcast.errors import LinkDown, LinkError
from runcast.link import Link
from runcast.testing.link_steps import entries_of
from tests.helpers.relay import Relay
from tests.helpers.wait import MS, wait_until

__all__ = [
    "PIECE",
    "caught",
    "caught_by",
    "check_whole",
    "connect_again",
    "fill_up",
    "is_down",
    "put_through_cuts",
]

PIECE = b"0123456789abcdef" * 64


def connect_again(link: Link) -> str:
    """Call hello until it succeeds; return the epoch."""

    def attempt() -> str:
        try:
            return link.wait(link.hello()).epoch
        except LinkDown:
            return ""

    return wait_until(attempt, 20000 * MS, "a connection")


def fill_up(link: Link, run: str, end: int) -> int:
    """Ship a log of pieces from the engine's tail to an end; return how many puts were taken."""
    link.wait(link.create(run, b"{}", "a"))
    at = link.wait(link.look([run]))[run].tail
    replies = [link.put(run, n, n + len(PIECE), PIECE, b"%d" % n) for n in range(at, end, len(PIECE))]
    assert [link.wait(reply) for reply in replies] == [None] * len(replies)
    return len(replies)


def check_whole(link: Link, run: str, end: int) -> None:
    """Check that the engine has each piece once."""
    entries = entries_of(link, run)
    assert [(entry.start, entry.records) for entry in entries] == [
        (n, b"%d" % n) for n in range(0, end, len(PIECE))
    ]
    assert {entry.data for entry in entries} == {PIECE}


def is_down(link: Link) -> bool:
    """Return whether a link has noticed that it is down."""
    link.step()
    try:
        link.news()
    except LinkDown:
        return True
    return False


def caught(reply: object) -> Exception | None:
    """Return what a reply raises."""
    try:
        reply.result()  # type: ignore[attr-defined]
    except LinkError as error:
        return error
    return None


def caught_by(link: Link, reply: object) -> Exception | None:
    """Return what a request raises."""
    try:
        link.wait(reply)  # type: ignore[arg-type]
    except LinkError as error:
        return error
    return None


def put_through_cuts(
    link: Link, relay: Relay, way: str, places: Callable[[int], Sequence[int]]
) -> tuple[int, int]:
    """Put two bytes for each of some places, cut there, and go on from the tail: each put is there once.

    Args:
        link: through the relay, without the run `run`.
        relay: what cuts.
        way: what is cut, `requests` or `replies`.
        places: returns after which bytes of them, given how many there are.

    Returns:
        How many cuts there were, and how many of these puts the engine had stored before the next hello.
    """
    link.wait(link.hello())
    link.wait(link.create("run", b"{}", "a"))
    link.wait(link.put("run", 0, 1000, b"", b""))  # brings what is sent once, and offsets of four digits
    before = relay.passed[way == "replies"]
    link.wait(link.put("run", 1000, 1002, b"00", b"r"))
    cuts = places(relay.passed[way == "replies"] - before)
    taken = 0
    for number, byte in enumerate(cuts):
        at, data = 1002 + 2 * number, b"%02d" % (number % 100)
        relay.cut_after(**{way: byte})
        reply = link.put("run", at, at + 2, data, b"r")
        try:
            assert link.wait(reply) is None
        except LinkDown:
            pass
        wait_until(lambda: is_down(link), what="the cut")
        connect_again(link)
        if link.wait(link.look(["run"]))["run"].tail == at:
            assert link.wait(link.put("run", at, at + 2, data, b"r")) is None
        else:
            taken += 1

    put = [entry.data for entry in entries_of(link, "run")[2:]]
    assert put == [b"%02d" % (number % 100) for number in range(len(cuts))]
    return len(cuts), taken

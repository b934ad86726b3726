"""Replies that caches share: what they say to caches, and when those that gather are sent."""

from collections.abc import Iterator

import pytest

from runcast import Store
from runcast.durable import MemoryStreams
from runcast.log import MemoryLog
from runcast.model import Channel, Outcome, Reason
from runcast.readers import Wait
from runcast.web.api.durable.reads import Later, Sharing, read_reply
from runcast.web.api.durable.routes import Durable
from runcast.web.api.durable.waypoints import FINE_BYTES
from runcast.web.http.messages import Reply, Request
from runcast.web.responder import Responder
from runcast.wire.durable import Appending, Creation, ReadParams
from tests.unit.log.disks import SECOND, ClockedMemory

OUT = Channel.STDOUT
ENDED = Outcome(Reason.EXITED, 0)
MOMENT = "public, max-age=0, s-maxage=1"
DATA = "public, max-age=60, stale-while-revalidate=300"
EVENTS = "no-cache, no-transform"


class Place:
    """Streams in memory, public or not."""

    def __init__(self, *, public: bool) -> None:
        self.streams = MemoryStreams()
        self.durable = Durable(Responder(Store.open()), self.streams, public=public, poll_seconds=0)
        self.stream, _ = self.streams.create("s", Creation("text/plain"))

    def append(self, size: int, *, close: bool = False) -> None:
        self.stream.append(Appending("text/plain", close=close), bytes(size))

    def ask(self, query: str, path: str = "/v1/stream/s", method: str = "GET", **headers: str) -> Reply:
        reply = self.durable.respond(Request(method, path, query=query, headers=headers))
        if isinstance(reply, Later):
            reply = next(step for step in reply.steps() if isinstance(step, Reply))
        return reply

    def said(self, query: str, **headers: str) -> dict[str, str]:
        return {name.lower(): value for name, value in self.ask(query, **headers).headers}


@pytest.fixture(name="place")
def place_fixture(own_store: object) -> Place:
    """Streams that are public."""
    return Place(public=True)


@pytest.mark.parametrize(
    ("query", "public", "private"),
    [
        ("offset=-1", DATA, DATA.replace("public", "private")),
        (f"offset={FINE_BYTES}", MOMENT, "private, no-cache"),
        (f"live=long-poll&offset={FINE_BYTES}", DATA, DATA.replace("public", "private")),
        (f"live=long-poll&offset={FINE_BYTES + 9}", MOMENT, "no-store"),
        ("live=long-poll&offset=now", MOMENT, "no-store"),
        ("live=sse&offset=now", EVENTS, EVENTS),
        ("offset=now", "no-store", "no-store"),
        ("offset=99999999", "no-store", "no-store"),
        ("offset=x", "no-store", "no-store"),
    ],
)
def test_what_caches_may_keep(own_store: object, query: str, public: str, private: str):
    """What is meant to be one request may be kept, if only for a moment; nothing that is private may be."""
    for is_public, expected in ((True, public), (False, private)):
        place = Place(public=is_public)
        place.append(FINE_BYTES + 9)
        if not is_public and query == "offset=-1":
            expected = "private, no-cache"  # it reaches the tail
        assert place.said(query)["cache-control"] == expected


def test_nothing_there(place: Place):
    """That there is nothing may be kept for a moment, so that many who ask are one; other errors are not."""
    missing, refused = place.ask("", "/v1/stream/none"), place.ask("live=x&offset=0")
    assert (missing.status, dict(missing.headers)["Cache-Control"]) == (404, MOMENT)
    assert (refused.status, dict(refused.headers)["Cache-Control"]) == (400, "no-store")
    for method in ("HEAD", "POST", "DELETE"):
        assert dict(place.ask("", "/v1/stream/none", method).headers)["Cache-Control"] == "no-store"
    private = Place(public=False).ask("", "/v1/stream/none")
    assert dict(private.headers)["Cache-Control"] == "no-store"


def test_events(place: Place):
    """Caches for which `no-cache` is not meant may keep events, those from `now` for a moment only."""
    assert place.said("live=sse&offset=0")["cdn-cache-control"] == "public, max-age=60"
    assert place.said("live=sse&offset=now")["cdn-cache-control"] == "public, max-age=1"
    assert "cdn-cache-control" not in Place(public=False).said("live=sse&offset=0")


def test_end_may_be_kept(place: Place):
    """That a stream has ended is final."""
    place.append(9, close=True)
    said = place.said("live=long-poll&offset=9")
    assert (said["cache-control"], said["stream-closed"]) == (DATA, "true")


def test_order_and_others(place: Place):
    """The order of the parameters, and others, change nothing in the reply."""
    place.append(9)
    expected = place.ask("cursor=5&live=long-poll&offset=3")
    for query in ("offset=3&live=long-poll&cursor=5", "x=1&cursor=5&live=long-poll&offset=3&utm=%20"):
        reply = place.ask(query)
        assert (list(reply.headers), reply.body) == (list(expected.headers), expected.body)


def test_same_cursor_for_all(place: Place):
    """All who have read the same bytes have the same cursor, however they were read, and request one URL."""
    place.append(FINE_BYTES)
    place.append(9)
    ways = (
        f"offset={FINE_BYTES}",
        f"live=long-poll&offset={FINE_BYTES}",
        f"live=long-poll&offset={FINE_BYTES + 5}",
        f"cursor=7&live=long-poll&offset={FINE_BYTES + 1}",
    )
    replies = [place.said(way) for way in ways]
    assert len({(said["stream-next-offset"], said["stream-cursor"]) for said in replies}) == 1


def test_private_replies_end_as_ever(own_store: object):
    """Replies that nobody shares end at the tail."""
    place = Place(public=False)
    place.append(FINE_BYTES + 9)
    for query in ("offset=-1", "live=long-poll&offset=-1"):
        assert int(place.said(query, via="1.1 x")["stream-next-offset"]) == FINE_BYTES + 9


class Source:
    """A log whose clock a test moves."""

    id, key, lifetime = "s", ("s",), ()
    content_type = media_type = "text/plain"
    immutable = True

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.writer = ClockedMemory(self.log)
        self.wanted: list[int] = []

    def open_log(self) -> MemoryLog:
        return self.log

    def settle(self) -> None: ...

    def touch(self) -> None: ...

    def want(self, offset: int) -> None:
        self.wanted.append(offset)

    def expect_boundary(self, log: object, offset: int) -> None: ...

    def append(self, data: bytes, after: float = 0.0) -> None:
        self.writer.now += round(after * SECOND)
        self.writer.append(OUT, data)


def polling(source: Source, offset: str = "0", *, gathers: bool = True) -> Iterator[Reply | Wait]:
    later = read_reply(
        source, ReadParams(offset, "long-poll"), None, sharing=Sharing(True, gathers), poll_seconds=20
    )
    assert isinstance(later, Later)
    return later.steps()


def look(steps: Iterator[Reply | Wait]) -> Reply | Wait:
    """Return the next reply, or wait for the log: not one for a pause."""
    return next(step for step in steps if isinstance(step, Reply) or step.seen)


def test_gathers():
    """For a cache a poll waits until a second is over, and has what came in it; the next begins there."""
    source = Source()
    steps = polling(source)
    assert isinstance(look(steps), Wait)
    for _ in range(3):
        source.append(b"line\n", 0.2)
        waited = look(steps)
        assert isinstance(waited, Wait)
        assert 0 < waited.timeout <= 1
    source.append(b"more\n", 1.0)
    reply = look(steps)
    assert isinstance(reply, Reply)
    assert reply.body == b"line\n" * 3
    assert (
        dict(reply.headers)["Stream-Up-To-Date"] == "true"
    )  # so that its reader waits, and does not catch up
    assert source.wanted[-1] == 15  # a generator that nobody else reads goes on meanwhile


def test_pauses_while_it_gathers():
    """A poll that gathers looks again after a pause, not at each line of a fast run."""
    source = Source()
    steps = polling(source)
    next(steps)
    source.append(b"line\n")
    waits = [next(steps) for _ in range(4)]
    assert [isinstance(wait, Wait) and bool(wait.seen) for wait in waits] == [True, False, True, False]


def test_gathers_for_caches_only():
    """Without a cache a poll is answered with the first byte."""
    source = Source()
    steps = polling(source, gathers=False)
    look(steps)
    source.append(b"line\n")
    reply = look(steps)
    assert isinstance(reply, Reply)
    assert reply.body == b"line\n"


def test_64_kib_at_once():
    """Where 64 KiB come first, that is all that the reply waits for."""
    source = Source()
    steps = polling(source)
    look(steps)
    source.append(bytes(FINE_BYTES - 1))
    assert isinstance(look(steps), Wait)
    source.append(bytes(9))
    reply = look(steps)
    assert isinstance(reply, Reply)
    assert len(reply.body) == FINE_BYTES


def test_end_at_once():
    """The end is told at once, with the last bytes."""
    source = Source()
    steps = polling(source)
    look(steps)
    source.append(b"line\n")
    assert isinstance(look(steps), Wait)
    source.writer.set_outcome(ENDED)
    source.writer.close(ENDED)
    reply = look(steps)
    assert isinstance(reply, Reply)
    assert (reply.body, dict(reply.headers)["Stream-Closed"]) == (b"line\n", "true")


def test_catch_up_for_caches():
    """For a cache what is caught up with ends at a waypoint, so that its reader waits with the others."""
    source = Source()
    source.writer.now *= 2  # the last second is not over
    source.append(b"line\n")
    source.append(b"next\n", 1.0)
    for gathers, offset, body in (
        (True, "-1", b"line\n"),
        (True, "now", b""),
        (False, "-1", b"line\nnext\n"),
    ):
        reply = read_reply(source, ReadParams(offset), None, sharing=Sharing(True, gathers))
        assert isinstance(reply, Reply)
        assert (reply.body, dict(reply.headers)["Stream-Up-To-Date"]) == (body, "true")
        assert int(dict(reply.headers)["Stream-Next-Offset"]) == (5 if gathers else 10)


def test_events_end_together():
    """Events end where a second of the log ends, whenever they began, and with the same cursor."""
    source = Source()
    source.append(b"line\n")
    replies = []
    for begun in (0, 3, 5):
        reply = read_reply(source, ReadParams(str(begun), "sse"), None, sharing=Sharing(True))
        assert isinstance(reply, Reply)
        assert reply.stream is not None
        replies.append(reply.stream)
    said = []
    for stream in replies:
        stream._until = 0.0  # the minute is over
        steps = stream.steps()
        first = next(steps)
        assert isinstance(first, bytes)
        said.append((stream, steps))
    source.append(b"of a later second\n", 1.0)
    ends = []
    for stream, steps in said:
        stream._until = 0.0
        rest = [step for step in steps if isinstance(step, bytes)]
        assert b"later" not in b"".join(rest)
        ends.append((rest[-1], stream.offset, stream.finished))
    assert len(set(ends)) == 1
    assert ends[0][1:] == (5, True)

"""A connection is bounded in bytes and in time, whichever parser there is: without sockets and clocks."""

import asyncio
import gc
import json
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from runcast.server.bounded_protocol import (
    BODY_SECONDS,
    HEAD_BYTES,
    HEAD_LINES,
    HEAD_SECONDS,
    IDLE_SECONDS,
    Bounded,
    Stage,
)
from runcast.server.connections import KNOWN, Connections
from runcast.server.h11_protocol import BoundedH11Protocol
from runcast.server.uvicorn_fastpath import FastpathProtocol

GET = b"GET / HTTP/1.1\r\nHost: here\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE = 16 * 1024  # that h11 may have beyond the bound


class Wire(asyncio.Transport):
    """A transport in memory."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 5000), "sockname": ("192.0.2.2", 80)})
        self.sent = b""
        self.closed = self.reset = self.half = False
        self.protocol: Any = None

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def write_eof(self) -> None:
        self.half = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.reset = True

    def is_closing(self) -> bool:
        return self.closed

    def get_protocol(self) -> Any:
        return self.protocol

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    @property
    def status(self) -> int:
        return int(self.sent.split()[1]) if self.sent else 0

    @property
    def problem(self) -> dict[str, Any]:
        head, _, body = self.sent.partition(b"\r\n\r\n")
        assert b"application/problem+json" in head
        assert b"connection: close" in head
        value: dict[str, Any] = json.loads(body)
        return value


class Site:
    """An application that reads a body and answers; `make` gives a new connection to it."""

    def __init__(self, kind: type[Bounded]) -> None:
        self.loop = asyncio.new_event_loop()
        self.heard: list[Any] = []
        self.headers: list[Any] = []
        self.known = False
        self.config = uvicorn.Config(
            self.answer,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            ws="none",
            h11_max_incomplete_event_size=HEAD_BYTES,
        )
        self.kind = kind
        self.book = Connections()

    async def answer(self, scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        if self.known and KNOWN in scope["state"]:
            scope["state"][KNOWN]()
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.heard.append("cut")
                return
            body, more = body + message["body"], message["more_body"]
        self.heard.append(body)
        self.headers = scope["headers"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def make(self) -> tuple[Any, Wire]:
        wire = Wire()
        kind: Any = self.kind
        one = kind(
            config=self.config, server_state=ServerState(), app_state={}, _loop=self.loop, book=self.book
        )
        wire.protocol = one
        one.connection_made(wire)
        return one, wire

    def run(self) -> None:
        """Let the application go as far as it can."""
        for _ in range(8):
            self.loop.run_until_complete(asyncio.sleep(0))


@pytest.fixture(params=[FastpathProtocol, BoundedH11Protocol], ids=["httptools", "h11"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    site = Site(request.param)
    yield site
    site.loop.close()


def padding(size: int, line: int = 1000) -> bytes:
    """Return header lines of so many bytes."""
    count, rest = divmod(size, line)
    lines = [b"x: " + b"y" * (length - 5) + b"\r\n" for length in [line] * (count - 1) + [line + rest]]
    return b"".join(lines)


def test_head_that_fits(site: Site):
    """A head just below the bound is answered, in one piece or in many."""
    for size in (HEAD_BYTES, 1000):
        one, wire = site.make()
        head = GET + padding(HEAD_BYTES - 200) + b"\r\n"
        for at in range(0, len(head), size):
            one.data_received(head[at : at + size])
        site.run()

        assert wire.status == 200


@pytest.mark.parametrize("size", [1000, 256 * 1024])
def test_head_too_long(site: Site, size: int):
    """Beyond the bound it is 431, then what comes is passed over until the client has gone."""
    one, wire = site.make()
    head = GET + padding(HEAD_BYTES + 2 * PIECE) + b"\r\n"
    for at in range(0, len(head), size):
        one.data_received(head[at : at + size])
    one.data_received(b"x" * 100_000)
    site.run()

    assert wire.status == 431
    assert wire.problem["error"] == "HeadTooLong"
    assert (wire.half, wire.closed) == (True, False)
    assert site.heard == []


@pytest.mark.parametrize("line", [b"x" * 300_000, b"GET /" + b"x" * 300_000, GET + b"x: " + b"y" * 300_000])
def test_endless_line(site: Site, line: bytes):
    """So it is if no line ever ends."""
    one, wire = site.make()
    one.data_received(line)

    assert wire.status in ((431,) if line.startswith(b"GET") else (400, 431))


def test_many_short_lines():
    """A thousand lines are enough, however short: each costs far more than it has bytes."""
    site = Site(FastpathProtocol)
    one, wire = site.make()
    one.data_received(GET + b"x:\r\n" * (HEAD_LINES + 1))
    site.loop.close()

    assert wire.status == 431


def test_count_begins_anew(site: Site):
    """Each request on a connection has its own count, also those that are sent at once."""
    one, wire = site.make()
    request = GET + padding(40_000) + b"\r\n"
    for _ in range(5):
        one.data_received(request)
        site.run()
    one.data_received(request * 3)
    for _ in range(10):
        site.run()

    assert wire.sent.count(b"HTTP/1.1 200") == 8


def test_too_long_behind_another():
    """A head that begins in the same packet as the one before it ends is found too long all the same."""
    site = Site(FastpathProtocol)
    site.known = True
    one, wire = site.make()
    one.data_received(GET + b"\r\n")
    site.run()
    one.data_received(GET + b"\r\n" + GET + padding(HEAD_BYTES + 100) + b"\r\n")
    site.run()
    site.loop.close()

    assert [line for line in wire.sent.split(b"\r\n") if line.startswith(b"HTTP")][1:] == [b"HTTP/1.1 200 OK"]
    assert wire.closed


def test_trailers_too_long(site: Site):
    """Trailers count as well; the application gets a disconnect for a body that was cut."""
    one, wire = site.make()
    one.data_received(CHUNKED + b"1\r\na\r\n")
    site.run()
    one.data_received(b"0\r\n" + padding(HEAD_BYTES + 2 * PIECE) + b"\r\n")
    site.run()

    assert wire.status == 431
    assert site.heard == ["cut"]


def test_trailers_are_no_headers():
    """What comes behind a body is no header of its request."""
    site = Site(FastpathProtocol)
    one, wire = site.make()
    one.data_received(CHUNKED + b"1\r\na\r\n0\r\nX-Runcast: 1\r\n\r\n")
    site.run()
    site.loop.close()

    assert (wire.status, site.heard) == (200, [b"a"])
    assert [name for name, _ in site.headers] == [b"host", b"transfer-encoding"]


def test_chunk_extensions():
    """The extensions of chunks are bounded, the chunks are not."""
    site = Site(FastpathProtocol)
    one, wire = site.make()
    one.data_received(CHUNKED)
    site.run()
    for _ in range(30_000):
        one.data_received(b"1\r\na\r\n")
    one.data_received(b"0\r\n\r\n")
    site.run()
    assert (wire.status, len(site.heard[0])) == (200, 30_000)

    one, wire = site.make()
    one.data_received(CHUNKED)
    site.run()
    for _ in range(100):
        one.data_received(b"1;x=" + b"y" * 1000 + b"\r\na\r\n")
    site.run()
    site.loop.close()

    assert (wire.status, site.heard[1:]) == (431, ["cut"])


def test_endless_chunk_extension():
    """The extension of a chunk is bounded before it is whole, that of the first one, too."""
    site = Site(FastpathProtocol)
    for begun in (b"", b"1\r\na\r\n"):
        one, wire = site.make()
        one.data_received(CHUNKED + begun + b"1;x=")
        site.run()
        for _ in range(2 * HEAD_BYTES // PIECE):
            one.data_received(b"y" * PIECE)
        site.run()
        assert (wire.status, site.heard.pop()) == (431, "cut")
    site.loop.close()


@pytest.mark.parametrize(
    ("data", "seconds", "status"),
    [
        (b"", HEAD_SECONDS, 0),
        (b"G", HEAD_SECONDS, 408),
        (GET, HEAD_SECONDS, 408),
        (GET + b"Content-Length: 5\r\n\r\nabcd", BODY_SECONDS, 408),
        (CHUNKED + b"5\r\nabc", BODY_SECONDS, 408),
    ],
)
def test_too_slow(site: Site, data: bytes, seconds: float, status: int):
    """A request that does not arrive is awaited no longer than its deadline."""
    one, wire = site.make()
    now = site.loop.time()
    if data:
        one.data_received(data)
        site.run()
        one.check_deadline(now)
    one.check_deadline(now + seconds - 0.1)
    assert not wire.closed
    one.check_deadline(now + seconds + 0.1)
    site.run()

    assert (wire.closed, wire.status) == (True, status)
    assert b"" not in site.heard, "a part is never given as the whole"


def test_byte_by_byte(site: Site):
    """Bytes that come now and then make a head not last longer."""
    one, wire = site.make()
    now = site.loop.time()
    for second in range(20):
        if not wire.closed:
            one.data_received(b"GET / HTTP/1.1\r\nHost: here"[second : second + 1])
            one.check_deadline(now + second)

    assert (wire.closed, wire.status) == (True, 408)


def test_slow_body(site: Site):
    """A body that goes on may take long: 1 KiB in 30 s is enough."""
    one, wire = site.make()
    now = site.loop.time()
    one.data_received(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 20480\r\n\r\n")
    for number in range(20):
        site.run()
        one.check_deadline(now + number * 29)
        assert not wire.closed
        one.data_received(b"x" * 1024)
    site.run()

    assert wire.status == 200


def test_idle(site: Site):
    """A connection may be idle for longer than it may wait for a head."""
    one, wire = site.make()
    one.data_received(GET + b"\r\n")
    site.run()
    now = site.loop.time()
    assert one.stage()[0] is Stage.IDLE
    one.check_deadline(now)
    one.check_deadline(now + HEAD_SECONDS + 1)
    assert not wire.closed
    one.check_deadline(now + IDLE_SECONDS + 1)

    assert wire.closed


def test_turned_away(site: Site):
    """Who is closed for another gets a 503 that says when to come back."""
    one, wire = site.make()
    one.data_received(GET)
    one.turn_away()

    assert (wire.status, wire.half) == (503, True)
    assert b"Retry-After: 1\r\n" in wire.sent


def test_known(site: Site):
    """A connection whose request has passed is no stranger any more, nor what comes later on it."""
    site.known = True
    one, wire = site.make()
    assert site.book.strangers == 1
    one.data_received(GET + b"\r\n")
    site.run()
    one.data_received(GET)

    assert (wire.status, site.book.strangers, one.strange) == (200, 0, False)


def test_pending_bytes_are_counted():
    """What a stranger's unfinished head takes is known, and given back."""
    site = Site(FastpathProtocol)
    one, _ = site.make()
    one.data_received(GET + padding(30_000))
    assert site.book.pending > 30_000
    one.data_received(b"\r\n")
    site.run()
    assert site.book.pending == 0

    other, _ = site.make()
    other.data_received(GET + padding(30_000))
    other.connection_lost(None)
    site.loop.close()

    assert site.book.pending == 0


def test_no_heap_of_requests():
    """Requests of a stranger that are sent at once wait as bytes, which take less than requests."""
    site = Site(FastpathProtocol)
    one, wire = site.make()
    one.data_received((GET + b"\r\n") * 2000)
    assert len(one.pipeline) < 200
    for _ in range(600):
        site.run()
    site.loop.close()

    assert wire.sent.count(b"HTTP/1.1 200") == 2000


@pytest.mark.parametrize("sent", [b"", GET, GET + b"\r\n", CHUNKED], ids=["nothing", "half", "whole", "body"])
def test_nothing_waits_for_the_collector(site: Site, sent: bytes):
    """A connection that is gone takes all of its memory with it: no circle is left to be looked for."""
    gc.collect()
    gc.disable()
    try:
        connection, wire = site.make()
        if sent:
            connection.data_received(sent)
        site.run()
        gone = weakref.ref(connection)
        connection.connection_lost(None)
        wire.protocol = None  # as a transport lets go of it
        del connection
        site.run()

        assert gone() is None
    finally:
        gc.enable()

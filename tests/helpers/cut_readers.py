"""Readers of a run's log whose connections are cut at any byte, one for each transport.

Each keeps what a client of its transport keeps, and nothing else: bytes that it counts, the last
event id, the last `next`. They speak through plain sockets, so a cut may fall anywhere: into the
head of a reply, a chunk's size, a WebSocket's frame. What a reader ended up with is in `data`, or
in `lines` for the one that has only these.
"""

import base64
import json
import random
import re
import socket
import struct
import threading
from typing import NamedTuple

from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.uri import parse_uri

from tests.helpers.wait import MS
from tests.unit.wire.eventsource import EventSource

_RESET = struct.pack("ii", 1, 0)  # linger for no time: closing sends RST in place of FIN
LONG = 20000 * MS


class Answer(NamedTuple):
    """What of a reply arrived before the cut. `whole` says that there was none."""

    status: int
    head: bytes
    body: bytes
    whole: bool


def parse(raw: bytes) -> Answer:
    """Take a reply apart, wherever it was cut; status 0 without a whole head."""
    head, separator, rest = raw.partition(b"\r\n\r\n")
    if not separator:
        return Answer(0, b"", b"", False)
    head, status = head.lower(), int(raw.split(b" ", 2)[1])
    if status == 204:  # it has no body, whatever its head says or does not (RFC 9112, section 6.3)
        return Answer(status, head, b"", True)
    if b"transfer-encoding: chunked" not in head:
        length = re.search(rb"content-length: (\d+)", head)
        size = int(length[1]) if length else 0
        return Answer(status, head, rest[:size], length is not None and len(rest) >= size)
    body = b""
    while True:
        size_line, separator, rest = rest.partition(b"\r\n")
        if not separator:
            return Answer(status, head, body, False)
        size = int(size_line, 16)
        if size == 0:
            return Answer(status, head, body, True)
        body += rest[:size]
        if len(rest) < size + 2:
            return Answer(status, head, body, False)
        rest = rest[size + 2 :]


class CutReader:
    """A reader over plain HTTP; each transport says its `target` and what it keeps of an answer.

    Attributes:
        data: all bytes of the log that were kept.
        cuts: how many connections ended early.
        ended: the end of the log was seen.
    """

    accept = "*/*"
    target = "/runs/{run}/log?offset={offset}"

    def __init__(self, port: int, run_id: str, *, prefix: str = "") -> None:
        self.port, self.run_id, self.prefix = port, run_id, prefix
        self.data = b""
        self.cuts = 0
        self.ended = False
        self._in_vain = 0
        self.visits = 0

    def connect(self) -> socket.socket:
        """Connect and send the request."""
        connection = socket.create_connection(("127.0.0.1", self.port), LONG)
        target = self.prefix + self.target.format(run=self.run_id, offset=self.offset)
        head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {self.accept}\r\n{self.headers}\r\n"
        connection.sendall(head.encode())
        return connection

    def visit(self, chance: random.Random, most: int, patience: float = LONG) -> bool:
        """Connect, read a random number of bytes, and cut; return whether the end of the log was seen.

        Also leaves after `patience` seconds of silence. A server that is away counts as a cut.
        """
        raw, whole = b"", False
        try:
            connection = self.connect()
        except OSError:
            self.cuts += 1
            return False
        self.visits += 1
        with connection:
            connection.settimeout(patience)
            # More after visits in vain: what a client can use only whole must come through at last.
            budget = int(most * 2 ** min(self._in_vain, 10) * chance.random() ** 2)
            try:
                while len(raw) < budget and not whole:
                    data = connection.recv(budget - len(raw))
                    raw += data
                    whole = not data or self.is_whole(raw)
            except OSError:
                pass
            if chance.randrange(2):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.cuts += not whole
        before = self.offset, self.headers
        self.ended = self.keep(raw)
        self._in_vain = self._in_vain + 1 if before == (self.offset, self.headers) else 0
        return self.ended

    def is_whole(self, raw: bytes) -> bool:
        """Return whether nothing more will come."""
        return parse(raw).whole

    @property
    def offset(self) -> int:
        """Where to go on."""
        return len(self.data)

    @property
    def headers(self) -> str:
        """Further lines of the request's head."""
        return ""

    def keep(self, raw: bytes) -> bool:
        """Keep what a client keeps of what arrived; return whether it was the end."""
        answer = parse(raw)
        assert answer.status in (0, 200), raw
        self.data += answer.body
        return answer.whole

    def expect(self, whole: bytes) -> None:
        """Assert that the reader has the log: nothing lost, doubled or out of order."""
        __tracebackhide__ = True
        if self.data != whole:
            same = next(
                (at for at, pair in enumerate(zip(self.data, whole, strict=False)) if pair[0] != pair[1]),
                min(len(self.data), len(whole)),
            )
            raise AssertionError(
                f"{type(self).__name__}: {len(self.data)} bytes of {len(whole)}, the same up to {same}: "
                f"expected {whole[same : same + 80]!r}, got {self.data[same : same + 80]!r}"
            )


class Text(CutReader):
    """Plain text: the bytes, counted."""


class Events(CutReader):
    """One event a line, as an `EventSource` has it: whole lines, and the last id."""

    accept = "text/event-stream"
    target = "/runs/{run}/log"

    def __init__(self, *arguments: int | str, **options: str) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self.browser = EventSource()
        self.lines: list[str] = []

    @property
    def headers(self) -> str:
        last = self.browser.last_event_id
        return f"Last-Event-ID: {last}\r\n" if last else ""

    def keep(self, raw: bytes) -> bool:
        answer = parse(raw)
        assert answer.status in (0, 200, 204), raw
        for event in self.browser.read(answer.body):
            if event.type == "message":
                self.lines.append(event.data)
        return self.browser.last_event_id.endswith(":end")

    def expect(self, whole: bytes) -> None:
        __tracebackhide__ = True
        # A terminal ends its lines with CRLF, which is no part of them.
        assert self.lines == [line.removesuffix("\r") for line in whole.decode().split("\n")[:-1]]


class _Chunks(CutReader):
    """What all forms of JSON chunks have in common: content by offset, and the last `next`."""

    _next = 0

    @property
    def offset(self) -> int:
        return self._next

    def add(self, chunks: list[dict[str, str]]) -> None:
        """Keep chunks; each must begin where the one before it ended."""
        for chunk in chunks:
            assert int(chunk["offset"]) == self._next, f"expected {self._next}, got {chunk}"
            text, coded = chunk.get("text"), chunk.get("base64", "")
            self.data += base64.b64decode(coded) if text is None else text.encode()
            self._next = int(chunk["next"])


class ChunkEvents(_Chunks):
    """Events of JSON chunks."""

    accept = "text/event-stream"
    target = "/runs/{run}/log?format=json&offset={offset}"

    def keep(self, raw: bytes) -> bool:
        answer, browser = parse(raw), EventSource()
        assert answer.status in (0, 200), raw
        for event in browser.read(answer.body):
            if event.type == "message":
                self.add(json.loads(event.data)["chunks"])
        return browser.last_event_id.endswith(":end")


class Ndjson(_Chunks):
    """A JSON object a line."""

    accept = "application/x-ndjson"

    def keep(self, raw: bytes) -> bool:
        answer = parse(raw)
        assert answer.status in (0, 200), raw
        objects = [json.loads(line) for line in answer.body.split(b"\n")[:-1] if line]
        self.add([one for one in objects if "event" not in one])
        return any(one.get("event") == "exit" for one in objects)


class Poll(_Chunks):
    """Polls, each one reply: a cut one counts as none."""

    accept = "application/json"
    target = "/runs/{run}/log?max=5&wait=2&offset={offset}"

    def keep(self, raw: bytes) -> bool:
        answer = parse(raw)
        assert answer.status in (0, 200), raw
        if not answer.whole:
            return False
        reply = json.loads(answer.body)
        self.add(reply["chunks"])
        assert int(reply["next"]) == self._next
        return bool(reply["closed"])


class WebSocket(_Chunks):
    """Messages; a frame that is cut counts as none."""

    def connect(self) -> socket.socket:
        path = self.prefix + self.target.format(run=self.run_id, offset=self.offset)
        self.protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{self.port}{path}"))
        connection = socket.create_connection(("127.0.0.1", self.port), LONG)
        self.protocol.send_request(self.protocol.connect())
        connection.sendall(b"".join(self.protocol.data_to_send()))
        return connection

    def is_whole(self, raw: bytes) -> bool:
        return b'"event":"exit"' in raw[-65536:]

    def keep(self, raw: bytes) -> bool:
        self.protocol.receive_data(raw)
        over = False
        for event in self.protocol.events_received():
            if isinstance(event, Frame) and event.opcode == 1:
                message = json.loads(event.data)
                self.add(message.get("chunks", []))
                over = over or message.get("event") == "exit"
        return over


class Durable(CutReader):
    """A client of Durable Streams that catches up: what came of a part's bytes counts."""

    target = "/v1/stream/runs/{run}?offset={offset}"

    def keep(self, raw: bytes) -> bool:
        answer = parse(raw)
        assert answer.status in (0, 200, 204), raw
        self.data += answer.body
        return answer.whole and b"stream-closed: true" in answer.head


class DurablePoll(Durable):
    """A client of Durable Streams that waits for more by long-polls."""

    target = "/v1/stream/runs/{run}?offset={offset}&live=long-poll"


class DurableEvents(CutReader):
    """A client of Durable Streams by events: data counts when the control event behind it came."""

    accept = "text/event-stream"
    target = "/v1/stream/runs/{run}?offset={offset}&live=sse"

    def keep(self, raw: bytes) -> bool:
        answer, waiting, over = parse(raw), b"", False
        assert answer.status in (0, 200), raw
        for event in EventSource().read(answer.body):
            if event.type == "data":
                waiting += base64.b64decode(event.data)
            elif event.type == "control":
                control = json.loads(event.data)
                self.data, waiting = self.data + waiting, b""
                assert int(control["streamNextOffset"]) == len(self.data)
                over = over or bool(control.get("streamClosed"))
        return over


WSGI_READERS: list[type[CutReader]] = [
    *(Text, Events, ChunkEvents, Ndjson, Poll, Durable, DurablePoll, DurableEvents),
]
READERS: list[type[CutReader]] = [*WSGI_READERS, WebSocket]


def read_cut(readers: list[CutReader], seed: int, most: int = 6000, timeout: float = 3 * LONG) -> list[str]:
    """Have each reader read to the end, in a thread of its own; return what went wrong.

    Args:
        readers: who reads.
        seed: where the cuts are.
        most: bytes between two cuts.
        timeout: seconds until the last of them must have come to the end.
    """
    wrong: list[str] = []

    def work(number: int, reader: CutReader) -> None:
        chance = random.Random(seed * 100 + number)
        try:
            while not reader.visit(chance, most):
                pass
        except BaseException as error:
            wrong.append(f"{type(reader).__name__}: {error!r}")

    threads = [threading.Thread(target=work, args=one, daemon=True) for one in enumerate(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout)
        assert not thread.is_alive()
    return wrong

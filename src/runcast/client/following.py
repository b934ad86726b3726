"""Follow a log over a network that fails: as many connections as it takes, each byte once.

Owns the offset, the connection's health and how long the server may be silent. The log comes as
NDJSON. What a lost connection leaves of a line is kept as far as it makes sense, and the next one
goes on behind it (`Last-Event-ID`, so that the server reports bytes which were dropped meanwhile as
a gap). The server sends a heartbeat every 15 seconds: a connection that is silent for three times as
long is dead.
"""

from __future__ import annotations

import json
import random
import time
from base64 import b64decode
from collections.abc import Callable, Generator, Iterable
from datetime import datetime
from typing import Any, Generic, TypeVar

from runcast.client.actions import Action, NetworkError, Open, Query, Read, Response, Sleep, Steps
from runcast.client.server import Server
from runcast.errors import MirrorBehind, NotRuncast, ServerUnreachable
from runcast.model import Channel, Chunk
from runcast.offsets import format_offset

__all__ = ["DEAD_SECONDS", "Event", "Following", "parse_time", "rescue", "to_chunk"]

DEAD_SECONDS = 45.0
_KIND = "application/x-ndjson"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_ESCAPES = 13  # characters of the longest escape, two halves of a pair, and one
_SLACK = 10.0  # seconds that a requested tick may be late before the connection counts as dead

Event = dict[str, Any]
IDLE: Event = {"event": "idle"}
Value = TypeVar("Value")


class Following(Generic[Value]):
    """The events of one log from a place on, until its end.

    Attributes:
        done: set by `handle` when it needs no further events.

    Args:
        server: the server of the run.
        run_id: the run.
        handle: called with each event; returns the values that the steps give for it. A chunk is an
            event without a name. `idle` comes where nothing came for a while or a connection failed,
            `tick` where nothing came for `tick` seconds.
        query: parameters of the requests, but for the place.
        place: where to begin, as a parameter; nothing is the start.
        follow: whether to wait for more at the tail.
        tick: see `handle`.
        patience: seconds without a byte from the server after which to give up.
    """

    def __init__(
        self,
        server: Server,
        run_id: str,
        handle: Callable[[Event], Iterable[Value]],
        *,
        query: Query = (),
        place: Query = (),
        follow: bool = True,
        tick: float | None = None,
        patience: float,
    ) -> None:
        self.done = False
        self._server, self._run_id, self._handle, self._place = server, run_id, handle, place
        self._filtered = any(name == "channel" for name, _ in query)
        self._follow = follow
        self._tick = tick
        # Half of the patience: the other half is for connecting again.
        self._silence = min(DEAD_SECONDS, patience / 2, DEAD_SECONDS if tick is None else tick + _SLACK)
        self._query = (*query, ("format", "ndjson"))
        if not follow:
            self._query += (("follow", "0"),)
        elif tick is not None:
            self._query += (("interval", f"{max(tick, 0.001):.3f}"),)
        self._patience = patience
        self._offset: int | None = None  # behind the last byte that was handled; None before the first event
        self._heard = 0.0
        self._pause = _FIRST_PAUSE

    def steps(self) -> Steps[Value]:
        """Give what `handle` makes of the events.

        Raises:
            ServerUnreachable: it was silent for too long, or another attempt would fail as well.
            RuncastError: the server refuses.
        """
        self._heard = time.monotonic()
        while True:
            behind: MirrorBehind | None = None
            try:
                if (yield from self._connection()):
                    return
                failed = NetworkError("its replies end in the middle")
            except NetworkError as error:
                failed = error
            except ServerUnreachable as error:  # a proxy answers for it
                failed = NetworkError(str(error).rpartition(": ")[2])
            except MirrorBehind as error:  # one of several hosts, which knows less than the last one
                if self._offset is None:
                    raise
                failed, behind = NetworkError(str(error)), error
            left = self._heard + self._patience - time.monotonic()
            if failed.final:
                raise ServerUnreachable(f"cannot reach the server {self._server}: {failed}") from None
            if left <= 0 and behind is not None:
                raise behind
            if left <= 0:
                raise ServerUnreachable(
                    f"lost the server {self._server} for more than {self._patience:g} s: {failed}; "
                    f"run {self._run_id} goes on there"
                ) from None
            yield from self._handle(IDLE)
            if self.done:
                return
            pause = self._pause * random.uniform(0.5, 1.0)  # not all viewers at the same moment
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            yield Sleep(min(pause, left, self._tick or pause))

    def _connection(self) -> Generator[Value | Action, Any, bool]:
        """Handle the events of one connection; return whether there will be no more."""
        headers: dict[str, str] = {}
        place = self._place
        if self._offset is not None:
            place = ()
            headers["Last-Event-ID"] = f"{self._run_id}:{format_offset(self._offset)}"
        path = f"/runs/{self._run_id}/log"
        reply: Response = yield Open(path, (*self._query, *place), headers, self._silence)
        if reply.status != 200 or reply.kind != _KIND:
            raise self._server.error(reply, self._run_id)
        parts: list[bytes] = []  # of a line whose end has not come
        try:
            while data := (yield Read()):
                *lines, rest = data.split(b"\n")
                if lines:
                    lines[0] = b"".join([*parts, lines[0]])
                    parts.clear()
                    self._heard = time.monotonic()
                parts.append(rest)
                for line in lines:
                    event = self._event(line)
                    yield from self._handle(event)
                    if self.done or event.get("event") == "exit":
                        return True
        except NetworkError:
            if (rescued := rescue(b"".join(parts))) is not None:
                yield from self._handle(self._event(rescued))
            raise
        return not self._follow and not any(parts)

    def _event(self, line: bytes) -> Event:
        """Return a line as an event, and note how far we are."""
        if not line:
            self._pause = _FIRST_PAUSE
            return IDLE
        try:
            event: Event = json.loads(line)
            name = event.get("event")
            if name == "run":
                if self._offset is None:
                    self._offset = int(event["offset"])
                return event
            self._pause = event["retry"] / 1000 if name == "restart" else _FIRST_PAUSE
            if name == "remark":
                return {"event": "tick"}
            if "resize" in event:
                return event | {"event": "resize"}
            if name is None:
                self._advance(int(event["offset"]), int(event["next"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise NotRuncast(
                f"expected a log of the server {self._server}, got {line[:80]!r}: is it of the same version?"
            ) from None
        return event

    def _advance(self, offset: int, following: int) -> None:
        """Note a chunk. Lost or repeated bytes must not pass for output."""
        at = self._offset or 0
        if offset < at or following < offset or (offset > at and not self._filtered):
            raise NotRuncast(
                f"expected the log of run {self._run_id} from offset {at} on, got {offset} to {following}"
            )
        self._offset = following


def rescue(line: bytes) -> bytes | None:
    """Return a chunk's line that was cut off as a whole line of what came; None where that is nothing.

    A line may have 64 KiB: a network that fails more often than that would never get past it.
    """
    for mark in (b',"text":"', b',"base64":"'):
        head, found, content = line.partition(mark)
        if not found:
            continue
        for back in range(_ESCAPES):  # an escape may be cut in the middle, or between the two of a pair
            try:
                event: Event = json.loads(b'%b%b%b"}' % (head, mark, content[: len(content) - back]))
                if len(content) > back and (size := len(to_chunk(event).data)):
                    event["next"] = format_offset(int(event["offset"]) + size)
                    return json.dumps(event).encode()
            except (ValueError, KeyError, TypeError):
                continue
    return None


def to_chunk(event: Event) -> Chunk:
    """Return an event without a name as a chunk."""
    text = event.get("text")
    data = b64decode(event.get("base64", "")) if text is None else text.encode()
    try:
        channel = Channel(event["channel"])
    except ValueError:  # one that a later version invented: its bytes are bytes
        channel = Channel.UNKNOWN
    return Chunk(int(event["offset"]), int(event["next"]), channel, parse_time(event["time"]) or 0.0, data)


def parse_time(text: str | None) -> float | None:
    """Return a time in RFC 3339 as seconds since the epoch."""
    return None if text is None else datetime.fromisoformat(text).timestamp()

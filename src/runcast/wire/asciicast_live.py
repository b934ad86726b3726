"""Recordings while they are made: what the live drivers of asciinema-player read.

Events for its driver `eventsource`, and messages for its driver `websocket`, which offers the
subprotocol `v2.asciicast`. Both have the header of asciicast v2 and its events, one each, and say how
the run ended in three ways: by a marker, by `[time, "x", "CODE"]` and by the event `done`, or by the
code with which the WebSocket is closed.

The player takes whatever it gets for a header or an event, so nothing else may be in between: no
notices, no empty messages. A header resets its screen. A viewer that resumes gets none, and its times
go on: the ids of its events have the time that is zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runcast import utf8
from runcast.model import Channel, Chunk, Outcome, State
from runcast.wire.asciicast import Asciicast
from runcast.wire.jsons import compact, outcome_json
from runcast.wire.resume_point import event_id
from runcast.wire.sse import EVENT_BYTES, RETRY_MS, EventStream, event

__all__ = ["AsciicastEvents", "AsciicastMessages"]

_PIECE_BYTES = (EVENT_BYTES - 100) // 6  # of output: a control character is `\u001b`


class AsciicastMessages(Asciicast):
    """Encodes chunks as messages for a WebSocket, one event each; its pings are the keep-alive."""

    restarts_silently = True

    def exit(self, state: State, outcome: Outcome) -> bytes:
        """Return the outcome, as a marker, and the exit status."""
        return super().exit(state, outcome) + self._status(outcome)


class AsciicastEvents(Asciicast, EventStream):
    """Encodes chunks as unnamed events with ids."""

    def preamble(self, run: Mapping[str, object]) -> bytes:
        """Return the header; for a viewer that has it, the reconnection time and a terminal's size."""
        retry = b"retry: %d\n" % RETRY_MS
        if not self._resumed:
            return retry + super().preamble(run)
        columns, rows = run.get("columns"), run.get("rows")
        if isinstance(columns, int) and isinstance(rows, int):  # it may have changed just here
            return retry + b"\n" + self._of_kind(0.0, b"r", self._size(columns, rows))
        return retry + b"\n"

    def exit(self, state: State, outcome: Outcome) -> bytes:
        """Return the outcome as a marker, the exit status, and an event that ends the recording."""
        value = {"state": state.value, "outcome": outcome_json(outcome)}
        done = event(compact(value), name="done", id=event_id(self.run, None))
        return super().exit(state, outcome) + self._status(outcome) + done

    def until(self, value: Mapping[str, object]) -> bytes:
        """Return a marker, and behind a line that was found the event that ends the recording."""
        done = event(compact(value), name="done", id=event_id(self.run, None))
        return Asciicast.until(self, value) + (done if value["found"] else b"")

    def notice(self, text: str) -> bytes:
        """Return nothing: an unnamed event must be of the recording."""
        return b""

    def _pieces(self, chunk: Chunk) -> Iterator[Chunk]:
        if chunk.channel is Channel.GAP:
            yield chunk
            return
        start, size = 0, len(chunk.data)
        while start < size:
            end = min(start + _PIECE_BYTES, size)
            end = utf8.cut(chunk.data, end) if end < size else end
            at, data = chunk.offset + start, chunk.data[start:end]
            yield chunk._replace(offset=at, next=at + len(data), data=data)
            start = end

    def _framed(self, line: bytes) -> bytes:
        point = event_id(self.run, self.resume_point, round(self._began * 1e6))
        return b"data: %b\nid: %b\n\n" % (line, point.encode())

    def _size(self, columns: int, rows: int) -> bytes:
        return b'{"cols": %d, "rows": %d}' % (columns, rows)

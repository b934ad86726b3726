"""The reply to one poll: the output since an offset, as one JSON object.

    {"chunks": [...], "offset": "…", "next": "…", "state": "running", "outcome": null,
     "progress": null, "closed": false, "line": 1, "lines": 12, "count": 12, "next_url": "/runs/…"}

There is a `note` where the run has any, the newest. Where it has a terminal there are also the `columns` and
`rows` that it has at `offset`, and in `resizes` the changes before `next`.

A client continues with `?offset=<next>`. `closed` is true when `next` is the tail of a closed log:
the client is done. Chunks are those of every JSON form, except that a chunk of channel data has
`values`, the JSON values of its lines, instead of `text`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat

from runcast.model import Channel, Chunk, Note, Outcome, Reading, State, TerminalSize, Waiting
from runcast.wire.chunks import Carry, chunk_head, chunk_json
from runcast.wire.jsons import compact, note_json, outcome_json, size_json

__all__ = ["POLL_BYTES", "poll_reply", "sendable"]

POLL_BYTES = 1024 * 1024  # of output in one reply
_VALUE_BYTES = POLL_BYTES // 2  # a longer value is sent as text, since it may not fit a reply


def sendable(reading: Reading, *, max: int | None = None, final: bool = False) -> Reading:
    """Return the part of a reading that can be sent now, with `next` moved back accordingly.

    An incomplete character or value of channel data is left for the next poll. Where no chunk
    remains and `next` is where the reading began, there is nothing to send yet: keep waiting.

    Args:
        reading: the result of `Log.read`.
        max: the maximum number of items. An item is a line, or a value of channel data.
        final: the log is closed and the reading reaches its tail: leave nothing.
    """
    chunks, end = _whole_values(reading.chunks), reading.next
    if not final and chunks and chunks[-1].channel is Channel.DATA:
        last = chunks[-1]
        size = last.data.rfind(b"\n") + 1
        if size or len(last.data) < _VALUE_BYTES:
            chunks[-1:] = [_head(last, size)] if size else []
            end = last.offset + size
    carry = Carry()
    chunks = carry.feed(chunks, final=final)
    if carry.held is not None:
        end = carry.held.offset
    if max is None:
        return Reading(chunks, end)
    return _first(chunks, end, max)


def _whole_values(chunks: Iterable[Chunk]) -> list[Chunk]:
    """Join chunks of channel data where a value is cut: a long one spans several of them."""
    whole: list[Chunk] = []
    for chunk in chunks:
        last = whole[-1] if whole else None
        touch = last and last.channel is chunk.channel is Channel.DATA and last.next == chunk.offset
        if last and touch and not last.data.endswith(b"\n"):
            whole[-1] = last._replace(next=chunk.next, data=last.data + chunk.data)
        else:
            whole.append(chunk)
    return whole


def _first(chunks: list[Chunk], end: int, max: int) -> Reading:
    """Return the first `max` items."""
    kept: list[Chunk] = []
    for chunk in chunks:
        size = _items_end(chunk, max)
        if size < len(chunk.data):
            return Reading([*kept, _head(chunk, size)], chunk.offset + size)
        kept.append(chunk)
        max -= chunk.data.count(b"\n") + (not chunk.data.endswith(b"\n"))
        if max <= 0:
            return Reading(kept, end if chunk is chunks[-1] else chunk.next)
    return Reading(kept, end)


def poll_reply(
    reading: Reading,
    offset: int,
    *,
    state: State,
    outcome: Outcome | None,
    progress: Mapping[str, object] | None,
    note: Note | None = None,
    waiting: Waiting | None = None,
    closed: bool,
    lines: int,
    line: int = 1,
    count: int = 0,
    next_url: str | None = None,
    sizes: Sequence[TerminalSize] = (),
    chunk_lines: Sequence[int] = (),
    until: Mapping[str, object] | None = None,
) -> bytes:
    """Return the body of the reply.

    Args:
        reading: the result of `sendable`.
        offset: where the reading began.
        state: of the run.
        outcome: of the run, once it has ended.
        progress: the latest, if there is any.
        note: the newest, if there is any.
        waiting: what the run may be waiting for, if it is.
        closed: the log is closed and the reading reaches its tail.
        lines: how many lines the log has so far.
        line: the number of the line that `offset` is in, counted from 1.
        count: how many of them, without those of stderr, lie before `next`: the values of a generator.
        next_url: the URL of the next poll; None where there is nothing more to come.
        sizes: of the run's terminal at `offset`, and the changes behind it; empty where it has none.
        chunk_lines: the number of the line that each chunk begins in, where chunks between them are left out.
        until: the line that polls are to end with, or that there is none, see `Encoder.until`.
    """
    beside = compact(
        {
            "state": state.value,
            "outcome": outcome_json(outcome),
            "progress": progress,
            "waiting": waiting and waiting.to_json(),
            "closed": closed,
            "line": line,
            "lines": lines,
            "count": count,
            "next_url": next_url,
            **({} if note is None else {"note": note_json(note)}),
            **_terminal(sizes),
            **({} if until is None else {"until": until}),
        }
    )
    chunks = b",".join(map(_poll_chunk, reading.chunks, chunk_lines or repeat(None)))
    return b'{"chunks":[%b],"offset":"%020d","next":"%020d",%b' % (chunks, offset, reading.next, beside[1:])


def _terminal(sizes: Sequence[TerminalSize]) -> dict[str, object]:
    if not sizes:
        return {}
    first, *changes = sizes
    return {"columns": first.columns, "rows": first.rows, "resizes": [size_json(size) for size in changes]}


def _poll_chunk(chunk: Chunk, line: int | None) -> bytes:
    values = _values(chunk.data) if chunk.channel is Channel.DATA else None
    value = chunk_json(chunk) if values is None else b'%b,"values":%b}' % (chunk_head(chunk), values)
    return value if line is None else b'%b,"line":%d}' % (value[:-1], line)


def _values(data: bytes) -> bytes | None:
    """Return the lines of channel data as a JSON array; None where one of them is not JSON."""
    try:
        values = [_DECODER.decode(line.decode()) for line in data.removesuffix(b"\n").split(b"\n")]
        return json.dumps(values, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is out of range")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_number)


def _head(chunk: Chunk, size: int) -> Chunk:
    return chunk._replace(next=chunk.offset + size, data=chunk.data[:size])


def _items_end(chunk: Chunk, max: int) -> int:
    """Return how many bytes of a chunk hold its first `max` items."""
    at = 0
    for _ in range(max):
        at = chunk.data.find(b"\n", at) + 1
        if not at:
            return len(chunk.data)
    return at

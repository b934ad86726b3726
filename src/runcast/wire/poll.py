"""The answer to one poll: what came since an offset, as one JSON object.

    {"chunks": [...], "offset": "…", "next": "…", "state": "running", "outcome": null,
     "progress": null, "closed": false, "lines": 12, "count": 12, "next_url": "/runs/…"}

Coming again with `?offset=<next>` is all a client has to do. `closed` is true when `next` is the
tail of a closed log: there is nothing to come for. Chunks are those of every JSON form, but that
a chunk of channel data has `values`, the JSON values of its lines, instead of `text`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping

from runcast.model import Channel, Chunk, Outcome, Reading, State
from runcast.wire.chunks import Carry, chunk_head, chunk_json
from runcast.wire.jsons import compact, outcome_json

__all__ = ["POLL_BYTES", "poll_reply", "settle"]

POLL_BYTES = 1024 * 1024  # of output in one reply
_VALUE_BYTES = POLL_BYTES // 2  # a value that goes on for longer is said as text, for it may not fit a reply


def settle(reading: Reading, *, max: int | None = None, final: bool = False) -> Reading:
    """Return what of a reading can be said now; `next` moves back to what cannot.

    A character or a value of channel data that its end cuts is left for the next poll. Where no
    chunk remains and `next` is where the reading began, there is nothing to say yet: wait on.

    Args:
        reading: what the log gave.
        max: at most so many items. A line is one, a value of channel data is one.
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
    """Put chunks of channel data together where a value is cut: a long one is in several of them."""
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
    closed: bool,
    lines: int,
    count: int = 0,
    next_url: str | None = None,
) -> bytes:
    """Return the body of the reply.

    Args:
        reading: what `settle` left.
        offset: where the reading began.
        state: of the run.
        outcome: how it ended, if it has.
        progress: the latest, if there is any.
        closed: the log is closed and the reading reaches its tail.
        lines: how many lines the log has so far.
        count: how many of them, values of a generator maybe, lie before `next`.
        next_url: where to ask for what comes then; None where nothing will.
    """
    beside = compact(
        {
            "state": state.value,
            "outcome": outcome_json(outcome),
            "progress": progress,
            "closed": closed,
            "lines": lines,
            "count": count,
            "next_url": next_url,
        }
    )
    chunks = b",".join(map(_poll_chunk, reading.chunks))
    return b'{"chunks":[%b],"offset":"%020d","next":"%020d",%b' % (chunks, offset, reading.next, beside[1:])


def _poll_chunk(chunk: Chunk) -> bytes:
    values = _values(chunk.data) if chunk.channel is Channel.DATA else None
    return chunk_json(chunk) if values is None else b'%b,"values":%b}' % (chunk_head(chunk), values)


def _values(data: bytes) -> bytes | None:
    """Return the lines of channel data as a JSON array; None where one of them is no JSON."""
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

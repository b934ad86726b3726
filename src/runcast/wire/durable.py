"""Durable Streams: the parameters of a request, parsed from its headers and its query.

The protocol: github.com/durable-streams/durable-streams. Values in, values out. Parsing is strict:
a lenient number in a header that guards against duplicates would let one through.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from runcast.errors import BadOffset, OffsetBeyondTail, UsageError
from runcast.offsets import format_offset, parse_offset

__all__ = [
    "JSON",
    "OCTETS",
    "Appending",
    "Creation",
    "Producer",
    "ReadParams",
    "format_offset",
    "media_type",
    "numbered",
    "parse_appending",
    "parse_creation",
    "parse_position",
    "parse_reading",
    "parse_seconds",
]

JSON, OCTETS = "application/json", "application/octet-stream"
LIVE = ("long-poll", "sse")
_ID_LETTERS = 256  # of a producer id: all are kept for the lifetime of the stream
_SEQ_LETTERS = 1024
_MOST = 2**53 - 1  # the largest number that JavaScript counts exactly
_NUMBER = re.compile(r"[0-9]{1,16}")
_SECONDS = re.compile(r"0|[1-9][0-9]{0,11}")
# Offsets of other servers of this protocol have two parts; the first is 0 where nothing was compacted.
_TWO_PARTS = re.compile(r"([0-9]{1,20})_([0-9]{1,20})")
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+\s*(;.*)?", re.ASCII)

Header = Callable[[str], str | None]
"""Returns a header by its lower-case name, None where the request has none."""


class Producer(NamedTuple):
    """The sender of an append, for deduplication: its id, its epoch, its request number in that epoch."""

    id: str
    epoch: int
    seq: int


class Appending(NamedTuple):
    """The parameters of a POST.

    Attributes:
        content_type: verbatim; None where the request has none.
        producer: the sender, for an append exactly once.
        seq: `Stream-Seq`: greater than that of every append before it.
        close: this append is the last.
    """

    content_type: str | None = None
    producer: Producer | None = None
    seq: str | None = None
    close: bool = False


class Creation(NamedTuple):
    """The parameters of a PUT.

    Attributes:
        content_type: None for the default, or the type of the stream that is forked.
        ttl: seconds without a read or an append after which the stream is deleted.
        expires_at: when it is deleted, RFC 3339, verbatim.
        closed: the stream is complete.
        forked_from: path of the stream whose beginning it shares.
        fork_offset: where the fork begins in that stream, verbatim; None for its tail.
        sub_offset: how many bytes, or messages, behind `fork_offset`.
    """

    content_type: str | None = None
    ttl: int | None = None
    expires_at: str | None = None
    closed: bool = False
    forked_from: str | None = None
    fork_offset: str | None = None
    sub_offset: int = 0


class ReadParams(NamedTuple):
    """The parameters of a GET: the offset, `live` as "long-poll", "sse" or None, and the cursor."""

    offset: str | None = None
    live: str | None = None
    cursor: str | None = None


@functools.lru_cache(64)
def media_type(content_type: str | None) -> str:
    """Return a content type without its parameters, in lower case; an invalid one counts as octets."""
    text = (content_type or "").strip()
    if not _MEDIA_TYPE.fullmatch(text):
        return OCTETS
    return text.partition(";")[0].strip().lower()


def parse_seconds(expires_at: str) -> float:
    """Return a time in RFC 3339 as seconds since the epoch.

    Raises:
        UsageError: it is not a time, or has no zone.
    """
    try:
        time = datetime.fromisoformat(expires_at.strip())
        if time.tzinfo is None or "T" not in expires_at.upper():
            raise ValueError
        return time.timestamp()
    except (ValueError, OverflowError):
        raise UsageError(
            "expected Stream-Expires-At as a time with its zone (2026-01-31T12:00:00Z), "
            f"got {expires_at[:80]!r}"
        ) from None


def parse_creation(header: Header) -> Creation:
    """Parse the headers of a PUT.

    Raises:
        UsageError: one of them is invalid.
    """
    content_type, ttl, expires_at = header("content-type"), header("stream-ttl"), header("stream-expires-at")
    forked_from, sub = header("stream-forked-from"), header("stream-fork-sub-offset")
    if ttl is not None and expires_at is not None:
        raise UsageError("expected Stream-TTL or Stream-Expires-At, got both: choose one of them")
    if ttl is not None and not _SECONDS.fullmatch(ttl):
        raise UsageError(
            f"expected Stream-TTL as whole seconds, without sign or zeros before, got {ttl[:40]!r}"
        )
    if expires_at is not None:
        parse_seconds(expires_at)
    if sub is not None and forked_from is None:
        raise UsageError("expected Stream-Forked-From beside Stream-Fork-Sub-Offset, got none")
    if sub is not None and not _SECONDS.fullmatch(sub):
        raise UsageError(f"expected Stream-Fork-Sub-Offset as a number, no zeros before, got {sub[:40]!r}")
    if content_type is not None and not _MEDIA_TYPE.fullmatch(content_type.strip()):
        content_type = None
    return Creation(
        content_type,
        None if ttl is None else int(ttl),
        expires_at,
        _closed(header),
        forked_from,
        header("stream-fork-offset"),
        int(sub or 0),
    )


def parse_appending(header: Header) -> Appending:
    """Parse the headers of a POST.

    Raises:
        UsageError: one of them is invalid, or some of a producer's are missing.
    """
    seq = header("stream-seq")
    if seq is not None and len(seq) > _SEQ_LETTERS:
        raise UsageError(f"expected Stream-Seq of at most {_SEQ_LETTERS} letters, got {len(seq)}")
    return Appending(header("content-type"), _producer(header), seq, _closed(header))


def numbered(params: Appending, number: str | None) -> Appending | None:
    """Return the parameters of a request that differs in `Producer-Seq` only; None if that is invalid."""
    known = params.producer
    if number is None or known is None:
        return params if number is None and known is None else None
    if not _NUMBER.fullmatch(number) or int(number) > _MOST:
        return None
    producer = Producer(known.id, known.epoch, int(number))
    return Appending(params.content_type, producer, params.seq, params.close)


def _closed(header: Header) -> bool:
    return (header("stream-closed") or "").strip().lower() == "true"


def _producer(header: Header) -> Producer | None:
    names = ("producer-id", "producer-epoch", "producer-seq")
    given = [header(name) for name in names]
    if all(value is None for value in given):
        return None
    for name, value in zip(names, given, strict=True):
        if value is None:
            raise UsageError(f"expected Producer-Id, Producer-Epoch and Producer-Seq together, got no {name}")
    producer_id, *numbers = [value or "" for value in given]
    if not producer_id or len(producer_id) > _ID_LETTERS:
        raise UsageError(f"expected Producer-Id of 1 to {_ID_LETTERS} letters, got {len(producer_id)}")
    for name, number in zip(names[1:], numbers, strict=True):
        if not _NUMBER.fullmatch(number) or int(number) > _MOST:
            raise UsageError(f"expected {name} as a number from 0 to {_MOST}, got {number[:40]!r}")
    return Producer(producer_id, int(numbers[0]), int(numbers[1]))


def parse_reading(parameters: Sequence[tuple[str, str]]) -> ReadParams:
    """Parse the query of a GET; unknown parameters are ignored.

    Raises:
        UsageError: a parameter is invalid or repeated, or `offset` is missing where it is required.
    """
    names = [name for name, _ in parameters]
    for name in ReadParams._fields:  # of two, a cache could take the one and we the other
        if (count := names.count(name)) > 1:
            raise UsageError(f"expected one {name}, got {count}")
    params = dict(parameters)
    offset, live = params.get("offset"), params.get("live")
    if live is not None and live not in LIVE:
        raise UsageError(f"expected live to be one of {', '.join(LIVE)}, got {live[:40]!r}")
    if live is not None and offset is None:
        raise UsageError(f"expected an offset with live={live}: -1 is the start, `now` the tail")
    return ReadParams(offset, live, params.get("cursor"))


def parse_position(text: str, tail: int) -> int:
    """Parse an offset; see `parse_offset`. The form in two parts is accepted, too.

    Raises:
        BadOffset: it is not an offset.
        OffsetBeyondTail: it lies past the tail.
    """
    if parts := _TWO_PARTS.fullmatch(text):
        if int(parts[1]):
            raise OffsetBeyondTail(int(parts[2]), tail)
        text = parts[2]
    if not text:
        raise BadOffset("expected an offset (decimal digits, -1 or `now`), got an empty one")
    return parse_offset(text, tail)

"""The search of a whole log, within limits.

Owns where it begins, when it ends early, and where the next one goes on. A search covers what the log has
when it begins. Must not know who searches, or how hits are sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from runcast.log import Log
from runcast.log.stretches import stretches
from runcast.model import Channel
from runcast.search.expression import Expression
from runcast.search.lines import Hit, Search

__all__ = ["End", "Found", "Limits", "search_log"]

_READ_BYTES = 256 * 1024  # what a processor keeps near


class Limits(NamedTuple):
    """Where a search begins, and how much it finds at most.

    Attributes:
        line: the line to begin at, counted from 1.
        hits: how many hits at most.
        text_bytes: of the lines that are found, all together.
    """

    line: int = 1
    hits: int = 1000
    text_bytes: int = 16 * 1024 * 1024


class Found(NamedTuple):
    """What was found in a block, maybe nothing, and the offset up to which the log was searched."""

    hits: list[Hit]
    offset: int


class End(NamedTuple):
    """How a search ended.

    Attributes:
        matches: the number of its hits.
        next: the line at which another search would go on.
        stopped: `max` where it ended before the log did, because it had found so much; else None.
    """

    matches: int
    next: int
    stopped: str | None


def search_log(
    log: Log, expression: Expression, limits: Limits, channels: Collection[Channel] | None = None
) -> Iterator[Found | End]:
    """Yield what is found in each block that is read, and last the end.

    Raises:
        UsageError: a limit is below 1.
    """
    offset, tail = log.offset_of_line(limits.line), log.tail_offset
    search = Search(expression, log.lines_before)
    found = size = 0
    for stretch in stretches(log, offset, tail, _READ_BYTES, channels):
        hits: list[Hit] = []
        for hit in search.feed(stretch.chunk, stretch.time):
            hits.append(hit)
            size += len(hit.data)
            if found + len(hits) >= limits.hits or size >= limits.text_bytes:
                yield Found(hits, hit.offset)
                yield End(found + len(hits), hit.line + 1, "max")
                return
        found += len(hits)
        yield Found(hits, stretch.chunk.next)
    hits = list(search.flush())[: limits.hits - found]
    yield Found(hits, tail)
    yield End(found + len(hits), log.lines_before(tail) + 1, None)

"""The search of many logs, one after the other, within limits.

Owns where it ends early, and where another one goes on: at a run, and a line of it. A log that cannot be
read, or that was removed, is passed over. Must not know who may read what: it is given what it may.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

from runcast.errors import RuncastError
from runcast.log import Log
from runcast.model import Channel
from runcast.search.expression import Expression
from runcast.search.whole import End, Limits, search_log

__all__ = ["Bounds", "SearchOfRuns"]

_HIT_CHARACTERS = 1024  # of a line: there may be many runs


class Bounds(NamedTuple):
    """Where a search of runs begins, and how much it finds at most.

    Attributes:
        line: of the first run, counted from 1.
        hits: all together.
        each: of one run.
        log_bytes: of logs; one that was begun is searched to its end.
        older: the run that would be searched next, behind all that are given; None if there is none.
    """

    line: int = 1
    hits: int = 200
    each: int = 10
    log_bytes: int = 2 * 1024 * 1024 * 1024
    older: str | None = None


class SearchOfRuns:
    """Searches the logs of several runs.

    Args:
        runs: their ids, in the order in which they are searched.
        expression: what for.
        open_log: returns the log of a run.
        name_of: returns the name of a run.
        bounds: where to begin, and how much to find.
        channels: only these; None for all.
    """

    def __init__(
        self,
        runs: Sequence[str],
        expression: Expression,
        open_log: Callable[[str], Log],
        name_of: Callable[[str], str],
        bounds: Bounds,
        channels: Collection[Channel] | None = None,
    ) -> None:
        self._runs, self._expression = runs, expression
        self._open_log, self._name_of = open_log, name_of
        self._bounds, self._channels = bounds, channels
        self._line = bounds.line
        self._number = 0  # of the run that is being searched
        self._found = self._unreadable = 0

    def search(self) -> Iterator[list[dict[str, Any]]]:
        """Yield hits as JSON values, as they are found, and last the end."""
        searched = 0
        while self._number < len(self._runs):
            if self._found >= self._bounds.hits or searched >= self._bounds.log_bytes:
                yield [self.end("max" if self._found >= self._bounds.hits else "bytes")]
                return
            run = self._runs[self._number]
            try:
                log = self._open_log(run)
                try:
                    searched += log.tail_offset
                    yield from self._in(run, log)
                finally:
                    log.close()
            except (RuncastError, OSError):
                self._unreadable += 1
            self._number, self._line = self._number + 1, 1
        yield [self.end(None)]

    def _in(self, run: str, log: Log) -> Iterator[list[dict[str, Any]]]:
        most = min(self._bounds.each, self._bounds.hits - self._found)
        about: dict[str, Any] | None = None
        for item in search_log(log, self._expression, Limits(self._line, most), self._channels):
            if isinstance(item, End):
                if item.stopped is not None and about is not None:
                    yield [about | {"more": item.next}]
            elif item.hits:
                about = about or {"run": run, "name": self._name_of(run)}
                self._found += len(item.hits)
                self._line = item.hits[-1].line + 1
                yield [about | hit.to_json(_HIT_CHARACTERS) for hit in item.hits]

    def end(self, stopped: str | None) -> dict[str, Any]:
        """Return the last object: how many there were, and where another search would go on."""
        at: dict[str, Any] | None = None
        if self._number < len(self._runs):
            at = {"at": self._runs[self._number], "from": self._line}
        elif self._bounds.older is not None:
            at, stopped = {"at": self._bounds.older, "from": 1}, stopped or "runs"
        return {
            "done": True,
            "matches": self._found,
            "runs": self._number,
            "unreadable": self._unreadable,
            "next": at,
            "stopped": stopped,
        }

"""The list of runs: which rows a request gets, in what order, and how far one request looks for them.

Owns the parameters of the list, and the rows that a live list shows. A list reads the folders of what it
shows and, for a filter, of what it passes over until its time is up: then it says where it stopped, and
another request goes on from there. Must not know routes, or who may see a list.
"""

from __future__ import annotations

import contextlib
import heapq
import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from runcast.durable.stream_run import newest_first
from runcast.errors import RuncastError, RunNotFound, StreamNotFound, UsageError
from runcast.escapes.last_line import TAIL_BYTES, last_text
from runcast.model import Channel
from runcast.run import Run
from runcast.run.base import files_of
from runcast.store.files import StoreFiles
from runcast.store.sharing import link_json
from runcast.web.api.access import Access
from runcast.web.api.filters import Known, Wanted, not_newer, parse_filters
from runcast.web.http.messages import Reply, Request, json_reply

__all__ = ["Front", "Listing", "beside_in_json", "last_line_of"]

_DEFAULT, _MOST = 50, 1000
_NUMBER = re.compile(r"[0-9]{1,9}")
_SECONDS = 2.0  # in which one request looks for runs that pass its filters
_LEAST = 200  # of all runs that it looks at for them, though it had to wait for the processor or the disk
_RECENT = 1000  # newest runs among which those are looked for that go on
_GOING = 100  # of them at most
_ENDED_SECONDS = 0.05  # in which one request learns which of these have ended
_LOOKED = 16  # of these that each request looks at, though it had to wait for the processor or the disk


class Front(NamedTuple):
    """What a list without filters begins with.

    Attributes:
        newest: runs and streams, newest first; one run more than was wanted where there are more.
        older: runs behind those that go on still, as far as is known.
    """

    newest: Iterator[Run]
    older: Iterator[Run]


class Listing:
    """The lists of one store.

    Args:
        access: whose runs and streams.
        to_json: returns a run as JSON, with its links.
    """

    def __init__(self, access: Access, to_json: Callable[[Run, Request], dict[str, Any]]) -> None:
        self._access = access
        self._to_json = to_json
        self._files = StoreFiles(access.store.path)
        self._known: Final = Known()

    def reply(self, request: Request) -> Reply:
        """Return the runs that a request wants, as JSON.

        Raises:
            UsageError: a parameter is invalid.
        """
        params = dict(request.parameters)
        limit = _limit(params.get("limit", str(_DEFAULT)))
        wanted = parse_filters(params)
        before, after = params.get("before"), params.get("after")
        if before is not None and after is not None:
            raise UsageError("expected before or after, the list of one direction, got both")
        going: list[dict[str, Any]] | None = None
        if wanted or before is not None or after is not None:
            ids = None if wanted else limit + 1
            before = before or not_newer({**params, "at": ""}, self._access.store.path)
            runs = self.newest(ids, before, wanted) if after is None else self._next(ids, after, wanted)
            listed = self._rows(request, runs, limit, wanted)
        else:
            front = self.front(limit)
            listed = self._rows(request, front.newest, limit, wanted)
            rows = (self.row(run, request) for run in front.older)
            going = [row for row in rows if row is not None]
        if after is not None:
            listed["runs"].reverse()
        if (link := link_json(self._access.store.path)) is not None:
            listed["link"] = link
        return json_reply(listed if going is None else listed | {"going": going})

    def _rows(self, request: Request, runs: Iterator[Run], limit: int, wanted: Wanted) -> dict[str, Any]:
        """Return up to `limit` rows, and where a list that had more, or no more time, would go on."""
        rows: list[dict[str, Any]] = []
        stopped = last = None
        seen = 0
        deadline = time.monotonic() + _SECONDS
        for run in runs:
            if len(rows) == limit:
                stopped = "max"
                break
            if wanted and seen >= _LEAST and time.monotonic() > deadline:
                stopped = "time"
                break
            last, seen = run.id, seen + 1
            with contextlib.suppress(RunNotFound, StreamNotFound):  # it was removed meanwhile
                if (row := self.row(run, request, wanted)) is not None:
                    rows.append(row | beside_in_json(run))
        else:
            if seen > limit and not wanted:  # some were removed while they were read
                stopped = "max"
        return {"runs": rows, "next": last if stopped else None, "stopped": stopped}

    def newest(
        self, limit: int | None, before: str | None = None, wanted: Wanted | None = None
    ) -> Iterator[Run]:
        """Yield runs and streams, newest first, but for runs that are known not to be as wanted.

        Args:
            limit: how many runs at most; streams come on top.
            before: only what is older than this id.
            wanted: the filters. What is yielded need not pass them, see `passes`.
        """
        wanted = wanted or {}
        ids = self._access.store.ids(limit, before)
        if wanted and before is None:
            self._known.make_room(ids)
        runs = (self._run(run_id) for run_id in ids if not self._known.excludes(run_id, wanted))
        streams = self._access.streams
        return runs if streams is None else newest_first(runs, streams.list(before))

    def _next(self, limit: int | None, after: str, wanted: Wanted) -> Iterator[Run]:
        """Yield what is newer than an id, the nearest first."""
        newer = (run_id for run_id in self._files.ids() if run_id > after)
        ids = sorted(newer) if limit is None else heapq.nsmallest(limit, newer)
        runs = (self._run(run_id) for run_id in ids if not self._known.excludes(run_id, wanted))
        streams = self._access.streams
        newest = [] if streams is None else [stream for stream in streams.list() if stream.id > after]
        return heapq.merge(runs, reversed(newest), key=lambda run: run.id)

    def front(self, limit: int) -> Front:
        """Return so many of the newest runs, and older ones that go on."""
        ids = self._access.store.ids(max(_RECENT, limit + 1))
        runs = (self._run(run_id) for run_id in ids[: limit + 1])
        streams = self._access.streams
        newest = runs if streams is None else newest_first(runs, streams.list())
        return Front(newest, islice(self._going(ids[limit:]), _GOING))

    def _going(self, ids: Sequence[str]) -> Iterator[Run]:
        """Yield those that go on, as far as that is known when the time for it is up."""
        spent = 0.0
        for looked, run in enumerate(map(self._run, self._known.may_go_on(ids))):
            if looked >= _LOOKED and spent > _ENDED_SECONDS:
                return
            began = time.monotonic()
            going = False
            with contextlib.suppress(OSError, RuncastError):
                going = self._known.goes_on(run)
            spent += time.monotonic() - began
            if going:
                yield run

    def _run(self, run_id: str) -> Run:
        return Run(self._files.run(run_id).path)

    def passes(self, run: Run, wanted: Wanted) -> bool:
        """Return whether a run is as wanted.

        Raises:
            RunNotFound, OSError: it was removed; it cannot be read.
        """
        return self._known.passes(run, wanted)

    def row(self, run: Run, request: Request, wanted: Wanted | None = None) -> dict[str, Any] | None:
        """Return a run as JSON; None if it is not as wanted, or is removed by now."""
        try:
            if self._known.passes(run, wanted or {}):
                value = self._to_json(run, request)
                del value["artifacts"], value["left_out"]  # a thousand of each would be a long list
                return value | {"notes": value["notes"][-1:]}
        except (OSError, RunNotFound, StreamNotFound):
            if files_of(run).exists:
                raise
        return None


def _limit(text: str) -> int:
    if not _NUMBER.fullmatch(text) or not 0 < int(text) <= _MOST:
        raise UsageError(f"expected limit as a number from 1 to {_MOST}, got {text[:40]!r}")
    return int(text)


def last_line_of(run: Run) -> str:
    """Return the last line of a run's output that has text, as one would see it; empty if none has."""
    with contextlib.suppress(OSError, RuncastError), contextlib.closing(run.log()) as log:
        chunks = log.read(max(0, log.tail_offset - 2 * TAIL_BYTES), 2 * TAIL_BYTES).chunks
        last: dict[Channel, bytes] = {}
        for chunk in chunks:
            last[chunk.channel] = last.pop(chunk.channel, b"") + chunk.data  # the one used last comes last
        return next(filter(None, (last_text(data) for data in reversed(last.values()))), "")
    return ""


def beside_in_json(run: Run) -> dict[str, object]:
    """Return what a reply to GET has of a run beside its JSON: its disk, a hint, its usage so far.

    Raises:
        RunNotFound, StreamNotFound: it was removed.
    """
    found: dict[str, object] = {"disk_bytes": run.disk_bytes}
    with contextlib.suppress(OSError):
        if (hint := run.hint) is not None:
            found["hint"] = hint
    if run.outcome is None and (usage := run.usage) is not None:
        found["used_so_far"] = usage.to_json()
    return found

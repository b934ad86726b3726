"""`GET /runs/{id}/search` and `GET /runs/-/search`: the lines of a run's log, or of many, that match.

Owns the parameters. Errors in them are reported before the first byte, as problem+json.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from runcast.durable.stream_run import StreamRun
from runcast.errors import UsageError
from runcast.run import Run
from runcast.run.base import files_of
from runcast.search import Expression
from runcast.web.api.log_reply import problem_reply
from runcast.web.api.refusals import TooManySearches
from runcast.web.http.messages import Reply, Request
from runcast.web.live.search_stream import MOST_WAITING, SearchStream, waiting
from runcast.wire.query import Query, parse_count, parse_flag

__all__ = ["MOST_HITS", "search_reply", "search_runs_reply"]

MOST_HITS: Final = 100_000
_HITS = 1000
_HITS_OF_RUNS, _EACH = 200, 10
_SECONDS = 10.0
_NDJSON = "application/x-ndjson"


def search_reply(run: Run, request: Request) -> Reply:
    """Return the lines of a run that match, as they are found.

    Raises:
        UsageError: a parameter is missing or invalid.
    """
    if isinstance(run, StreamRun):
        raise UsageError(f"expected a run to search, {run.id} is a stream: search what its log gives")
    query, line = _expression(request)
    query |= {"path": files_of(run).path, "line": line, "max": _most(request, "max", _HITS, MOST_HITS)}
    _ = run.tail_offset  # a log that cannot be read is an error before the first byte
    return _reply(query, request)


def search_runs_reply(store: str, runs: Sequence[str], older: str | None, request: Request) -> Reply:
    """Return the lines of many runs that match, as they are found.

    Args:
        store: the path of the store.
        runs: ids of those that the client may read, in the order in which they are searched.
        older: the run behind them, where another search would go on.
        request: the request.

    Raises:
        UsageError: a parameter is missing or invalid.
    """
    query, line = _expression(request)
    hits, each = _most(request, "max", _HITS_OF_RUNS, MOST_HITS), _most(request, "each", _EACH, MOST_HITS)
    bounds = {"line": line, "hits": hits, "each": each, "older": older}
    return _reply(query | {"store": store, "runs": runs, "bounds": bounds}, request)


def _expression(request: Request) -> tuple[dict[str, Any], int]:
    """Return what to search for, and the line to begin at."""
    given = dict(request.parameters)
    if "q" not in given:
        raise UsageError("expected q, what to search for, as in ?q=error")
    regex, ignore_case = parse_flag(given, "regex"), not parse_flag(given, "case", default=True)
    Expression(given["q"], regex=regex, ignore_case=ignore_case)
    channels = sorted(Query.parse(request.parameters).channels or ())
    query = {"q": given["q"], "regex": regex, "ignore_case": ignore_case, "channels": channels}
    return query, parse_count(given, "from", 1) or 1


def _most(request: Request, name: str, usual: int, most: int) -> int:
    count = parse_count(dict(request.parameters), name, 1) or usual
    if count > most:
        raise UsageError(f"expected {name} to be at most {most}, got {count}")
    return count


def _reply(query: dict[str, Any], request: Request) -> Reply:
    if waiting() >= MOST_WAITING:
        busy = TooManySearches(f"expected at most {MOST_WAITING} searches to wait, as many do: try again")
        return problem_reply(busy).adding((("Retry-After", "1"),))
    events = "text/event-stream" in (request.header("accept") or "")
    kind = "text/event-stream" if events else _NDJSON
    fields = [("Content-Type", kind), ("Cache-Control", "no-store"), ("X-Accel-Buffering", "no")]
    return Reply(200, fields, stream=SearchStream(query | {"seconds": _SECONDS}, events=events))

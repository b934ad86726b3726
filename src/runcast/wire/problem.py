"""Errors as `application/problem+json` (RFC 9457).

A reply may reach people who know one run and nothing else of the machine. So what a message says
about other runs and about folders stays here: a 404 names neither the store nor the ids that look
alike, for an id is all that one needs to read a run; and a failure of ours (5xx) says only that
it is one.
"""

from __future__ import annotations

from http import HTTPStatus

from runcast.errors import (
    NotAcceptable,
    OffsetBeyondTail,
    OffsetGone,
    RuncastError,
    RunElsewhere,
    RunNotFound,
    StoreUnwritable,
    StreamFull,
    WaitTimeout,
)
from runcast.model import format_offset
from runcast.wire.jsons import compact

__all__ = ["PROBLEM_TYPE", "problem"]

PROBLEM_TYPE = "application/problem+json"


def problem(error: RuncastError) -> tuple[int, bytes]:
    """Return the status and the body that tell of an error.

    `error` in the body is the name of its class, for programs; what a program needs to go on
    (`next`, `tail`, `offered`) stands beside it.
    """
    status = HTTPStatus(error.http_status)
    return status.value, compact(
        {
            "type": "about:blank",
            "title": status.phrase,
            "status": status.value,
            "detail": _detail(error),
            "error": type(error).__name__,
            **_more(error),
        }
    )


def _detail(error: RuncastError) -> str:
    if isinstance(error, RunNotFound):
        return f"no run {error.run_id[:80]!r} here"
    if error.http_status >= 500 and not isinstance(error, WaitTimeout | StreamFull | StoreUnwritable):
        return "the server could not do this: its own log says why"
    return str(error)


def _more(error: RuncastError) -> dict[str, object]:
    match error:
        case OffsetGone():
            return {"offset": format_offset(error.offset), "next": format_offset(error.next)}
        case OffsetBeyondTail():
            return {"offset": format_offset(error.offset), "tail": format_offset(error.tail)}
        case RunElsewhere():
            return {"host": error.host}
        case NotAcceptable():
            return {"offered": list(error.offered)}
        case _:
            return {}

"""Errors as `application/problem+json` (RFC 9457).

A reply may reach people who may see one run and nothing else of the machine. So details about other
runs and about folders are not sent: a 404 names neither the store nor similar ids, since an id is
all that is needed to read a run, and an internal failure (5xx) has no details at all.
"""

from __future__ import annotations

from http import HTTPStatus

from runcast.errors import (
    ArtifactAway,
    HostUnreachable,
    MirrorBehind,
    NotAcceptable,
    OffsetBeyondTail,
    OffsetGone,
    RuncastError,
    RunElsewhere,
    RunNotFound,
    SegmentAway,
    StartFailed,
    StoreUnwritable,
    StreamElsewhere,
    StreamFull,
    WaitTimeout,
)
from runcast.offsets import format_offset
from runcast.wire.jsons import compact

__all__ = ["PROBLEM_TYPE", "hides", "problem"]

_OPEN = (
    WaitTimeout,
    StreamFull,
    StoreUnwritable,
    StartFailed,
    SegmentAway,
    ArtifactAway,
    HostUnreachable,
)  # 5xx errors that keep their details
PROBLEM_TYPE = "application/problem+json"


def problem(error: RuncastError) -> tuple[int, bytes]:
    """Return the status and the body of an error.

    `error` in the body is the name of its class, for programs; the values that a program needs to
    continue (`next`, `tail`, `offered`) are beside it.
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


def hides(error: RuncastError) -> bool:
    """Return whether a reply keeps the sentence of an error to itself, so that it must be logged."""
    return error.http_status >= 500 and not isinstance(error, _OPEN)


def _detail(error: RuncastError) -> str:
    if isinstance(error, RunNotFound):
        return f"no run {error.run_id[:80]!r} here"
    if hides(error):
        return "the server could not do this: its own log says why"
    return str(error)


def _more(error: RuncastError) -> dict[str, object]:
    match error:
        case OffsetGone():
            return {"offset": format_offset(error.offset), "next": format_offset(error.next)}
        case MirrorBehind():
            return {"offset": format_offset(error.start), "tail": format_offset(error.tail)}
        case SegmentAway():
            return {"offset": format_offset(error.start), "next": format_offset(error.end)}
        case OffsetBeyondTail():
            return {"offset": format_offset(error.offset), "tail": format_offset(error.tail)}
        case RunElsewhere():
            return {"host": error.host, **({"unshared": True} if error.unshared else {})}
        case StreamElsewhere():
            return {"host": error.host}
        case NotAcceptable():
            return {"offered": list(error.offered)}
        case _:
            members: dict[str, object] = getattr(error, "members", {})  # of an error of the web's
            return members

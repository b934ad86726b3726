"""The type of an application's `authorize=`, a function that decides who may do what.

Owns that it may be `async def`: callers get a decision, not something to await. Whether it may block
where it is called is the callers' concern.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from runcast.errors import UsageError
from runcast.own_thread import wait_for
from runcast.run import Run
from runcast.web.http.messages import Request
from runcast.web.http.paths import STREAM_PREFIX, is_stream
from runcast.web.http.person import person_in
from runcast.web.http.share import SHARED

__all__ = ["Authorize", "Decide", "allow_all", "as_guarded", "awaited", "by_id_alone", "subject_of"]

Authorize = Callable[[str, Run | None, Request], bool | Awaitable[bool]]
"""Whether a verb may be done, to a run or to none: list, start, read, stop, pin, rerun, send, share, delete.

Of a run that may be read, `traceback` is whether the traceback of what ended it may be seen, too. It may
block, and be `async def`: an event loop has a thread call it, and awaits what it returns.
"""

Decide = Callable[[str, Run | None, Request], bool]
"""The same with its answer when it returns."""


def allow_all(verb: str, run: Run | None, request: Request) -> bool:
    """Allow everything: access was decided before the request came here."""
    return True


def by_id_alone(verb: str, run: Run | None, request: Request) -> bool:
    """Allow reading and stopping to clients with a run's unguessable id, and nothing else."""
    return run is not None and verb in ("read", "stop")


def as_guarded(verb: str, run: Run | None, request: Request) -> bool:
    """Allow everything to those whom the guard of `runcast serve` let in by the token, others what they may.

    Clients with a share link get nothing here: what that allows is decided where its token is read.
    """
    person = person_in(request.original)
    if person is not None:
        return person.may(verb, subject_of(verb, run, request))
    return SHARED not in request.original


def subject_of(verb: str, run: Run | None, request: Request) -> str | None:
    """Return the name of what a verb is done to: of a run, a stream, or a command that is to be started.

    None where there is none: for a list, and for a command that the request itself has.
    """
    if run is not None:
        return run.name
    if is_stream(request.path):
        return request.path[len(STREAM_PREFIX) :]
    if verb == "start":
        with contextlib.suppress(UsageError):  # which those who read it say
            name = request.json().get("name")
            return name if isinstance(name, str) else None
    return None


def awaited(authorize: Authorize) -> Decide:
    """Return a function that decides the same, and blocks while an `async def` one is awaited."""

    def decide(verb: str, run: Run | None, request: Request) -> bool:
        allowed = authorize(verb, run, request)
        if isinstance(allowed, bool):  # testing for an `Awaitable` takes longer
            return allowed
        return bool(wait_for(allowed) if isinstance(allowed, Awaitable) else allowed)

    return decide

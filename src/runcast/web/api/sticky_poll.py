"""Polls of one URL that never changes: each goes on where the last one of its key ended.

For a client that keeps no index: the key (`?key=` of its own choice, or a cookie of ours) names a
run and a position in it, both in the store, so that any worker may answer. A reply moves the
position when it was taken whole; with the cookie of each reply the next request says which one
it got, so that one which was lost on its way is said again. Overlapping polls of one key get the
same values. A key whose run has ended and was read to its end, or was closed because nobody polled
for long, is forgotten: the next poll begins anew. Where a store is shared, key and position are those of the
host of the run, so any host may answer, too; one that cannot reach that host answers 503.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote

from runcast.errors import UsageError
from runcast.ids import new_run_id
from runcast.model import Reason
from runcast.run import Run
from runcast.runs import Store
from runcast.store.positions import DIGITS
from runcast.supervisor.shared_keys import free_shared_key
from runcast.supervisor.shared_positions import position_of
from runcast.web.http.messages import Reply, Request
from runcast.web.live.long_poll import PollStream
from runcast.wire import POLL, Query, headers

__all__ = ["keyed_poll"]

_KEY_CHARACTERS = 200
_FORGOTTEN = (Reason.IDLE_TIMED_OUT, Reason.STOPPED, Reason.TIMED_OUT, Reason.LOST)


def keyed_poll(store: Store, request: Request, view: str, runs: str, start: Callable[[str], Run]) -> Reply:
    """Answer a poll of a view.

    Args:
        store: where the runs are.
        request: with or without `?key=`.
        view: names the view; keys of different views have nothing to do with each other.
        runs: URL below which the runs are.
        start: starts a run with a key, or returns that which has it.

    Raises:
        UsageError: the key is too long, or a parameter is not what it should be.
    """
    query = Query.parse(request.parameters)
    own = dict(request.parameters).get("key")
    if own is not None and not 0 < len(own) <= _KEY_CHARACTERS:
        raise UsageError(f"expected a key of 1 to {_KEY_CHARACTERS} characters, got {len(own)}")
    name = "runcast-" + hashlib.sha256(f"{view}\n{own or ''}".encode()).hexdigest()[:16]
    cookie = _cookie(request, name)
    key = f"{view}\n{own or cookie.get('key') or new_run_id()}"
    run = _run(store, key, start)
    position = position_of(store.path, run.id)
    offset, number = position.begin(int(cookie["reply"]) if cookie.get("run") == run.id else None)

    def delivered(end: int, closed: bool) -> None:
        position.end(number, end)
        if closed:
            position.forget()
            free_shared_key(store.path, key, run.id)

    shown = f"{run.id}.{number}" if own is not None else f"{run.id}.{number}.{key.rpartition(chr(10))[2]}"
    path = quote(request.root + request.path) or "/"
    set_cookie = ("Set-Cookie", f"{name}={shown}; Path={path}; HttpOnly; SameSite=Lax")
    url = path + (f"?{request.query}" if request.query else "")
    stream = PollStream(run, query, offset, url, keyed=True, delivered=delivered)
    location = ("Content-Location", f"{runs}/{run.id}/log")
    return Reply(200, [*headers(POLL, live=not run.closed), location, set_cookie], stream=stream)


def _cookie(request: Request, name: str) -> Mapping[str, str]:
    """Return what our cookie says: the run, the number of the last reply, the key if it is ours."""
    jar: SimpleCookie = SimpleCookie()
    with contextlib.suppress(CookieError):
        jar.load(request.header("cookie") or "")
    parts = jar[name].value.split(".") if name in jar else []
    if len(parts) not in (2, 3) or not (parts[1].isascii() and parts[1].isdigit() and len(parts[1]) < DIGITS):
        return {}
    return dict(zip(("run", "reply", "key"), parts, strict=False))


def _run(store: Store, key: str, start: Callable[[str], Run]) -> Run:
    while True:
        run = start(key)
        outcome = run.outcome
        if outcome is None or outcome.reason not in _FORGOTTEN:
            return run
        position_of(store.path, run.id).forget()
        free_shared_key(store.path, key, run.id)

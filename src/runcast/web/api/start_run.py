"""`POST /runs`: from a body to the run that it starts, or that has its key already.

Owns what may stand together in a body, and who gets the run of a key: clients that share a server do not all
read the same runs. Must not know how a run is started.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runcast.errors import RunExists, RunNotFound, UsageError
from runcast.options import nearest
from runcast.run import Run
from runcast.runs import Store
from runcast.web.api.commands import NamedCommand
from runcast.web.api.refusals import NotAllowed
from runcast.web.api.start_options import body_options, start_options

__all__ = ["start_run"]

_OF_NAMED = {"title", "key"}  # options that a command of the server's may be started with


def start_run(
    body: Mapping[str, Any],
    store: Store,
    find: Callable[[str], NamedCommand],
    *,
    any_command: bool,
    may_have: Callable[[Run], bool],
) -> Run:
    """Start what a body says.

    Args:
        body: of the request.
        store: where the run will be.
        find: returns a command by its name, or raises the error for one that there is not.
        any_command: whether a client may have a command of its own.
        may_have: returns whether this client may get to know a run that is there already.

    Raises:
        UsageError: something in it is not as it should be.
        NotAllowed: it has a command of its own.
        RunExists: its key names another run, or one that this client may not get to know.
    """
    options = body_options().keys()
    if unknown := sorted(set(body) - {"name", "command", "params"} - options):
        hint = nearest(unknown[0], options)
        raise UsageError(f'expected "name" or "command", got {unknown[0]!r} as well{hint}')
    if ("name" in body) == ("command" in body):
        raise UsageError('expected either "name" (one of /commands) or "command" in the body')
    if "name" in body:
        start = _named(body, store, find)
    elif not any_command:
        raise NotAllowed(
            "expected the name of a command: this server starts no others "
            "(its operator can allow them: --allow-any-command)"
        )
    else:
        given = start_options(body)
        start = lambda: store.start(body["command"], **given)  # noqa: E731  as the other one
    return start() if body.get("key") is None else _with_key(body["key"], store, start, may_have)


def _named(body: Mapping[str, Any], store: Store, find: Callable[[str], NamedCommand]) -> Callable[[], Run]:
    if not isinstance(body["name"], str):
        raise UsageError(f'expected "name" as a text, one of /commands, got {body["name"]!r:.80}')
    if own := sorted((body_options().keys() & set(body)) - _OF_NAMED):
        raise UsageError(f"expected no {own[0]} with a name: the command has its own")
    params = body.get("params", {})
    if not isinstance(params, dict):
        raise UsageError(f'expected "params" as an object of values, got {params!r:.80}')
    key = start_options({name: body[name] for name in body if name == "key"}).get("key")
    return lambda: find(body["name"]).start(store, params, key=key)


def _with_key(key: str, store: Store, start: Callable[[], Run], may_have: Callable[[Run], bool]) -> Run:
    try:
        run = start()
    except RunExists as error:
        if not error.run_id or _is_for(store, error.run_id, may_have):
            raise
    else:
        if may_have(run):
            return run
    raise RunExists(
        f"the key {key[:80]!r} names a run that this client did not start and may not read: use another key"
    )


def _is_for(store: Store, run_id: str, may_have: Callable[[Run], bool]) -> bool:
    try:
        return may_have(store.get(run_id))
    except RunNotFound:  # it was removed just now
        return True

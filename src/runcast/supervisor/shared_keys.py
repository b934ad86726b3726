"""Keys of runs where a store is shared: taken here first, and then at the link, before the run has its name.

Owns what a start does where the link cannot be reached: the key then holds on this host only, which is
logged. A key that this host knows may have passed to a run of another one meanwhile, so it is looked up. Must
not know what a link is: the store's agent claims, looks up and frees keys.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from runcast import loggers
from runcast.errors import RunExists
from runcast.store.keys import ATTEMPT, IsOver, free_key, holder_of, link_key, run_of_key, take_key
from runcast.store.links import is_shared, read_status
from runcast.store.mirrors import agent_socket, mirror_of
from runcast.store.run_files import RunFiles
from runcast.store.shared_secret import SharedSecret
from runcast.supervisor.agents import ask_agent, see_to_agent
from runcast.supervisor.control import ask

__all__ = ["await_secret", "free_shared_key", "newest_of_key", "shared_holder", "take_shared_key"]

_BEGIN_SECONDS = 6.0  # for an agent that is not there yet, and its link, or one that will be back soon
_CLAIM_SECONDS = 5.0
_TRIES = 3  # others may take and free the key at the same moments
_PAUSE = 0.02


def shared_holder(store: str, key: str, request: Mapping[str, Any], is_over: IsOver) -> str | None:
    """Return the folder of the run that has a key, as `holder_of` does; None where it has it no more."""
    _let_go(store, key, request)
    found = holder_of(store, key, request, is_over)
    return None if found is not None and _has_passed_on(store, key, found) else found


def take_shared_key(
    store: str, key: str, new: str, request: Mapping[str, Any], is_over: IsOver
) -> tuple[int | None, str | None]:
    """Claim a key for a run as `take_key` does, and at the link of the store, if it has one.

    Raises:
        RunExists: the key names a run with another request, or an attempt that goes on, on any host.
    """
    holder: str | None = None
    for _ in range(_TRIES):
        _let_go(store, key, request)
        taken, other = take_key(store, key, new, request, is_over)
        if not is_shared(store):
            return taken, other
        if other is not None:
            if not _has_passed_on(store, key, other):
                return None, other
            free_key(store, key, os.path.basename(other))
            continue
        assert taken is not None
        holder = _claim(store, key, request["id"])
        if holder is None:
            return taken, None
        free_key(store, key, request["id"])
        os.close(taken)
        if (found := link_key(store, key, holder, request, is_over)) is not None:
            return None, found
    raise RunExists(
        f"the key {key[:80]!r} names run {holder} of another host, which could not be brought here: try again"
    )


def newest_of_key(store: str, key: str) -> str | None:
    """Return the id of the run that has a key, or had it last, on any host; None where there is none.

    Where the link is away it is the newest that is known here. In an event loop it waits little.
    """
    own = run_of_key(store, key)
    if not is_shared(store):
        return own
    see_to_agent(store)
    shared = ask_agent(store, {"op": "key", "key": key}).get("holder")
    if not isinstance(shared, str) or not os.path.isdir(f"{store}/{shared}"):
        return own
    return shared if own is None else max(own, shared)


def free_shared_key(store: str, key: str, run_id: str) -> None:
    """Have a key name nothing, if it still names this run, on all hosts.

    Where the link is away it is free on this host; the others have it so when the key is taken next.
    """
    free_key(store, key, run_id)
    if is_shared(store):
        see_to_agent(store)
        ask_agent(store, {"op": "free", "key": key, "run": run_id})


def await_secret(store: str) -> None:
    """Wait until hosts have agreed on a key of fingerprints, 6 s at most; not where the link is down."""
    deadline = time.monotonic() + _BEGIN_SECONDS
    while is_shared(store) and not SharedSecret(store).agreed and time.monotonic() < deadline:
        see_to_agent(store)
        if not ask_agent(store, {"op": "status"}).get("up"):
            return
        time.sleep(_PAUSE)


def _let_go(store: str, key: str, request: Mapping[str, Any]) -> None:
    """Forget who has a key, where that is an attempt on another host: the link knows whether it is over."""
    if not is_shared(store) or (known := run_of_key(store, key)) is None:
        return
    files = RunFiles(f"{store}/{known}")
    status = read_status(store)
    if files.is_mirror and status is not None and status.up:
        if ATTEMPT in request or ATTEMPT in files.described()[0]:
            free_key(store, key, known)


def _has_passed_on(store: str, key: str, path: str) -> bool:
    """Whether a run of another host, which had a key, has it no more; False where nobody can say."""
    if mirror_of(path) is None or not is_shared(store):
        return False
    see_to_agent(store)
    answer = ask_agent(store, {"op": "key", "key": key})
    return "holder" in answer and answer["holder"] != os.path.basename(path)


def _claim(store: str, key: str, run_id: str) -> str | None:
    """Return the run of another host that has the key; None if this one has it now, or nobody can say."""
    deadline = time.monotonic() + _BEGIN_SECONDS
    while True:
        see_to_agent(store)
        try:
            request = {"op": "claim", "run": run_id, "key": key}
            answer = ask(agent_socket(store), request, timeout=_CLAIM_SECONDS)
        except OSError as error:
            answer = {"alone": str(error), "again": True}
        if "alone" not in answer:
            return answer.get("holder")
        if not answer.get("again") or time.monotonic() >= deadline:
            loggers.warning(
                "starting", "the key of run %s holds on this host only: %s", run_id, answer["alone"]
            )
            return None
        time.sleep(_PAUSE)

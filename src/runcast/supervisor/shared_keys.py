"""Keys of runs where a store is shared: taken here first, and then at the link, before the run has its name.

Owns what a start does where the link cannot be reached: the key then holds on this host only, which is
logged. Must not know what a link is: the store's agent claims the key.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from runcast import loggers
from runcast.errors import RunExists
from runcast.store.keys import IsOver, free_key, link_key, take_key
from runcast.store.links import is_linked
from runcast.store.mirrors import agent_socket
from runcast.supervisor.agents import see_to_agent
from runcast.supervisor.control import ask

__all__ = ["take_shared_key"]

_BEGIN_SECONDS = 3.0  # for an agent that is not there yet, and its link
_CLAIM_SECONDS = 5.0
_PAUSE = 0.02


def take_shared_key(
    store: str, key: str, new: str, request: Mapping[str, Any], is_over: IsOver
) -> tuple[int | None, str | None]:
    """Claim a key for a run as `take_key` does, and at the link of the store, if it has one.

    Raises:
        RunExists: the key names a run with another request, here or on another host.
    """
    taken, other = take_key(store, key, new, request, is_over)
    if other is not None or not is_linked(store):
        return taken, other
    assert taken is not None
    holder = _claim(store, key, request["id"])
    if holder is None:
        return taken, None
    free_key(store, key, request["id"])
    os.close(taken)
    if (found := link_key(store, key, holder, request, is_over)) is None:
        raise RunExists(
            f"the key {key[:80]!r} names run {holder} of another host, which could not be brought here: "
            "try again"
        )
    return None, found


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

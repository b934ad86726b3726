"""Names of streams where a store is shared: one host has a stream, and the others say which.

Owns what is done where the link is down: a stream is made all the same, and its name is claimed when the
link is back. Must not know what a stream is.
"""

from __future__ import annotations

from runcast import loggers
from runcast.store.links import is_shared
from runcast.supervisor.agents import ask_agent, see_to_agent

__all__ = ["claim_stream", "free_stream", "host_of_stream"]


def claim_stream(store: str, digest: str) -> str | None:
    """Claim the name of a stream, by what it is kept as; return the host that has it, if another one does."""
    return _host(store, "claim", digest)


def host_of_stream(store: str, digest: str) -> str | None:
    """Return the other host that has the stream of a name; None for none, or where nobody can say."""
    return _host(store, "find", digest)


def free_stream(store: str, digest: str) -> None:
    """Have others make a stream of this name."""
    if is_shared(store):
        see_to_agent(store)
        ask_agent(store, {"op": "stream", "do": "free", "digest": digest})


def _host(store: str, what: str, digest: str) -> str | None:
    if not is_shared(store):
        return None
    see_to_agent(store)
    answer = ask_agent(store, {"op": "stream", "do": what, "digest": digest})
    if "host" not in answer:
        why = str(answer.get("alone", "its agent does not answer"))
        loggers.warning_once("store", "streams of %s are not looked for on other hosts: %s", store, why)
    host: str | None = answer.get("host")
    return host

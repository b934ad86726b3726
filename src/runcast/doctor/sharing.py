"""Checks of what a store shares with other hosts: whether engine and shelf can be used, and who is there.

Owns a connection to the engine of its own, for some seconds: what the store's agent noted is older, and
there need be no agent. Starts nothing, and changes nothing.
"""

from __future__ import annotations

from runcast.doctor.facts import Facts, Finding, LinkFacts, hint, ok, problem
from runcast.errors import RuncastError, StoreUnusable
from runcast.quantities import duration_text
from runcast.store.link_urls import parse_link
from runcast.store.links import LinkFile, read_link, read_status

__all__ = ["hosts", "link", "link_facts", "shelf"]

_WAIT_SECONDS = 5.0
_TURN = "the store is shared with no other host"


def link_facts(store: str) -> LinkFacts | None:
    """Return what is known of the link of a store, by connecting to it; None where it has none."""
    try:
        settings = read_link(store)
    except (OSError, StoreUnusable) as error:
        return LinkFacts("", "", str(error))
    if settings is None or (not settings.url and settings.shelf is None):
        return None
    status = read_status(store)
    facts = LinkFacts(
        parse_link(settings.url).place.partition("?")[0] if settings.url else "",
        settings.host,
        notes={} if status is None else status.notes,
        shelf=settings.shelf or "",
        shelf_error=_shelf_error(settings.shelf),
    )
    if not settings.url:
        return facts
    try:
        server, leases = _asked(settings)
    except (ImportError, OSError, RuncastError) as error:
        return facts._replace(error=str(error))
    silent = {host: max(0.0, -left) for host, left in leases.items() if host != settings.host}
    return facts._replace(server=server, hosts=silent)


def _asked(settings: LinkFile) -> tuple[str, dict[str, float]]:
    """Return what the engine is, and for how many seconds the lease of each host goes on."""
    from runcast.link.opening import open_link  # loads the engine's client

    link = open_link(settings.url, prefix=settings.prefix)
    try:
        greeting = link.wait(link.hello(), _WAIT_SECONDS)
        return greeting.engine.name, link.wait(link.leases(), _WAIT_SECONDS)
    finally:
        link.close()


def _shelf_error(url: str | None) -> str:
    if url is None:
        return ""
    from runcast.shelf.opening import MARK, open_shelf

    try:
        open_shelf(url).fetch(MARK)
    except (OSError, RuncastError) as error:
        return str(error)
    return ""


def link(facts: Facts) -> Finding:
    """Whether other hosts can be reached, and know this one."""
    found = facts.link
    if found is None or not (found.engine or found.error):
        return ok("link", _TURN)
    if found.error:
        advice = "runs go on, and are shared when it is back: see that it runs and can be reached from here"
        return problem("link", f"{found.engine or 'the engine'}: {found.error}", advice)
    clash = found.notes.get("lease")
    if clash is not None:
        return problem("link", clash, "give this store a host= of its own in its URL")
    if fenced := found.notes.get("fenced"):
        return hint("link", fenced, "nothing is lost: read such a run on its own host")
    if full := found.notes.get("full"):
        return problem("link", full, "give the engine more memory, or keep finished runs on a shelf")
    return ok("link", f"{found.server} at {found.engine} answers, and knows this host as {found.host!r}")


def hosts(facts: Facts) -> Finding:
    """Whether something is heard of the other hosts."""
    found = facts.link
    if found is None or found.error or not found.engine:
        return ok(
            "hosts", _TURN if found is None or not found.error else "nobody can be heard without the link"
        )
    silent = [
        f"{host} for {duration_text(seconds)}" for host, seconds in sorted(found.hosts.items()) if seconds
    ]
    here = sorted(host for host, seconds in found.hosts.items() if not seconds)
    said = f"{', '.join(here) or 'no other'} {'are' if len(here) > 1 else 'is'} here"
    if active := found.notes.get("silent"):
        return problem(
            "hosts", f"{said}; {active}", "see that it runs, and reaches the engine: its runs go on"
        )
    if silent:  # which is well where none of its runs goes on: its agent ends
        said += f"; silent, without runs that go on: {', '.join(silent)}"
    return ok("hosts", said)


def shelf(facts: Facts) -> Finding:
    """Whether finished runs can be kept, and fetched again."""
    found = facts.link
    if found is None or not found.shelf:
        return ok("shelf", "there is none" if found is None else "there is none: the engine keeps all output")
    if found.shelf_error:
        advice = "mount it: until then nothing is let go of, and readers of what is there wait"
        return problem("shelf", f"{found.shelf.partition('?')[0]}: {found.shelf_error}", advice)
    return ok("shelf", f"{found.shelf.partition('?')[0]} can be read")

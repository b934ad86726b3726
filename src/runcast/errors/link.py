"""Errors of the link between hosts, as `runcast.link.base` raises them."""

from __future__ import annotations

from runcast.errors.root import RuncastError

__all__ = ["Fenced", "Full", "Late", "LinkDown", "LinkError", "LinkRefused", "NoHost", "NoRun"]


class LinkError(RuncastError):
    """The link between hosts did not do what it was to do; runs go on, and their files stay whole."""

    http_status = 503


class LinkDown(LinkError, ConnectionError):
    """The link is down. What was under way may have been done: connect again, and look."""


class LinkRefused(LinkError):
    """The engine of a link refuses its client, or is set up so that it would lose data."""


class Fenced(LinkError):
    """Somebody else has ended the run, or holds the host's name, so nothing more is taken from here."""

    http_status = 409


class Full(LinkError):
    """The engine of a link takes no more data for now; nothing of the request was stored."""

    http_status = 507


class NoRun(LinkError, LookupError):
    """The link has no run of this id."""

    http_status = 404

    def __init__(self, run_id: str) -> None:
        super().__init__(f"expected a run of the link, it has no {run_id!r}: create it there first")
        self.run_id = run_id


class NoHost(LinkError, LookupError):
    """The host holds no lease at the link: it is off, cut off, or was never there."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"expected a host that is connected to the link, {host!r} is not: look whether it is up"
        )
        self.host = host


class Late(LinkError, TimeoutError):
    """A host did not answer in time. It may still have done what it was to do, and does not do it later."""

    http_status = 504

    def __init__(self, host: str, seconds: float) -> None:
        super().__init__(
            f"expected an answer of the host {host!r} within {seconds:g} s, none came: look whether it was "
            "done, then try again"
        )
        self.host = host

"""The conformance check of a link: the promises that every engine keeps.

The checks use several links to one engine, as several hosts would. A failure is an AssertionError
with the promise, the expected value and the actual one.
"""

from __future__ import annotations

from collections.abc import Callable

from runcast.errors import RuncastError
from runcast.testing import link_hosts, link_runs
from runcast.testing.link_places import LinkPlace

__all__ = ["check_link"]


def check_link(factory: Callable[[], LinkPlace]) -> None:
    """Check that a link keeps the promises of every link.

    Args:
        factory: called for each check, returns a place with an empty engine; see `LinkPlace`.

    Raises:
        AssertionError: a promise is broken; the message names it.
    """
    for check in (*link_runs.CHECKS, *link_hosts.CHECKS):
        place = factory()
        try:
            check(place)
        except (AssertionError, RuncastError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            promise = " ".join((check.__doc__ or "").split())
            raise AssertionError(f"promise broken: {promise} {type(error).__name__}: {error}") from error
        finally:
            place.close()

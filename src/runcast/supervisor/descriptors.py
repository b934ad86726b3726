"""How many descriptors this process may have: raised for a server, and as before for what it starts.

Owns the soft limit of RLIMIT_NOFILE. A server has a descriptor for each connection, and raises its
limit to what it may have. A command must not notice: programs that use select(2), or close every
descriptor up to the limit, depend on the limit that the user's shell had (getrlimit(2)). So what is
started from here gets the limit that this process was started with.
"""

from __future__ import annotations

import contextlib
import resource

__all__ = ["before", "raise_limit"]

MOST = 65_536  # containers often have a hard limit of a milliard: nothing here needs so many

_before: tuple[int, int] | None = None


def raise_limit() -> int:
    """Raise the soft limit to the hard one, at most to `MOST`; return what it is now."""
    global _before
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MOST if soft == resource.RLIM_INFINITY else soft
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        _before = _before or (soft, hard)
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def before() -> tuple[int, int] | None:
    """Return soft and hard limit as they were before they were raised; None if they never were."""
    return _before

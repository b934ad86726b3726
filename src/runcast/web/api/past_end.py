"""Viewers who have more of a run than is left of it, and come again.

Owns where they go on. A run that was lost may have lost its last bytes, too: with the power of its machine,
or on the way to other hosts, though a viewer got them there. Such a viewer has all that there will ever be,
and gets the end. Of any other run such an offset is a mistake.
"""

from __future__ import annotations

from runcast.errors import OffsetBeyondTail
from runcast.log import Log
from runcast.model import Reason
from runcast.run import Run

__all__ = ["past_end"]


def past_end(run: Run, log: Log, offset: int, tail: int) -> int:
    """Return the tail in place of an offset that lies past it, where the run was lost.

    Raises:
        OffsetBeyondTail: the run was not lost.
        MirrorBehind: there may be more of it on another host.
    """
    error = log.beyond(offset, tail)
    if isinstance(error, OffsetBeyondTail) and (outcome := run.outcome) and outcome.reason is Reason.LOST:
        return tail
    raise error

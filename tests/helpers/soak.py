"""How large the long tests are: `RUNCAST_SOAK` decides that, and nothing else does."""

import os

FACTOR = float(os.environ.get("RUNCAST_SOAK", "1"))
"""The share of the full size: `RUNCAST_SOAK=0.001 make soak` shows within minutes that all still run."""


def share(full: int, least: int = 1) -> int:
    """Return what makes a full size the size of this run, but not less than that.

    For what decides which tests there are; within a test this is the fixture `sized`.
    """
    return max(least, round(full * FACTOR))

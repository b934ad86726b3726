"""Runs that a viewer's GET started: kept for a while, so that nobody fills the disk by reloading.

Owns what an application keeps of them. A process that starts such a run notes that in the store's index
(store/kept.py), and has it swept (retention/sweep.py).
"""

from __future__ import annotations

import contextlib
from typing import Final

from runcast.errors import UsageError
from runcast.keep import Keep
from runcast.quantities import duration
from runcast.retention.sweep import sweep_soon
from runcast.run import Run
from runcast.runs import Store
from runcast.store.kept import VIEW, KeptFiles

__all__ = ["KEEP_VIEWED", "keep_of", "note_viewed"]

KEEP_VIEWED: Final = (100, "1d")


def keep_of(value: object) -> Keep | None:
    """Return what `keep_viewed=` says; None keeps all.

    Raises:
        UsageError: it is neither None nor a number of runs and a time.
    """
    if value is None:
        return None
    if isinstance(value, tuple | list) and len(value) == 2 and type(value[0]) is int:
        with contextlib.suppress(ValueError, TypeError):
            runs, seconds = value[0], duration(value[1], zero=False)
            if 0 <= runs < 10**9 and seconds < 10**12:
                return Keep(runs, max(1, round(seconds)))
    raise UsageError(
        'expected keep_viewed= as a number of runs and a time, such as (100, "1d"), or None, '
        f"got {value!r:.80}"
    )


def note_viewed(store: Store, view: str, run: Run, keep: Keep) -> None:
    """Note that a viewer's GET started a run, and have the store swept if that is due."""
    with contextlib.suppress(OSError):  # a full disk: then it stays
        KeptFiles(store.path).note(VIEW, view, run.id, keep)
    sweep_soon(store.path)

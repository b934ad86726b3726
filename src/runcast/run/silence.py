"""Why a run of this machine may be silent: what its processes are, for the hints.

Owns when a run counts as silent, and that only processes of this machine and this pid namespace are
looked at. The words are those of `hints`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from runcast.errors import RuncastError
from runcast.store.origin import Relation, relation_to
from runcast.store.run_files import RunFiles

__all__ = ["hint_of"]

_SECONDS = 3.0  # of silence, after which there may be a hint


def hint_of(
    files: RunFiles, state: Mapping[str, Any], origin: Mapping[str, Any], tail: Callable[[], int]
) -> str | None:
    """Return the hint for a run that has no outcome yet; None where there is none.

    Args:
        files: of the run.
        state: what its supervisor wrote last.
        origin: where it was started.
        tail: returns how much output there is, in bytes. Where that cannot be read, there is no hint.
    """
    supervisor, pid = state.get("supervisor"), state.get("pid")
    if supervisor is None or pid is None or time.time() - files.last_sign() < _SECONDS:
        return None
    with contextlib.suppress(OSError, RuncastError):
        if relation_to(files.path, origin) is Relation.OWN and files.held:
            from runcast.hints.sentences import hint  # late, as few runs are silent
            from runcast.sysio.processes import descendants

            return hint(
                descendants(supervisor),
                first=pid,
                empty=tail() == 0,
                waiting=state.get("waiting") is not None,
            )
    return None

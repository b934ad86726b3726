"""What the start of a run knows of it, for those who go on with that run: nothing of it need be read back.

Owns how that gets into a run. The state is known where a start has waited for it, as that of a view does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runcast.run.base import RunBase

__all__ = ["first_state_of", "set_begun"]


def set_begun(run: RunBase, request: bytes, state: Mapping[str, Any]) -> None:
    """Give a run its first state, and the content of its `run.json`, which was just written."""
    if state:  # else nobody has waited for it, and few look at the request
        vars(run).update(_first_state=state, _described=(json.loads(request), None))


def first_state_of(run: RunBase) -> Mapping[str, Any]:
    """Return the state that a run began with, where its start waited for that; else empty."""
    state: Mapping[str, Any] = vars(run).get("_first_state", {})
    return state

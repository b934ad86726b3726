"""What is masked of a run: its output, how far it is, how it ended.

Loads the room masking where it is needed: few runs are masked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runcast.model import Outcome
from runcast.supervisor.pump import Pipe

if TYPE_CHECKING:
    from runcast.masking.masks import Masks

__all__ = ["mask_pipe", "masked_outcome", "masked_progress", "masks_in"]


def masks_in(request: Mapping[str, Any]) -> Masks | None:
    """Return what a run must not show, by the request to its supervisor; None for nothing."""
    if (values := request.get("secrets")) is None:
        return None
    from runcast.masking.masks import Masks

    return Masks(values)


def mask_pipe(masks: Masks | None, pipe: Pipe, *, terminal: bool) -> None:
    """Mask what comes from a pipe; None masks nothing."""
    if masks is not None:
        from runcast.masking.stream import MaskedStream

        pipe.masked = MaskedStream(masks, terminal=terminal)


def masked_outcome(masks: Masks | None, outcome: Outcome) -> Outcome:
    """Return an outcome without secrets; None masks nothing."""
    if masks is None:
        return outcome
    message, traceback = masks.text(outcome.message), masks.text(outcome.traceback)
    return outcome._replace(message=message, traceback=traceback, value=masks.json(outcome.value))


def masked_progress(masks: Masks | None, value: dict[str, Any]) -> dict[str, Any]:
    """Return progress without secrets; a number that is one is left out."""
    if masks is None:
        return value
    numbers = {one: None for one in ("done", "total") if masks.json(value[one]) != value[one]}
    return {**value, **numbers, "text": masks.text(value["text"])}

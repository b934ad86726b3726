"""The facts of a run that is over, as its hooks get them, and whether a hook is for this end.

Owns the names of the variables, the JSON, and what `when` means. All of it is the run's record, so what
was masked is masked. Must not know how a hook is done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from runcast.errors import RuncastError
from runcast.model import Outcome
from runcast.run import Run
from runcast.run.base import files_of
from runcast.runs import Store
from runcast.store.servers import outside_url, servers

__all__ = ["Facts", "facts_of"]


class Facts:
    """The facts of a run that is over.

    Attributes:
        run_id: of the run.
        value: the run as JSON values, as `GET /runs/ID` has it, and its `url` where that is known.
        folder: that it ran in.
    """

    def __init__(self, run: Run, outcome: Outcome, value: dict[str, Any], folder: str) -> None:
        self.run_id, self.value, self.folder = run.id, value, folder
        self._run, self._outcome = run, outcome

    def variables(self) -> dict[str, str]:
        """Return the variables for a command."""
        outcome = self._outcome
        found = {
            "RUNCAST_STORE": _store_of(self._run),
            "RUNCAST_HOOK_RUN_ID": self.run_id,
            "RUNCAST_HOOK_NAME": str(self.value["name"]),
            "RUNCAST_HOOK_OUTCOME": "ok" if outcome.ok else "failed",
            "RUNCAST_HOOK_REASON": outcome.reason.value,
            "RUNCAST_HOOK_CODE": "" if outcome.code is None else str(outcome.code),
            "RUNCAST_HOOK_TEXT": outcome.text,
        }
        if "url" in self.value:
            found["RUNCAST_HOOK_URL"] = self.value["url"]
        return {name: text.replace("\0", "") for name, text in found.items()}

    def applies(self, condition: object, outcome: Outcome) -> bool:
        """Return whether an end meets a condition of `when`."""
        if isinstance(condition, Mapping):
            began = outcome.started_at or self._run.created_at
            return outcome.ended_at - began > float(condition["longer_than"])
        if condition == "recovery":
            return outcome.ok and self._before is not None and not self._before.ok
        return condition == "always" or not outcome.ok

    @cached_property
    def _before(self) -> Outcome | None:
        """How the last run of the same name that is over ended, this one apart; None where there is none."""
        return next(_outcomes(self._run), None)


def facts_of(run: Run, outcome: Outcome) -> Facts:
    """Return the facts of a run.

    Raises:
        RunNotFound: it was removed.
    """
    value = run.to_json()
    del value["hooks"]  # which are about to change
    if urls := servers(_store_of(run)):
        url = outside_url(_store_of(run), urls[0])  # readers may sit elsewhere
        value["url"] = f"{url.rstrip('/')}/runs/{run.id}"
    return Facts(run, outcome, value, str(run.request["cwd"]))


def _store_of(run: Run) -> str:
    return os.path.dirname(files_of(run).path)


def _outcomes(run: Run) -> Iterator[Outcome]:
    """Yield how runs of the same name ended, the latest first."""
    for other in Store(_store_of(run)).list():
        try:
            if other.id != run.id and other.name == run.name and (outcome := other.outcome) is not None:
                yield outcome
        except RuncastError:  # it was removed meanwhile
            continue

"""A run of this machine that blocks: a thread waits in each action."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import cast

from runcast.errors import UsageError
from runcast.readers import Steps as WaitingSteps
from runcast.readers import drive, hub
from runcast.run.local import Blocking, LocalAction, LocalSteps
from runcast.run.steps import Result, Routine, Steps, Value
from runcast.run.verbs_sync import Verbs
from runcast.supervisor.owner import runs_in

__all__ = ["Run"]


class Run(LocalSteps, Verbs[LocalAction]):
    """A run. Waiting blocks the calling thread."""

    def _drive(self, steps: Steps[Value, LocalAction]) -> Iterator[Value]:
        self._check_thread()  # at the call, not at the first value
        return drive(cast("WaitingSteps[Value]", steps))  # what gives values only waits: one check for each

    def _perform(self, routine: Routine[LocalAction, Result]) -> Result:
        with closing(routine):
            while True:
                try:
                    action = next(routine)
                except StopIteration as end:
                    result: Result = end.value
                    return result
                self._act(action)

    def _act(self, action: LocalAction) -> None:
        if isinstance(action, Blocking):
            action.call()
        else:
            self._check_thread()
            hub().wait(action.seen, action.timeout)

    def _check_thread(self) -> None:
        """Refuse to block the event loop in which this very run is a task: neither would ever go on."""
        loop = runs_in(self._files.path)
        if loop is not None and sys.modules["asyncio"]._get_running_loop() is loop:
            raise UsageError(
                f"expected run {self.id}, a task of this event loop, to be awaited: start it with "
                "`await runcast.aio.start(...)`, which gives a run to await"
            )

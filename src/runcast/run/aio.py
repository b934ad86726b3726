"""A run of this machine that is awaited: a task is suspended in each action."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from typing import cast

from runcast.own_thread import in_own_thread, in_pool
from runcast.readers import Steps as WaitingSteps
from runcast.readers import drive_async, hub
from runcast.run.local import Blocking, LocalAction, LocalSteps
from runcast.run.steps import Result, Routine, Steps, Value
from runcast.run.verbs_aio import AsyncVerbs

__all__ = ["AsyncRun"]


class AsyncRun(LocalSteps, AsyncVerbs[LocalAction]):
    """A run. Waiting suspends the calling task."""

    def _drive(self, steps: Steps[Value, LocalAction]) -> AsyncIterator[Value]:
        return drive_async(cast("WaitingSteps[Value]", steps))  # what gives values only waits

    async def _perform(self, routine: Routine[LocalAction, Result]) -> Result:
        with closing(routine):
            while True:
                try:
                    action = next(routine)
                except StopIteration as end:
                    result: Result = end.value
                    return result
                await _act(action)


async def _act(action: LocalAction) -> None:
    if isinstance(action, Blocking):
        await (in_own_thread if action.own_thread else in_pool)(action.call)
    else:
        await hub().wait_async(action.seen, action.timeout)

"""Which logs an agent has open: the ones that it read last, as many as there are descriptors for."""

from __future__ import annotations

import resource
from collections import OrderedDict

from runcast.agent.own_run import OwnRun

__all__ = ["OpenLogs"]

_MOST, _FEWEST = 1000, 50
_SHARE = 6  # of all descriptors that there may be: a log has up to three, and mirrors have some, too


class OpenLogs:
    """Closes the log that was not read for the longest time, if there are too many."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, OwnRun] = OrderedDict()
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._most = max(_FEWEST, min(descriptors // _SHARE, _MOST))

    def used(self, run: OwnRun) -> None:
        """Take note that a run's log was read, and so is open."""
        self._runs[run.id] = run
        self._runs.move_to_end(run.id)
        if len(self._runs) > self._most:
            self._runs.popitem(last=False)[1].log.close()

    def forget(self, run_id: str) -> None:
        """Take note that a run is not read any more."""
        self._runs.pop(run_id, None)

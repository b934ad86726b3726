"""Runs of this store whose writer is gone: settled even where nobody looks at them here.

Owns how often that is looked for. It may take seconds, since processes that are left are killed first, so
a process of its own does it. What settling is, is the supervisor's.
"""

from __future__ import annotations

import subprocess

from runcast.agent.own_run import TAKEN
from runcast.agent.rounds import Rounds
from runcast.agent.shipping import Shipping
from runcast.store.run_files import RunFiles
from runcast.supervisor.launch import begin_python

__all__ = ["LostRuns"]

_SECONDS = 1.0
_MOST = 4  # processes at once


class LostRuns:
    """Finds the runs that are shipped and have no writer any more."""

    def __init__(self, shipping: Shipping) -> None:
        self._shipping = shipping
        self._rounds = Rounds(_SECONDS)
        self._next = 0.0  # look at no process before
        self._processes: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        """Wait for the processes."""
        for process in self._processes:
            process.wait()

    def turn(self, now: float) -> None:
        """Look at the runs whose turn it is."""
        if now >= self._next:
            self._next = now + _SECONDS
            self._processes = [one for one in self._processes if one.poll() is None]
        if len(self._processes) >= _MOST:
            return
        for run_id in self._rounds.take(now, self._shipping.runs):
            if (run := self._shipping.runs.get(run_id)) is None:
                continue
            files = RunFiles(run.log.directory.path)
            if files.held:  # first: it may end meanwhile
                continue
            if files.ended:  # of who owned it and died no change of its folder tells
                if run.phase == TAKEN:
                    self._shipping.note(run.id, fields=True)
            elif files.exists and not run.copied:  # of another machine nothing is known here
                code = f"from runcast.supervisor.recover import recover; recover({files.path!r})"
                self._processes.append(begin_python(code))

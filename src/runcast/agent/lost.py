"""Runs of this store whose writer is gone: settled even where nobody looks at them here.

Owns how often that is looked for. It may take seconds, since processes that are left are killed first, so
a process of its own does it. What settling is, is the supervisor's.
"""

from __future__ import annotations

import subprocess

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
        self._next = 0.0
        self._processes: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        """Wait for the processes."""
        for process in self._processes:
            process.wait()

    def turn(self, now: float) -> None:
        """Look at the runs, if it is time for that."""
        if now < self._next:
            return
        self._next = now + _SECONDS
        self._processes = [one for one in self._processes if one.poll() is None]
        for run in list(self._shipping.runs.values()):
            if len(self._processes) >= _MOST:
                return
            files = RunFiles(run.log.directory.path)
            if not files.held and not files.ended and files.exists:  # in this order: it may end meanwhile
                code = f"from runcast.supervisor.recover import recover; recover({files.path!r})"
                self._processes.append(begin_python(code))

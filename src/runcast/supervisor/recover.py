"""Settle runs whose writer is gone: kill or name what it left behind, and write that it is lost.

A run is lost when its lock is free and nobody wrote an outcome. Whoever finds that and takes the
free lock settles it: a follower, the list, the forkserver. Owns what may be killed: processes
whose environment carries the run's id, which only the run's own processes have.
"""

from __future__ import annotations

import contextlib
import os
import time

from runcast.log import RunDirectory
from runcast.model import Outcome, Reason
from runcast.supervisor.tree import kill_marked, processes_of

__all__ = ["recover"]

_KILL_SECONDS = 5.0
_ATTEMPTS = 50


def recover(path: str) -> bool:
    """Settle the run in this folder if it is lost; return whether it was, and this call did it."""
    directory = RunDirectory(path)
    if os.path.exists(f"{path}/outcome.json") or directory.held:
        return False
    with contextlib.suppress(OSError):
        if not _acquire(directory):
            return False
        try:
            if os.path.exists(f"{path}/outcome.json"):
                return False
            left = _kill_leftovers(os.path.basename(path))
            who = "process" if "owner" in directory.state() else "supervisor"
            message = f"its {who} died before the run ended"
            if left:
                message += f"; still alive: {', '.join(f'process {pid}' for pid in left)}"
            directory.write_outcome(Outcome(Reason.LOST, message=message, ended_at=time.time()))
            with contextlib.suppress(OSError):
                os.unlink(directory.control_path)
            return True
        finally:
            directory.release()
    return False


def _acquire(directory: RunDirectory) -> bool:
    """Take the lock of a run whose writer is gone; return False if somebody else settles it.

    Whoever looks whether a lock is free holds it for a moment, shared: that is no reason to give up.
    """
    for _ in range(_ATTEMPTS):
        if directory.acquire():
            return True
        if directory.held:
            return False
        time.sleep(0.001)
    return False


def _kill_leftovers(run_id: str) -> list[int]:
    """Kill the processes of a run until there are none; return those that will not die."""
    deadline = time.monotonic() + _KILL_SECONDS
    while kill_marked(run_id):
        if time.monotonic() > deadline:
            return processes_of(run_id)
        time.sleep(0.002)
    return []

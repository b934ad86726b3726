"""Settle runs whose writer is gone: kill or name what it left behind, and write that it is lost.

A run is lost when its lock is free and nobody wrote an outcome. Whoever finds that and takes the
free lock settles it: a follower, the list, the forkserver. Where its outcome cannot be written it
is lost all the same, in each process that finds it. Owns who may settle, and whose processes may
be killed: only those of a run whose origin is here (origin.py). A run of another host is nobody's
here. One whose processes could not be looked for is marked, and looked at again by who can.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time

from runcast.errors import RunElsewhere
from runcast.log import RunDirectory
from runcast.model import Outcome, Reason
from runcast.supervisor.leftovers import kill_leftovers, marked
from runcast.supervisor.origin import Relation, relation_to

__all__ = ["recover", "recover_rest"]

_ATTEMPTS = 50
# Errors that may be over in a moment, or say that the run itself is gone: nothing is said of it then.
_PASSING = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR, errno.ENOENT, errno.ENOTDIR}
_UNSEEN = "its processes could not be looked for from another pid namespace"


def recover(path: str, *, died_now: bool = False) -> bool:
    """Settle the run in this folder if it is lost; return whether it was, and this call did it.

    Args:
        path: the folder.
        died_now: whether its supervisor was just seen to die.

    Raises:
        RunElsewhere: it has no writer that could be seen from here, and belongs to another host.
    """
    directory = RunDirectory(path)
    if directory.ended or directory.held:
        return False
    relation = _relation(directory)
    if relation is None:
        return False
    if relation is Relation.HOST:
        raise RunElsewhere(os.path.basename(path), str(directory.origin().get("host")))
    with contextlib.suppress(OSError):
        if not _acquire(directory):
            return False
        try:
            if directory.ended:
                return False
            _settle(directory, relation, time.time() if died_now else _last_sign(directory))
            return True
        finally:
            directory.release()
    return False


def recover_rest(path: str) -> bool:
    """Look for the processes of a lost run, where whoever settled it could not; say if that is done."""
    directory = RunDirectory(path)
    if _relation(directory) not in (Relation.OWN, Relation.REBOOTED):
        return False
    with contextlib.suppress(OSError):
        if not _acquire(directory):
            return False
        try:
            outcome = directory.outcome()
            if outcome is None or not directory.unsettled:
                return False
            relation = _relation(directory)
            left = "they ended with the machine"
            if relation is Relation.OWN:
                left = _end_processes(directory, Relation.OWN, _last_sign(directory)) or "they were ended"
            message = outcome.message.replace(_UNSEEN, f"{_UNSEEN} at first: {left}")
            directory.write_outcome(outcome._replace(message=message))
            directory.mark_unsettled(unsettled=False)
            return True
        finally:
            directory.release()
    return False


def _relation(directory: RunDirectory) -> Relation | None:
    """Return what the origin of a run is to here; None if the run is gone."""
    try:
        return relation_to(directory.path, directory.origin())
    except OSError:
        return None


def _settle(directory: RunDirectory, relation: Relation, alive_at: float) -> None:
    state = directory.state()
    message = f"its {'process' if 'owner' in state else 'supervisor'} died before the run ended"
    if "died_of" in state:  # its last words, where it had no descriptor for an outcome
        message += f": {state['died_of']}"
    if said := _end_processes(directory, relation, alive_at):
        message += f"; {said}"
    outcome = Outcome(Reason.LOST, message=message, ended_at=time.time())
    try:
        if _UNSEEN in message:
            directory.mark_unsettled(unsettled=True)
        directory.write_outcome(outcome)
    except OSError as error:
        if error.errno in _PASSING:
            raise
        message += f"; this cannot be written to the store: {(error.strerror or str(error)).lower()}"
        directory.note_lost(outcome._replace(message=message))
        return
    with contextlib.suppress(OSError):
        os.unlink(directory.control_path)


def _end_processes(directory: RunDirectory, relation: Relation, alive_at: float) -> str:
    """Kill what may be killed of a run; return what is to be said of the rest."""
    run_id, state = os.path.basename(directory.path), directory.state()
    if "owner" in state:
        return ""  # the process that it was in had it alone, and is another's to end
    match relation:
        case Relation.OWN:
            first, born = state.get("pid"), state.get("birth")
            return str(kill_leftovers(run_id, first, born, alive_at))
        case Relation.NAMESPACE:
            return _UNSEEN
        case Relation.REBOOTED:
            return "the machine was restarted since"
        case Relation.COPY:
            return "this is a copy of its folder, so the run itself may go on elsewhere"
    pids = ", ".join(f"process {pid}" for pid in marked(run_id))
    return f"perhaps of this run, and let be: {pids}" if pids else ""


def _last_sign(directory: RunDirectory) -> float:
    """Return when the supervisor of a run wrote something for the last time, in seconds since the epoch."""
    times = [0.0]
    with contextlib.suppress(OSError):
        times.append(os.stat(f"{directory.path}/lock").st_mtime)
        with os.scandir(directory.log_path) as entries:
            times += [entry.stat().st_mtime for entry in entries]
    return max(times)


def _acquire(directory: RunDirectory) -> bool:
    """Take the lock of a run whose writer is gone; return False if somebody else settles it.

    Whoever looks whether a lock is free holds it for a moment, shared: that is no reason to give up.
    """
    for _ in range(_ATTEMPTS):
        if _try(directory):
            return True
        if directory.held:
            return False
        time.sleep(0.001)
    return False


def _try(directory: RunDirectory) -> bool:
    try:
        return directory.acquire()
    except OSError as error:
        if error.errno in _PASSING:
            raise
    with contextlib.suppress(FileNotFoundError):  # nobody can make it, so nobody can hold it
        return directory.acquire(read_only=True)
    return True

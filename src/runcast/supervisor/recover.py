"""Settle runs whose writer is gone: kill or name what it left behind, and write that it is lost.

A run is lost when its lock is free and nobody wrote an outcome. The one who finds that and
takes the free lock settles it: a follower, the list, the forkserver. Where its outcome cannot be written it
is lost all the same, in each process that finds it. Owns who may settle, and whose processes may
be killed: only those of a run whose origin is here (store/origin.py). A run of another host is nobody's
here, nor is a mirror of one (store/mirrors.py), whatever machine that is on. One whose processes could not
be looked for is marked, and looked at again by who can.

Settling may take seconds: the processes that are left are killed first. So an event loop that finds a
lost run begins that in a thread, and goes on; the run is lost meanwhile, and its outcome is to come.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable

from runcast import loggers
from runcast.errors import RunElsewhere, SupervisorLost
from runcast.loaded import loaded
from runcast.model import Outcome, Reason
from runcast.store.links import is_linked
from runcast.store.origin import Relation, relation_to
from runcast.store.run_files import RunFiles
from runcast.supervisor.end_hooks import Hooks, begin_hooks, hooks_of
from runcast.supervisor.leftovers import kill_leftovers, marked
from runcast.sysio.forks import at_fork

BeginHooks = Callable[[str, Hooks], object]
__all__ = ["is_lost", "is_over", "is_settling", "recover", "recover_rest"]

_ATTEMPTS = 50
# Errors that may be over in a moment, or say that the run itself is gone: then there is nothing to report.
_PASSING = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR, errno.ENOENT, errno.ENOTDIR}
_UNSEEN = "its processes could not be looked for from another pid namespace"
_settling: set[str] = set()  # folders of runs that threads of this process settle, for event loops


def is_lost(path: str) -> bool:
    """Whether a run whose supervisor is dead is lost, settled or not. One whose folder is gone is not."""
    directory = RunFiles(path)
    outcome = directory.outcome()
    return directory.exists and (not directory.ended if outcome is None else outcome.reason is Reason.LOST)


def is_over(path: str) -> bool:
    """Return whether the run in this folder has ended, was removed, or is lost: then it is settled."""
    with contextlib.suppress(RunElsewhere):
        recover(path)
    directory = RunFiles(path)
    return not directory.exists or directory.ended or is_settling(path)


def is_settling(path: str) -> bool:
    """Return whether the run in this folder is lost, and a thread of this process settles it."""
    return path in _settling


def recover(path: str, *, died_now: bool = False, hooks: BeginHooks = begin_hooks) -> bool:
    """Settle the run in this folder if it is lost; return whether it was, and this call did it.

    In an event loop it only begins that, and returns False.

    Args:
        path: the folder.
        died_now: whether its supervisor was just seen to die.
        hooks: begins those of the run.

    Raises:
        RunElsewhere: it has no writer that could be seen from here, and belongs to another host.
    """
    directory = RunFiles(path)
    if directory.ended or directory.held:
        return False
    relation = _relation(directory)
    if relation is None:
        return False
    if relation is Relation.HOST:
        host = directory.mirror_of
        unshared = host is not None and not is_linked(os.path.dirname(path))
        raise RunElsewhere(directory.id, host or str(directory.origin().get("host")), unshared=unshared)
    if directory.ended:  # by a writer that ended it after the first look, and is gone since
        return False
    if _left_to_thread(recover, path):
        return False
    settled = False
    with contextlib.suppress(OSError):
        if not _acquire(directory):
            return False
        try:
            if directory.ended:
                return False
            _settle(directory, relation, time.time() if died_now else directory.last_sign())
            settled = True
        finally:
            directory.release()
        if settled and (found := hooks_of(directory.described()[0])):
            hooks(directory.path, found)
    return settled


def recover_rest(path: str) -> bool:
    """Look for the processes of a lost run, where it was settled without; return whether that is done.

    In an event loop it only begins that, and returns False.
    """
    directory = RunFiles(path)
    if _relation(directory) not in (Relation.OWN, Relation.REBOOTED):
        return False
    if _left_to_thread(recover_rest, path):
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
                left = _end_processes(directory, Relation.OWN, directory.last_sign()) or "they were ended"
            message = outcome.message.replace(_UNSEEN, f"{_UNSEEN} at first: {left}")
            directory.write_outcome(outcome._replace(message=message))
            directory.mark_unsettled(unsettled=False)
            return True
        finally:
            directory.release()
    return False


def _left_to_thread(settle: Callable[[str], bool], path: str) -> bool:
    """In an event loop, have a thread settle a run; return False elsewhere, or where none can be started."""
    if loaded("asyncio") is None:
        return False
    from runcast.own_thread import Background, begin, in_event_loop  # not in a forkserver: it loads threading

    if not in_event_loop():
        return False
    if path in _settling:
        return True

    def work() -> None:
        try:
            with contextlib.suppress(RunElsewhere):  # so says the next look
                settle(path)
        finally:
            _settling.discard(path)

    _settling.add(path)
    try:
        begin(Background(target=work, name="runcast settles"))
    except SupervisorLost:
        _settling.discard(path)
        return False
    return True


def _relation(directory: RunFiles) -> Relation | None:
    """Return what the origin of a run is to here; None if the run is gone."""
    if directory.mirror_of is not None:  # whatever its origin says: two stores may be on one machine
        return Relation.HOST
    try:
        return relation_to(directory.path, directory.origin())
    except OSError:
        return None


def _settle(directory: RunFiles, relation: Relation, alive_at: float) -> None:
    state = directory.state()
    message = f"its {'process' if 'owner' in state else 'supervisor'} died before the run ended"
    if "died_of" in state:  # its last words, where it had no descriptor for an outcome
        message += f": {state['died_of']}"
    if said := _end_processes(directory, relation, alive_at):
        message += f"; {said}"
    outcome = Outcome(Reason.LOST, message=message, ended_at=time.time())
    loggers.warning_once("runs", "run %s is lost: %s", directory.id, message)
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
    directory.remove_control()


def _end_processes(directory: RunFiles, relation: Relation, alive_at: float) -> str:
    """Kill what may be killed of a run; return what its message has on the rest."""
    run_id, state = directory.id, directory.state()
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


def _acquire(directory: RunFiles) -> bool:
    """Take the lock of a run whose writer is gone; return False if somebody else settles it.

    A check whether a lock is free holds it shared for a moment: that is no reason to give up.
    """
    for _ in range(_ATTEMPTS):
        if _try(directory):
            return True
        if directory.held:
            return False
        time.sleep(0.001)
    return False


def _try(directory: RunFiles) -> bool:
    try:
        return directory.acquire()
    except OSError as error:
        if error.errno in _PASSING:
            raise
    with contextlib.suppress(FileNotFoundError):  # nobody can make it, so nobody can hold it
        return directory.acquire(read_only=True)
    return True


at_fork(_settling.clear)  # whose threads are the parent's

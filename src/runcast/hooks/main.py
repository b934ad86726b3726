"""The helper process: does the hooks of one run that is over, notes what became of them, and ends.

Owns the order: the claim, so that of several helpers one does it; the wait for the log to be closed;
which hooks are for this end; each of those in a thread, so that none waits for another. Started by
`supervisor/end_hooks.py`, by nobody's import.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from runcast.errors import RuncastError
from runcast.hooks.command import run_command
from runcast.hooks.facts import Facts, facts_of
from runcast.hooks.webhook import send
from runcast.model import Outcome
from runcast.run import Run
from runcast.store.end_hooks import EndHooks
from runcast.utf8 import encode

__all__ = ["do_hooks", "main"]

_CLOSED_SECONDS = 10.0  # for the log to be closed, once there is an outcome
_LOOK_SECONDS = 0.005


def main(path: str) -> None:
    """Do the hooks of the run in a folder, which this process is given on stdin."""
    hooks = json.loads(sys.stdin.buffer.read())
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # what a program of the run's process left inheritable
    for number in (signal.SIGINT, signal.SIGQUIT):  # which a shell has its background processes ignore
        signal.signal(number, signal.SIG_DFL)
    with open(os.devnull, "rb") as null:
        os.dup2(null.fileno(), 0)
    os.chdir("/")
    with contextlib.suppress(OSError, RuncastError):  # the run was removed
        claim = None if Run(path).outcome is None else EndHooks.claim(path)
        if claim is not None:
            do_hooks(path, hooks, claim)


def do_hooks(path: str, hooks: Sequence[Mapping[str, Any]], claim: EndHooks) -> None:
    """Do the hooks of the run in a folder; return when what became of each is noted.

    Raises:
        RunNotFound: the run was removed.
    """
    run = Run(path)
    until = time.monotonic() + _CLOSED_SECONDS
    while not run.closed and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    outcome = run.outcome
    if outcome is None:
        return
    facts = facts_of(run, outcome)
    threads = [
        threading.Thread(target=_do, args=(number, hook, facts, outcome, claim))
        for number, hook in enumerate(hooks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _do(number: int, hook: Mapping[str, Any], facts: Facts, outcome: Outcome, claim: EndHooks) -> None:
    try:
        if not any(facts.applies(one, outcome) for one in hook["when"]):
            claim.note(number, "skipped", 0, None, "")
        elif hook.get("masked"):
            claim.note(number, "failed", 0, None, "a secret in it was masked, and went with its supervisor")
        elif "webhook" in hook:
            send(hook, number, facts, claim)
        else:
            code, message = run_command(hook["command"], hook["timeout"], facts)
            claim.note(number, "failed" if message else "delivered", 1, code, message)
    except Exception as error:
        # The text of an error of ours may have what must not be shown: its kind has not.
        claim.note(number, "failed", 1, None, encode(f"its helper failed: {type(error).__name__}").decode())

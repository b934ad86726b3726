"""A command as a hook: run once, for a bounded time, with the facts of the run.

Owns how it is run: the run's folder, a small environment, JSON on stdin, no output kept, its own session,
which is killed when its time is up.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import subprocess
from collections.abc import Sequence

from runcast.hooks.facts import Facts
from runcast.model import signal_name

__all__ = ["run_command"]


def run_command(argv: Sequence[str], timeout: float, facts: Facts) -> tuple[int | None, str]:
    """Run a command; return its exit code, and why it failed, empty if it did not."""
    null = subprocess.DEVNULL
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=null,
            stderr=null,
            cwd=facts.folder,
            env=_environment() | facts.variables(),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        return None, f"it cannot be started: {(why or type(error).__name__).lower()}"
    try:
        child.communicate(json.dumps(facts.value).encode() + b"\n", timeout=timeout)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return None, f"killed: it took longer than {timeout:g} s"
    if child.returncode < 0:
        return None, f"killed by {signal_name(-child.returncode)}"
    return child.returncode, f"exit code {child.returncode}" if child.returncode else ""


def _environment() -> dict[str, str]:
    """Return what any hook has, wherever the run ended: of this process that is above all the PATH."""
    found = {"LANG": "C.UTF-8", **os.environ}
    with contextlib.suppress(KeyError):
        user = pwd.getpwuid(os.getuid())
        found |= {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
    return found

"""R14 for queues: 64 processes and one slot, while supervisors are killed."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable

import pytest

from runcast import Reason, State, Store
from runcast.errors import RuncastError
from tests.helpers.children import supervisor_of
from tests.integration.test_queues import race

PROCESSES, SECONDS = 64, 20.0


@pytest.mark.parametrize("how", ["wait", "replace"])
def test_one_slot(store: Store, sized: Callable[[int], int], say: Callable[[str], None], how: str):
    """No two runs are ever there at once, none waits for ever, and a lost one is said to be."""
    chosen = random.Random(6)
    killed = 0

    def kill_some() -> None:
        nonlocal killed
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            going = [run for run in store.list() if run.state in (State.RUNNING, State.QUEUED)]
            if not going:
                continue
            try:
                os.kill(supervisor_of(chosen.choice(going)), signal.SIGKILL)
                killed += 1
            except (ProcessLookupError, RuncastError, KeyError):
                continue  # it was over first

    ended = race(store, how, max(sized(PROCESSES), 4), kill_some)

    said = Counter(str(outcome.reason) for outcome in ended.values())
    say(f"{len(ended)} runs, {killed} supervisors killed: {dict(said)}")
    assert not [one for one in ended.values() if one.reason is Reason.EXITED and not one.ok]
    assert said[str(Reason.LOST)] <= killed

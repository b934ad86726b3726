"""R8: runs and viewers, however many, leave nothing behind."""

import os
import random
import threading
from pathlib import Path

import pytest

from runcast import Store
from runcast.readers import hub
from tests.helpers.children import fds
from tests.helpers.processes import peak_kib, watches, zombies
from tests.helpers.stores import supervisors
from tests.helpers.wait import MS, wait_until

DEADLINE = 20000 * MS

pytestmark = pytest.mark.fault


def held() -> tuple[int, int, int, int]:
    """Return what viewers of this process may forget to give back."""
    return fds(), watches(), sum(map(len, hub()._by_number.values())), threading.active_count()


def no_more_than(before: tuple[int, ...]) -> bool:
    """Return whether nothing of that grew. What earlier tests left in this process may go meanwhile."""
    return all(now <= then for now, then in zip(held(), before, strict=True))


def once(store: Store, *, tty: bool = False) -> None:
    run = store.start(["echo", "hello"], tty=tty)
    assert run.output(timeout=DEADLINE).split() == ["hello"]


def test_short_runs(store: Store):
    """R8: 100 short runs leave no descriptor, watch, thread or zombie more, and a handful of supervisors."""
    once(store)
    before, dead = held(), zombies(os.getpid())  # of earlier tests

    for _ in range(100):
        once(store)

    assert no_more_than(before), (held(), before)
    assert set(zombies(os.getpid())) <= set(dead)
    wait_until(lambda: len(supervisors(Path(store.path))) <= 1 + 4, what="the spare supervisors to leave")
    for pid in supervisors(Path(store.path)):
        wait_until(lambda pid=pid: zombies(pid) == [], what="those that left to be reaped")
        assert peak_kib(pid) <= 25 * 1024


def test_viewers_that_leave(store: Store):
    """R8: viewers that come and leave at any point, also while they wait, leave nothing."""
    chance = random.Random(8)
    code = "i=0; while [ $i -lt 300 ]; do echo $i; i=$((i+1)); done; read end"
    run = store.start(["sh", "-c", code], stdin="pipe")
    wait_until(lambda: run.log().lines == 300)
    list(zip(range(3), run.follow(timeout=0.001), strict=False))
    before = held()

    for _ in range(300):
        viewer = chance.choice((run.follow, run.lines))(timeout=0.001)
        for _ in range(chance.randrange(4)):
            next(viewer)
        viewer.close()

    assert no_more_than(before), (held(), before)
    run.send("", eof=True)
    run.wait(timeout=DEADLINE)


def test_viewers_that_are_forgotten(store: Store):
    """R8: a viewer that is dropped in the middle is cleaned up without being closed."""
    run = store.start(["sh", "-c", "echo up; read end"], stdin="pipe")
    assert next(run.lines()) == "up"
    before = held()

    for _ in range(50):
        assert next(run.lines()) == "up"

    assert no_more_than(before), (held(), before)
    run.kill()

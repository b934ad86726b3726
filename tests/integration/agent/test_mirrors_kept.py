"""What is kept: the rules of a host are for its own runs, and mirrors have a rule of their own."""

import os
import time

import pytest

from runcast import Run
from runcast.keep import Keep
from runcast.retention.prune import prune
from runcast.retention.sweep import sweep_all
from runcast.run.base import files_of
from tests.helpers.cli import cli
from tests.helpers.memory_hosts import Turns
from tests.helpers.wait import MS

DEADLINE = 15000 * MS

pytestmark = pytest.mark.slow


def ended(turns: Turns, count: int) -> list[Run]:
    """Return runs of the first host that are over, and long so at the second."""
    runs = [turns.a.start(["echo", "words"]) for _ in range(count)]
    for run in runs:
        run.wait(timeout=DEADLINE)
    turns.until(lambda: not turns.agents[0].shipping.runs.keys() & {run.id for run in runs})
    long_ago = time.time() - 3600
    for run in runs:
        mirror = files_of(turns.whole(run))
        os.utime(f"{mirror.path}/outcome.json", (long_ago, long_ago))
    return runs


def test_rules_are_for_own_runs(turns: Turns):
    """A rule of the store, and `prune`, neither count nor remove what other hosts' runs left here."""
    own = [turns.b.start(["true"]) for _ in range(3)]
    for run in own:
        run.wait(timeout=DEADLINE)
    others = ended(turns, 4)  # which are newer

    assert [one.run_id for one in prune(turns.b.path, Keep(runs=2))] == [own[0].id]
    listed = cli("--store", turns.b.path, "prune", "--keep", "1")
    assert listed.out.split() == [own[1].id.encode()]
    assert sweep_all(turns.b.path, Keep(seconds=1), every=0) == 0  # the own one ended less than a minute ago
    assert {run.id for run in turns.b.list()} == {own[2].id, *(run.id for run in others)}


def test_prune_mirrors_by_hand(turns: Turns):
    """`prune --mirrors` removes them alone, from this host: the runs themselves stay."""
    own = turns.b.start(["true"])
    own.wait(timeout=DEADLINE)
    others = ended(turns, 3)

    listed = cli("--store", turns.b.path, "prune", "--mirrors", "--keep", "1")
    assert listed.out.split() == [run.id.encode() for run in others[:2]]
    assert {run.id for run in turns.b.list()} == {own.id, others[2].id}
    assert {run.id for run in turns.a.list()} >= {run.id for run in others}


def test_rule_of_mirrors(turns: Turns):
    """Mirrors beyond their rule go; one that is wanted by its id comes back, the list has them no more."""
    own = turns.b.start(["true"])
    own.wait(timeout=DEADLINE)
    others = ended(turns, 4)
    agent = turns.agents[1]
    Run(f"{turns.b.path}/{others[0].id}").pin()

    agent.evicting.sweep(Keep(runs=2), 0)
    assert {run.id for run in turns.b.list()} == {own.id, *(others[at].id for at in (0, 2, 3))}
    newer = turns.a.start(["true"])
    turns.mirror(newer)  # the list was looked at again
    assert others[1].id not in turns.b.ids()

    agent.mirrors.want(others[1].id, time.monotonic())
    turns.until(lambda: others[1].id in turns.b.ids())
    assert turns.whole(others[1]).output() == "words\n"
    assert {run.id for run in turns.a.list()} >= {run.id for run in others}


def test_mirrors_that_stay(turns: Turns):
    """What goes on, or was watched just now, or is read, stays, whatever the rule of mirrors says."""
    goes_on = turns.a.start(["sleep", "600"])
    turns.mirror(goes_on)
    watched, read, gone, newest = ended(turns, 4)
    files_of(Run(f"{turns.b.path}/{watched.id}")).touch_watched()
    agent = turns.agents[1]

    log = Run(f"{turns.b.path}/{read.id}").log()
    assert log.read(0).chunks
    agent.evicting.sweep(Keep(bytes=1), 60)
    assert {run.id for run in turns.b.list()} == {goes_on.id, watched.id, read.id, newest.id}
    assert gone.id in [run.id for run in turns.a.list()]
    log.close()
    goes_on.kill()

"""R26: only the own processes are killed, and a free lock is lost wherever this machine's is seen.

A run is looked at in its own folder, moved, bind-mounted or copied, as what was started here, in
another boot, in another pid namespace or on another host, while its supervisor lives and when it
is dead: `EXPECTED` says who may be killed.
"""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runcast import Reason, Run, State, Store
from runcast.errors import RunElsewhere
from runcast.run.base import files_of
from tests.helpers.lost import CLEARED, alive, edit_origin, end, orphan, started
from tests.helpers.programs import unshare
from tests.helpers.stores import end_store
from tests.helpers.wait import MS

DEADLINE = 10000 * MS
LOOK = """
import sys
from runcast import Store
from runcast.errors import RunElsewhere
run = Store(sys.argv[1]).get(sys.argv[2])
print(run.state, run.outcome and run.outcome.message, run.elsewhere, sep="|")
"""
PLACES = ("same", "moved", pytest.param("bound", marks=pytest.mark.root), "copied")
ORIGINS: dict[str, dict[str, Any]] = {
    "here": {},
    "namespace": {"pidns": 1},
    "boot": {"boot": "0" * 32, "device": 1},  # a device may have another number by then
    "host": {"boot": "0" * 32, "machine": "1" * 32, "host": "far", "local": False},
}
DIED = "its supervisor died before the run ended"
SAID = {
    "here": DIED,
    "namespace": f"{DIED}; its processes could not be looked for from another pid namespace",
    "boot": f"{DIED}; the machine was restarted since",
    "copied": f"{DIED}; this is a copy of its folder, so the run itself may go on elsewhere",
}

pytestmark = pytest.mark.fault


def expected(place: str, origin: str, held: bool) -> tuple[str, str, str, bool]:
    """Return what a look must say (state, message, other host), and whether it kills."""
    if held and place != "copied":  # nobody holds the lock of a copy
        return "running", "None", "None", False
    if origin == "host":
        return "running", "None", "far", False
    copied = place == "copied"
    return "lost", SAID["copied" if copied else origin], "None", origin == "here" and not copied


@contextmanager
def seen(store: str, place: str) -> Iterator[Callable[[str], list[str]]]:
    """Give what looks at a run of a store where the store is now."""
    other = f"{store}-{place}"
    where = store if place == "same" else other
    command = [sys.executable, "-c", LOOK, where]
    if place == "moved":
        os.rename(store, other)
    elif place == "copied":
        subprocess.run(["cp", "-a", store, other], check=True)
    elif place == "bound":
        os.mkdir(other)
        mount = f'mount --bind "{store}" "{other}" && exec "$@"'
        command = [*unshare("--mount"), "sh", "-c", mount, "sh", *command]

    def look(run_id: str) -> list[str]:
        if place != "bound":
            run = Run(f"{where}/{run_id}")
            return [str(run.state), str(run.outcome and run.outcome.message), str(run.elsewhere)]
        done = subprocess.run([*command, run_id], check=True, capture_output=True, text=True)
        return done.stdout.rstrip("\n").split("|")

    try:
        yield look
    finally:
        if place == "moved":
            os.rename(other, store)


@pytest.mark.parametrize("place", PLACES)
def test_who_is_killed(store: Store, place: str):
    """R26: of all ways to find a run without a writer, one in its own place and namespace kills."""
    run, pids = started(store, CLEARED, 3)
    path = Path(files_of(run).path)
    origins = sorted(ORIGINS, key=lambda name: name == "here")  # what kills comes last
    try:
        for held, origin in itertools.product((True, False), origins):
            if held is False and origin == origins[0]:
                orphan(run)
            before = path.joinpath("run.json").read_bytes()
            edit_origin(path, **ORIGINS[origin])
            with seen(store.path, place) as look:
                found = look(run.id)
            state, message, host, kills = expected(place, origin, held)
            assert (origin, held, *found) == (origin, held, state, message, host)
            assert [alive(pid) for pid in pids] == [not kills] * 3, (origin, held)
            if not kills:
                path.joinpath("run.json").write_bytes(before)
                for name in ("outcome.json", "unsettled"):
                    path.joinpath(name).unlink(missing_ok=True)
            if place == "copied":
                subprocess.run(["rm", "-rf", f"{store.path}-copied"], check=True)
            elif place == "bound":
                os.rmdir(f"{store.path}-bound")
    finally:
        end(pids)


@pytest.mark.root
def test_another_pid_namespace_and_back(store: Store):
    """R26: settled from a container, a run's processes live on, until somebody of their side looks."""
    run, pids = started(store, CLEARED, 3)
    orphan(run)
    command = [*unshare("--pid", "--fork", "--mount-proc"), sys.executable, "-c", LOOK, store.path, run.id]

    for _ in range(2):  # nor does a second look from there
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stdout == f"lost|{SAID['namespace']}|None\n"
    assert all(map(alive, pids))
    [found] = store.list()
    outcome = found.wait(timeout=0)

    assert outcome.message == f"{SAID['namespace']} at first: they were ended"
    assert outcome.reason is Reason.LOST
    assert not any(map(alive, pids))
    assert sorted(os.listdir(files_of(run).path)) == ["lock", "log", "outcome.json", "run.json"]


@pytest.mark.root
def test_proc_of_another_namespace(store: Store):
    """R26: where /proc shows other numbers than signals mean, nothing is looked for."""
    run, pids = started(store, CLEARED, 3)
    orphan(run)
    command = [*unshare("--pid", "--fork"), sys.executable, "-c", LOOK, store.path, run.id]

    done = subprocess.run(command, check=True, capture_output=True, text=True)

    assert done.stdout == f"lost|{SAID['namespace']}|None\n"
    assert all(map(alive, pids))
    end(pids)


def test_unsettled_until_the_machine_is_restarted(store: Store):
    """R26: what another namespace left over is settled after a reboot, and nothing is killed."""
    run, pids = started(store, CLEARED, 3)
    orphan(run)
    edit_origin(files_of(run).path, pidns=1)
    assert run.state is State.LOST
    edit_origin(files_of(run).path, boot="0" * 32)

    try:
        assert run.wait(timeout=0).message == f"{SAID['namespace']} at first: they ended with the machine"
        assert all(map(alive, pids))
    finally:
        end(pids)


def test_two_stores_with_the_same_run(store: Store, tmp_path: Path):
    """R26: of a run and its copy in another store, each is settled for itself, and one may kill."""
    run, pids = started(store, CLEARED, 3)
    other = Store(str(tmp_path / "other"))
    assert other.start(["true"]).wait(timeout=DEADLINE).ok
    subprocess.run(["cp", "-a", files_of(run).path, other.path], check=True)

    copy = other.get(run.id)
    assert copy.wait(timeout=DEADLINE).message == SAID["copied"]
    assert run.state is State.RUNNING
    assert all(map(alive, pids))
    orphan(run)
    assert run.wait(timeout=DEADLINE).message == DIED
    assert not any(map(alive, pids))


def test_store_made_anew(store: Store):
    """R26: a process that started runs in a store which was removed since knows those in the next one."""
    assert store.start(["true"]).wait(timeout=DEADLINE).ok
    end_store(Path(store.path))
    subprocess.run(["rm", "-rf", store.path], check=True)

    run, pids = started(store, CLEARED, 3)
    orphan(run)

    assert run.wait(timeout=DEADLINE).message == DIED
    assert not any(map(alive, pids))


def test_run_in_another_store(store: Store, tmp_path: Path):
    """R26: a run's folder that was moved into another store by hand counts as a copy: nothing is killed."""
    run, pids = started(store, CLEARED, 3)
    other = Store(str(tmp_path / "other"))
    assert other.start(["true"]).wait(timeout=DEADLINE).ok
    orphan(run)
    os.rename(files_of(run).path, f"{other.path}/{run.id}")

    try:
        assert other.get(run.id).wait(timeout=DEADLINE).message == SAID["copied"]
        assert all(map(alive, pids))
    finally:
        end(pids)


def test_nothing_recorded(store: Store):
    """R26: what an earlier version started is settled; processes that carry its id are named, not killed."""
    run, pids = started(store, "sleep 600 & echo ready; wait", 2)
    orphan(run)
    asked = json.loads(Path(files_of(run).path, "run.json").read_text())
    del asked["origin"]
    Path(files_of(run).path, "run.json").write_text(json.dumps(asked))

    try:
        named = ", ".join(f"process {pid}" for pid in sorted(pids))
        assert run.wait(timeout=0).message == f"{DIED}; perhaps of this run, and let be: {named}"
        assert all(map(alive, pids))
    finally:
        end(pids)


def test_another_host(store: Store):
    """R26: a run of another host shows its name and last state; following and waiting end with an error."""
    run, pids = started(store, CLEARED, 3)
    orphan(run)
    edit_origin(files_of(run).path, **ORIGINS["host"])

    try:
        followed = run.lines()
        assert next(followed) == "ready"
        for act in (lambda: next(followed), run.wait, run.stop, lambda: store.remove(run)):
            with pytest.raises(RunElsewhere, match=f"{run.id} belongs to the host 'far'"):
                act()
        told = run.to_json()
        assert (told["state"], told["elsewhere"], told["closed"]) == ("running", "far", False)
        assert not os.path.exists(f"{files_of(run).path}/outcome.json")
        assert all(map(alive, pids))
    finally:
        end(pids)

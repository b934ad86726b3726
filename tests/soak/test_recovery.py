"""R3, R26, the large form: runs of many shapes, killed and looked at from many places, at random.

Each run is a tree of processes of which some clear their environment, begin sessions or lose their
parents. Its supervisor and forkserver are killed, its origin is edited or not, its store is copied,
moved or neither, and somebody looks, here or from another pid namespace. Whatever happens, the
processes die if and only if that look had the right to kill, and a bystander lives on.
"""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Run, State
from runcast.run.base import files_of
from tests.helpers.lost import alive, edit_origin, end, orphan, started
from tests.helpers.programs import unshare
from tests.helpers.stores import temporary_store
from tests.helpers.wait import MS, wait_until

ROUNDS = 300
SEED = 26
SHAPES = {
    "plain": ("sleep 600 & sleep 600 & echo ready; wait", 3),
    "cleared": ("env -i sleep 600 & env -i setsid sleep 600 & echo ready; wait", 3),
    "sessions": ('setsid sh -c "env -i setsid sleep 600 & env -i sleep 600" & echo ready; wait', 4),
    "deep": ('env -i sh -c "sh -c \\"setsid sleep 600 & sleep 600\\" & sleep 600" & echo ready; wait', 5),
    "stopped": ("sleep 600 & kill -STOP $!; env -i sleep 600 & echo ready; wait", 3),
    "deaf": ("trap '' TERM HUP INT PIPE; env -i sleep 600 & echo ready; while :; do wait; done", 2),
}
ORIGINS: dict[str, dict[str, object]] = {
    "here": {},
    "namespace": {"pidns": 1},
    "boot": {"boot": "0" * 32},
    "host": {"boot": "0" * 32, "machine": "1" * 32, "host": "far", "local": False},
}
LOOK = "import sys; from runcast import Run; print(Run(sys.argv[1]).state)"

pytestmark = [pytest.mark.fault, pytest.mark.slow]


def test_who_is_killed_at_random(tmp_path: Path, sized: Callable[[int], int]):
    """R26: of hundreds of looks at lost runs each kills all of its own run, or nothing at all."""
    chance = random.Random(SEED)
    bystander = subprocess.Popen(["sleep", "3600"], env={}, start_new_session=True)
    try:
        for number in range(max(sized(ROUNDS), 5)):
            shape, origin = chance.choice(list(SHAPES)), chance.choice(list(ORIGINS))
            place = chance.choice(("same", "same", "moved", "copied"))
            side = chance.choice(("here", "here", "inside"))
            said = f"round {number}: {shape}, {origin}, {place}, looked at from {side}"
            with temporary_store(tmp_path / f"store-{number}") as store:
                run, pids = started(store, *SHAPES[shape])
                try:
                    orphan(run)
                    edit_origin(files_of(run).path, **ORIGINS[origin])
                    other = f"{store.path}-{place}"
                    if place == "moved":
                        os.rename(store.path, other)
                    elif place == "copied":
                        subprocess.run(["cp", "-a", store.path, other], check=True)
                    path = f"{store.path if place == 'same' else other}/{run.id}"
                    before = list(filter(alive, pids))

                    found = look(path, side)

                    kills = (origin, side) == ("here", "here") and place != "copied"
                    assert found == (State.RUNNING if origin == "host" else State.LOST), said
                    assert list(filter(alive, pids)) == ([] if kills else before), said
                    if place == "moved":
                        os.rename(other, store.path)
                    if side == "inside" and origin == "here" and place != "copied":
                        assert Run(files_of(run).path).outcome is not None  # finishes the job
                        assert not any(map(alive, pids)), said
                    assert bystander.poll() is None, said
                finally:
                    end([pid for pid in pids if alive(pid)])
    finally:
        bystander.kill()
        bystander.wait()


def look(path: str, side: str) -> str:
    """Return the state that a look at a run finds, from here or from another pid namespace."""
    if side == "here":
        return str(Run(path).state)
    command = [*unshare("--pid", "--fork", "--mount-proc"), sys.executable, "-c", LOOK, path]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_killed_with_someone_in_a_namespace(tmp_path: Path, sized: Callable[[int], int]):
    """R26: a run that was started in a container that is gone is lost, and nothing here is killed."""
    start = (
        "import sys; from runcast import Store; s = Store(sys.argv[1]); r = s.start(['sleep', '600']); r.pid;"
        "print(r.id)"
    )
    bystander = subprocess.Popen(["sleep", "3600"], env={}, start_new_session=True)
    try:
        with temporary_store(tmp_path / "store") as store:
            for _ in range(sized(ROUNDS // 30)):
                command = [
                    *unshare("--pid", "--fork", "--mount-proc"),
                    sys.executable,
                    "-c",
                    start,
                    store.path,
                ]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                run = store.get(done.stdout.strip())
                wait_until(lambda run=run: run.state is State.LOST, 10000 * MS)
                message = run.wait(timeout=0).message
                assert message.endswith("could not be looked for from another pid namespace"), message
                assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()

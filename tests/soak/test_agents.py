"""Agents and keepers are killed at random, on both hosts, while runs go on, are stopped and removed."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from runcast import Run
from runcast.errors import RuncastError
from tests.helpers.engines import serving, valkey
from tests.helpers.link_hosts import PATIENCE, Host, linked_hosts, same
from tests.helpers.wait import wait_until

KILLS = 50
PROGRAM = (
    "import sys, time\n"
    "for number in range(400):\n"
    "    print('line', number, 'x' * (number % 97), flush=True)\n"
    "    number % 7 or print('error', number, file=sys.stderr, flush=True)\n"
    "    time.sleep(0.002)\n"
)


def children(pid: int) -> list[int]:
    """Return the children of a process, its keeper among them."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def victim(host: Host, chance: random.Random) -> int:
    """Return an agent, or its keeper; where both were ended, somebody who looks begins another one."""
    pid = host.begin()
    keepers = children(pid)
    return chance.choice(keepers) if keepers and chance.random() < 0.3 else pid


def test_killed_all_the_time(tmp_path: Path, sized: Callable[[int], int], say: Callable[[str], None]):
    """Each run is the same on the other host in the end, files and hooks too, and what is removed is gone."""
    chance, kills, stopped = random.Random(3), 0, 0
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "file").write_bytes(os.urandom(300_000))
    options = {"cwd": str(tmp_path / "work"), "artifacts": ["file"], "on_end": [{"command": ["true"]}]}
    with serving(valkey(), tmp_path / "valkey") as engine, linked_hosts(tmp_path, engine.url, "rc:") as hosts:
        runs: list[tuple[Host, Run]] = []
        while kills < sized(KILLS):
            host = chance.choice(hosts)
            run = host.store.start(["python3", "-c", PROGRAM], key=f"k{kills}", **options)  # type: ignore[arg-type]
            runs.append((host, run))
            for _ in range(2):
                pid = victim(chance.choice(hosts), chance)
                time.sleep(chance.uniform(0.0, 0.3))  # not for anything: where it is killed is to be random
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if chance.random() < 0.8 else signal.SIGTERM)
                    kills += 1
            for one in hosts:
                one.store.ids(1)
            if chance.random() < 0.2:
                other = hosts[host is hosts[0]]
                with contextlib.suppress(RuncastError):  # it is over, or its host cannot be reached just now
                    other.get(run).stop()
                    stopped += 1
        say(f"{kills} killed, {len(runs)} runs, {stopped} stopped from the other host")
        for host, run in runs:
            run.wait(timeout=PATIENCE)
            mirror = hosts[host is hosts[0]].get(run)
            assert sum(len(chunk.data) for chunk in mirror.follow(timeout=PATIENCE)) == run.tail_offset
            wait_until(lambda mirror=mirror: mirror.closed, PATIENCE)  # type: ignore[misc]
            same(run, mirror)
            wait_until(lambda mirror=mirror, run=run: _seen(hosts, mirror, run), PATIENCE, "its hooks")  # type: ignore[misc]
            assert mirror.artifacts == run.artifacts
            for file in run.artifacts:
                assert mirror.read_artifact(file.name) == run.read_artifact(file.name)
        for host, run in runs:
            host.store.remove(run.id)
        wait_until(lambda: _gone(hosts, engine), 2 * PATIENCE, "an empty engine")


def _seen(hosts: list[Host], mirror: Run, run: Run) -> bool:
    for host in hosts:
        host.store.ids(1)
    return mirror.hooks == run.hooks and run.hooks[0]["state"] != "waiting"


def _gone(hosts: list[Host], engine: object) -> bool:
    for host in hosts:
        host.store.ids(1)
    return not engine.command("KEYS", "rc:{*}*")  # type: ignore[attr-defined]

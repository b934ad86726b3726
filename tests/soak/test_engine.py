"""The large form of what tests/faults/test_engine.py promises of an engine's connections."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Run
from tests.faults.test_engine import check_cuts, is_up
from tests.helpers.engines import serving, valkey
from tests.helpers.link_hosts import PATIENCE, Host, linked_hosts
from tests.helpers.wait import wait_until

CUTS = 2000


def test_cut_anywhere(tmp_path: Path, sized: Callable[[int], int]):
    """2,000 cuts of two agents' connections, at random bytes: the mirror is the same, each byte once."""
    check_cuts(tmp_path, 2, sized(CUTS))


@pytest.mark.parametrize("restart", ["no restart", "restart", "restart without data"])
def test_sixteen_hosts_start_one_key(tmp_path: Path, restart: str):
    """Of 16 hosts that start a key at once one starts the run, also while the engine is started again."""
    options = ("--appendonly", "no" if restart == "restart without data" else "yes")
    names = "abcdefghijklmnop"
    with (
        serving(valkey(), tmp_path / "engine", *options) as engine,
        linked_hosts(tmp_path, engine.url, "rc:", names) as hosts,
    ):
        for host in hosts:
            host.begin()
            wait_until(lambda host=host: is_up(host), PATIENCE)  # type: ignore[misc]
        first = hosts[0].store.start(["sleep", "600"], key="first")
        found: list[tuple[Run, Run]] = []

        def start(host: Host) -> None:
            run = host.store.start(["sleep", "600"], key="job")
            found.append((run, host.store.start(["sleep", "600"], key="first")))

        threads = [threading.Thread(target=start, args=(host,)) for host in hosts]
        for thread in threads:
            thread.start()
        if restart != "no restart":
            engine.kill()
            engine.start()
        for thread in threads:
            thread.join()
        assert len(found) == len(hosts)
        assert {run.id for _, run in found} == {first.id}
        assert len({run.id for run, _ in found}) == 1

"""Hosts that are away for as long as the defaults allow, and longer; and a viewer that hops 10^5 times."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.test_network_cut import PACED, outcome, shared, whole
from tests.helpers.link_hosts import PATIENCE, files, same
from tests.helpers.networks import Engine, Network, Site, networked
from tests.helpers.soak import FACTOR, share
from tests.helpers.wait import wait_until
from tests.integration.agent import test_hops as hops

LOST_AFTER = 120
BACK_AFTER = (30, 300)  # seconds, before and after it is lost


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """Three machines."""
    with networked(tmp_path, "abc") as network:
        yield network


@pytest.fixture
def engine(network: Network) -> Iterator[Engine]:
    """A server of Valkey in their network."""
    with network.engine() as engine:
        yield engine


@pytest.mark.root
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("away", BACK_AFTER)
def test_host_is_away(tmp_path: Path, network: Network, engine: Engine, away: int):
    """Silent within 10 s; nothing lost before 120 s; then lost once, fenced, and whole in its own files."""
    scale = min(1.0, max(FACTOR, 0.1))
    words = {"lost_after": LOST_AFTER * scale}
    a, b, c = (Site(network.machines[name], tmp_path / name, engine.url, **words) for name in "abc")
    run_id = a.start("python3", "-uc", PACED, cwd=str(tmp_path))
    for site in (b, c):
        wait_until(lambda site=site: site.listed(run_id), PATIENCE)  # type: ignore[misc]
    begun = time.monotonic()
    with network.cut("a"):
        wait_until(lambda: "host a is silent since" in b.status, PATIENCE, "the silence said")
        print(f"silent after {time.monotonic() - begun:.1f} s")
        until = begun + away * scale
        if away > LOST_AFTER:
            left = 2 * LOST_AFTER * scale + PATIENCE
            wait_until(lambda: (b.listed(run_id) or {})["outcome"], left, "the loss")
            print(f"lost after {time.monotonic() - begun:.1f} s")
            wait_until(lambda: (c.listed(run_id) or {})["outcome"], PATIENCE, "the loss at the third")
        wait_until(lambda: time.monotonic() >= until, away * scale + PATIENCE)
    wait_until(lambda: shared(a), PATIENCE)
    (tmp_path / "end").touch()
    assert a.cli("wait", run_id).code == 0
    if away < LOST_AFTER:
        for site in (b, c):
            whole(site, run_id)
            same(a.run(run_id), site.run(run_id))
        return
    assert f"run {run_id} was ended at the link" in a.status
    assert outcome(a, run_id)["code"] == 0
    assert outcome(b, run_id)["reason"] == "lost"
    assert outcome(c, run_id) == outcome(b, run_id)
    for site in (b, c):
        assert site.cli("log", run_id).code == 0
        assert files(a.run(run_id)).startswith(files(site.run(run_id)))


def test_hops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A viewer that goes to the other host at every event, in three ways in turn."""
    monkeypatch.setattr(hops, "HOPS", share(100_000, 100))
    begun = time.monotonic()
    hops.test_hops_at_every_event(tmp_path)
    print(f"{hops.HOPS} hops in {time.monotonic() - begun:.0f} s")

"""A store that was copied to another machine while its runs went on, and what becomes of the copy."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.helpers.link_hosts import PATIENCE, same
from tests.helpers.networks import Site, networked
from tests.helpers.wait import wait_until

PACED = (
    "import itertools, os, time\nfor n in itertools.count():\n"
    " print('line', n, 'x' * (n % 97), flush=True); time.sleep(0.002)\n if os.path.exists('end'): break"
)

pytestmark = [pytest.mark.fault, pytest.mark.root]


def test_copied_store(tmp_path: Path):
    """It shares nothing and takes nothing away, says why, and is a store of its own under another name."""
    with networked(tmp_path, "abc") as network, network.engine() as engine:
        a, c = (Site(network.machines[name], tmp_path / name, engine.url) for name in "ac")
        done = a.start("echo", "done")
        live, far = (site.start("python3", "-uc", PACED, cwd=str(tmp_path)) for site in (a, c))
        for site, run_id in ((a, far), (c, live), (c, done)):
            wait_until(lambda site=site, run_id=run_id: site.listed(run_id), PATIENCE)  # type: ignore[misc]
        wait_until(lambda: (c.listed(done) or {})["outcome"], PATIENCE)
        assert a.cli("wait", "--for", "line 100 ", far).code == 0, "a part of it is here"

        subprocess.run(["cp", "-a", str(tmp_path / "a"), str(tmp_path / "b")], check=True)
        b = Site(network.machines["b"], tmp_path / "b", engine.url)
        b.url = str(b.path)  # as its link.json has it: under the name of the first
        wait_until(lambda: "was a store folder copied?" in b.status, PATIENCE, "the reason")
        said = b.status
        assert "host=NAME" in said
        alone = b.start("echo", "alone", key="alone")
        assert b.cli("wait", alone).code == 0
        assert b.cli("log", alone).out == b"alone\n"
        assert b.cli("rm", done).code == 0
        refused = b.cli("stop", live)
        assert refused.code == 2, refused
        assert "belongs to the host" in refused.err
        third = c.start("echo", "third")
        wait_until(lambda: a.listed(third), PATIENCE)
        assert c.listed(alone) is None
        assert (c.listed(done) or {})["outcome"]["ok"]
        assert c.cli("log", done).out == b"done\n"
        assert (c.listed(live) or {})["state"] == "running"

        b = Site(network.machines["b"], tmp_path / "b", engine.url)  # with host=b in its URL
        wait_until(lambda: "copied" not in b.status, PATIENCE, "a store of its own")
        wait_until(lambda: (found := c.listed(alone)) and found["outcome"], PATIENCE, "its run elsewhere")
        assert c.cli("log", alone).out == b"alone\n"
        assert b.cli("wait", "--for", "line 200 ", live).code == 0, "it follows what it had a part of"
        (tmp_path / "end").touch()
        for site in (a, b, c):
            for run_id in (live, far):
                assert site.cli("wait", run_id).code == 0
                assert site.cli("log", run_id).code == 0
        for site, origin, run_id in ((b, a, live), (b, c, far), (a, c, far), (c, a, live)):
            wait_until(lambda site=site, run_id=run_id: site.run(run_id).closed, PATIENCE)  # type: ignore[misc]
            same(origin.run(run_id), site.run(run_id))
        assert b.cli("rm", live).code == 0
        wait_until(lambda: b.listed(live) is None, PATIENCE)
        assert (c.listed(live) or {})["outcome"]["ok"]
        assert json.loads((a.path / live / "outcome.json").read_text())["code"] == 0

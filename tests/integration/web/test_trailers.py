"""The outcome behind a reply, where the protocol has a place for it."""

import subprocess
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import ASGI, Server


@pytest.mark.slow
def test_outcome_in_trailers(store: Store, tmp_path: Path) -> None:
    """Over HTTP/2, a client that requests the end and accepts trailers gets the outcome in them; no other."""
    run = store.start(["sh", "-c", "echo hi; exit 3"])
    run.wait()
    with Server(tmp_path, "hypercorn", ASGI) as server:
        curl = ["curl", "-sv", "--http2-prior-knowledge", f"{server.root}/runs/{run.id}/log?end=1"]
        asked = subprocess.run([*curl, "-H", "TE: trailers"], capture_output=True, check=True)
        plain = subprocess.run(curl, capture_output=True, check=True)

    assert asked.stdout == plain.stdout == b"hi\n[runcast: exit code 3]\n"
    assert b"< trailer: Runcast-Outcome, Runcast-Exit-Status" in asked.stderr
    assert b"< runcast-outcome: exit code 3" in asked.stderr
    assert b"< runcast-exit-status: 3" in asked.stderr
    assert b"< runcast-exit-status" not in plain.stderr

"""R26 through a server: a run of another host shows its name, and a client hears of it."""

import json

import pytest

from runcast import Store
from runcast.client import Client
from runcast.errors import RunElsewhere
from runcast.run.base import files_of
from tests.helpers.lost import edit_origin, end, orphan, started
from tests.helpers.servers import Server

FAR = {"boot": "0" * 32, "machine": "1" * 32, "host": "far", "local": False}

pytestmark = [pytest.mark.fault, pytest.mark.slow]


def test_elsewhere(store: Store, server: Server):
    """What has come is given; who comes again at the tail, waits or removes is told the host's name."""
    run, pids = started(store, "echo ready; exec sleep 600", 1)
    try:
        orphan(run)
        edit_origin(files_of(run).path, **FAR)
        path = f"/runs/{run.id}"

        shown = json.loads(server.ask("GET", path)[2])
        assert (shown["state"], shown["elsewhere"], shown["closed"]) == ("running", "far", False)
        assert server.ask("GET", f"{path}/log?follow=0")[2] == b"ready\n"
        for method, asked in (("GET", f"{path}/log?offset={run.tail_offset}"), ("DELETE", path)):
            status, headers, body = server.ask(method, asked, X_Runcast="1")
            assert (status, headers["content-type"]) == (409, "application/problem+json")
            assert json.loads(body)["host"] == "far"
        with Client(f"http://127.0.0.1:{server.port}/") as client:
            there = client.get(run.id)
            assert there.elsewhere == "far"
            with pytest.raises(RunElsewhere, match="'far'"):
                there.output(timeout=60)
    finally:
        end(pids)

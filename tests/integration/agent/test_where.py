"""Where runs of several hosts are, and how the link is, as people see it everywhere."""

import json
import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runcast.client import Client
from runcast.store.token import kept_token
from tests.helpers.cli import cli
from tests.helpers.engines import Server, serving, valkey
from tests.helpers.link_hosts import PATIENCE, Host, linked_hosts
from tests.helpers.link_servers import serve
from tests.helpers.wait import MS, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Server]:
    """A server of Valkey, which tests stop."""
    with serving(valkey(), tmp_path / "valkey") as server:
        yield server


def metrics(host: Host, client: Client) -> dict[str, float]:
    """Return what `/metrics` of a host's server says of the link."""
    headers = {"Authorization": f"Bearer {kept_token(host.store.path)}"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{client.url.rstrip('/')}/metrics", headers=headers)
    ) as reply:
        text = reply.read().decode()
    return {name: float(value) for name, value in re.findall(r"^(runcast_link_\w+) (\S+)$", text, re.M)}


def as_json(host: Host, run_id: str) -> Any:
    """Return what `ls --json` has of a run's host."""
    lines = cli("--store", host.store.path, "ls", "--json").out.splitlines()
    return next(one["host"] for one in map(json.loads, lines) if one["id"] == run_id)


def test_host_of_a_run(tmp_path: Path, engine: Server):
    """Python, the list, JSON, a server's runs and its client say which host a run is on."""
    with linked_hosts(tmp_path, engine.url, "where:") as (a, b):
        run = a.store.start(["sleep", "600"])
        mirror = b.get(run)
        assert (run.host, mirror.host) == (("a", True, None, None), ("a", False, None, None))
        assert (str(run.host), str(mirror.host)) == ("on this host", "on host a")
        there = {"name": "a", "here": False, "silent_since": None, "unshared_since": None}
        assert as_json(b, run.id) == there
        assert as_json(a, run.id) == there | {"here": True}
        listed = [cli("--store", host.store.path, "ls").out.decode().splitlines() for host in (a, b)]
        assert "HOST" not in listed[0][0]
        assert listed[1][0].split() == ["ID", "STATE", "STARTED", "TOOK", "SIZE", "HOST", "COMMAND"]
        assert listed[1][1].split()[-3:] == ["a", "sleep", "600"]
        with serve(b) as client:
            found = client.get(run.id)
            assert found.host == mirror.host
            assert next(client.list()).host == mirror.host
            assert metrics(b, client) == {
                "runcast_link_up": 1,
                "runcast_link_silent_hosts": 0,
                "runcast_link_unshipped_bytes": 0,
            }
        run.kill()
        run.wait(timeout=PATIENCE)


def test_silent_host(tmp_path: Path, engine: Server):
    """Of a host that says nothing others say since when, beside the state of its runs that go on."""
    with linked_hosts(tmp_path, engine.url, "silent:", lost_after=24.0) as (a, b):
        # The former is silent after a quarter of that; the other one's is how long all of this may take.
        b.settings._replace(lost_after=240_000 * MS).write(b.store.path)
        run = a.store.start(["sleep", "600"])
        over = a.store.start(["true"])
        over.wait(timeout=PATIENCE)
        mirror, ended = b.get(run), b.get(over)
        wait_until(lambda: ended.outcome, PATIENCE)
        pid = a.begin()
        os.kill(pid, signal.SIGSTOP)
        try:
            wait_until(lambda: b.store.ids() and mirror.host.silent_since, PATIENCE, "silence")  # type: ignore[union-attr]
            assert re.fullmatch(r"on host a, silent for \d+ (ms|s)|.*\.\d s", str(mirror.host))
            assert ended.host == ("a", False, None, None)
            listed = cli("--store", b.store.path, "ls")
            (row,) = (line for line in listed.out.decode().splitlines() if line.startswith(run.id))
            assert re.search(r"running, host silent for [\d.]+ s ", row)
            assert "host a is silent since" in listed.err
            assert as_json(b, run.id)["silent_since"].startswith("20")
            doctor = cli("--store", b.store.path, "doctor").out.decode()
            assert re.search(r"problem hosts: .*host a is silent since", doctor)
            with serve(b) as client:
                assert metrics(b, client)["runcast_link_silent_hosts"] == 1
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: b.store.ids() and mirror.host.silent_since is None, PATIENCE, "a sign")  # type: ignore[union-attr]
        run.kill()
        run.wait(timeout=PATIENCE)


def test_link_that_is_down(tmp_path: Path, engine: Server):
    """While the engine is away both hosts say since when, for what it matters to; then that is over."""
    with linked_hosts(tmp_path, engine.url, "down:") as (a, b):
        over = a.store.start(["true"])
        over.wait(timeout=PATIENCE)
        run = a.store.start(["sh", "-c", "read word; echo $word; sleep 600"], stdin="pipe")
        mirror = b.get(run)
        assert b.get(over).output(timeout=PATIENCE) == ""
        wait_until(lambda: b.get(over).closed, PATIENCE)
        with serve(a) as client:
            engine.kill()
            for one in (run, mirror):
                wait_until(lambda one=one: one.host.unshared_since, PATIENCE, "no link")  # type: ignore[misc,union-attr]
            assert re.fullmatch(r"on this host, not shared since \d\d:\d\d", str(run.host))
            assert re.fullmatch(r"on host a, not shared since \d\d:\d\d", str(mirror.host))
            assert (over.host, b.get(over).host) == (("a", True, None, None), ("a", False, None, None))
            run.send(b"word\n")
            wait_until(lambda: metrics(a, client)["runcast_link_unshipped_bytes"] == 5, PATIENCE, "5 bytes")
            assert metrics(a, client)["runcast_link_up"] == 0
            doctor = cli("--store", a.store.path, "doctor").out.decode()
            assert re.search(r"problem link: redis://127.0.0.1:\d+/0: expected a server", doctor)
            assert "not shared since" in cli("--store", a.store.path, "ls").out.decode()
            engine.start()
            wait_until(lambda: metrics(a, client)["runcast_link_unshipped_bytes"] == 0, PATIENCE, "all of it")
            assert metrics(a, client)["runcast_link_up"] == 1
            assert run.host == ("a", True, None, None)
        run.kill()
        run.wait(timeout=PATIENCE)


def test_doctor_of_a_shared_store(tmp_path: Path, engine: Server):
    """`doctor` says what the engine and the shelf are, who is there, and whose name somebody else has."""
    shelf = tmp_path / "shelf"
    with linked_hosts(tmp_path, engine.url, "doctor:", "ab") as (a, b):
        a.begin()
        b.settings._replace(host="a", shelf=f"file://{shelf}").write(b.store.path)
        b.begin()
        wait_until(
            lambda: "another store has it" in cli("--store", b.store.path, "doctor").out.decode(), PATIENCE
        )
        said = cli("--store", b.store.path, "doctor").out.decode()
        assert re.search(r"problem link: expected nobody else .* host= of its own in its URL", said)
        assert re.search(rf"problem shelf: file://{shelf}: ", said)
        said = cli("--store", a.store.path, "doctor").out.decode()
        assert re.search(r"ok +link: (valkey|Valkey).* answers, and knows this host as 'a'", said)
        assert re.search(r"ok +shelf: there is none", said)

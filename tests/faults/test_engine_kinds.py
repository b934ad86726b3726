"""Agents over the engines that people have: a cluster, TLS, a user with few rights."""

from pathlib import Path

import pytest
from redis.crc import key_slot

from runcast import Run
from tests.helpers.certificates import certificate
from tests.helpers.engines import Server, cluster, redis
from tests.helpers.link_hosts import PATIENCE, linked_hosts, same
from tests.helpers.talkers import Talker
from tests.helpers.wait import wait_until
from tests.integration.link.test_engines import RIGHTS, move

pytestmark = [pytest.mark.slow, pytest.mark.fault]
AOF = ("--appendonly", "yes")


def test_cluster(tmp_path: Path):
    """Runs in all parts of a cluster are shared while a slot moves, and when a killed server is back."""
    with (
        cluster(tmp_path / "cluster", options=AOF) as servers,
        linked_hosts(tmp_path, servers[0].url, "rc:") as (a, b),
    ):
        talkers = []
        while len({server_of(servers, talker.run) for talker in talkers}) < len(servers):
            talkers.append(Talker(a, b))
            talkers[-1].talk(2000)
        moved = talkers[0]
        source = server_of(servers, moved.run)
        target = servers[servers.index(source) - 1]
        wait_until(lambda: moved.here(moved.said()), PATIENCE)
        moved.talk(20_000)
        move(slot_of(moved.run), source, target, f"rc:{{{moved.run.id}}}")
        wait_until(lambda: moved.here(moved.said()), PATIENCE, "what was written while the slot moved")

        killed = servers[-1]
        for talker in talkers:
            talker.talk(20_000)
        killed.kill()
        for talker in talkers:
            talker.talk(2000)
            talker.said()
        killed.start()
        for talker in talkers:
            talker.finish()


def slot_of(run: Run) -> int:
    """Return the slot of a run."""
    return int(key_slot(f"rc:{{{run.id}}}".encode()))


def server_of(servers: list[Server], run: Run) -> Server:
    """Return the server that has a run, as long as no slot was moved."""
    return servers[slot_of(run) * len(servers) // 16384]


def test_tls_and_a_user_with_few_rights(tmp_path: Path):
    """Agents need no more than TLS and the rights that the documentation names."""
    pair = certificate(tmp_path, "server")
    server = Server(redis(), tmp_path / "tls")
    server.options = (
        *("--tls-port", str(server.port), "--tls-auth-clients", "no", "--tls-cert-file", str(pair.cert)),
        *("--tls-key-file", str(pair.key), "--tls-ca-cert-file", str(pair.cert)),
        *("--user", "default", "off", "--user", "alice", "on", ">secret", *RIGHTS),
    )
    url = f"rediss://alice:secret@127.0.0.1:{server.port}/0?ssl_ca_certs={pair.cert}"
    try:
        server.start()
        with linked_hosts(tmp_path, url, "rc:") as (a, b):
            talker = Talker(a, b)
            talker.talk(20_000)
            other = a.store.start(["cat"], stdin="pipe", key="job")
            mirror = b.get(other)
            mirror.send(b"words\n", eof=True)
            assert b.store.start(["cat"], stdin="pipe", key="job").id == other.id
            assert mirror.output(timeout=PATIENCE) == "words\n"
            wait_until(lambda: mirror.closed, PATIENCE)
            same(other, mirror)
            server.kill()
            server.start()
            talker.finish()
    finally:
        server.kill()

"""Faults of an engine between agents while a run writes: nothing is lost or doubled, no run is touched."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Run
from runcast.model import Reason
from runcast.store.links import read_status
from tests.helpers.cli import cli
from tests.helpers.engines import SentinelServer, Server, serving, valkey
from tests.helpers.link_hosts import PATIENCE, Host, linked_hosts, same
from tests.helpers.ports import free_ports
from tests.helpers.relay import Relay
from tests.helpers.talkers import Talker
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.fault]
LOST = 1_500_000  # bytes that an engine loses
SILENT = 2.0  # seconds for which a host may be silent
AOF = ("--appendonly", "yes", "--auto-aof-rewrite-percentage", "0")


def tail_at(server: Server, run: Run) -> int:
    """Return where a server has the end of a run's log."""
    return int(server.command("HGET", f"rc:{{{run.id}}}run", "tail") or 0)  # type: ignore[call-overload]


def ended_at(server: Server, run: Run) -> bool:
    """Return whether a server has the outcome of a run."""
    return bool(server.command("HEXISTS", f"rc:{{{run.id}}}run", "outcome"))


def told(host: Host, text: str) -> bool:
    """Return whether people of a host are told something about the link."""
    status = read_status(host.store.path)
    return status is not None and text in (status.message or "")


def longer_than_silent() -> None:
    """Wait for longer than hosts may be silent."""
    until = time.monotonic() + 2 * SILENT
    wait_until(lambda: time.monotonic() >= until, PATIENCE)


def write_and_end(server: Server, host: Host, talker: Talker) -> Run:
    """Have more come to a server than it will lose: of a run that goes on, and last all of one that ends."""
    before = tail_at(server, talker.run)
    talker.talk(30_000)
    talker.said()
    ended = host.store.start(["seq", "1", "100000"])
    ended.wait(timeout=PATIENCE)
    wait_until(lambda: ended_at(server, ended), PATIENCE, "the outcome at the engine")
    wait_until(lambda: tail_at(server, talker.run) == talker.run.tail_offset, PATIENCE, "the rest")
    assert tail_at(server, talker.run) - before + tail_at(server, ended) > LOST
    return ended


def test_newest_part_of_the_data_is_gone(tmp_path: Path):
    """An engine that lost the end of its append-only file gets it again, also of a run that it had whole."""
    with (
        serving(valkey(), tmp_path / "engine", *AOF) as engine,
        linked_hosts(tmp_path, engine.url, "rc:") as (a, b),
    ):
        talker = Talker(a, b)
        ended = write_and_end(engine, a, talker)
        engine.kill()
        file = next((tmp_path / "engine" / "appendonlydir").glob("*.incr.aof"))
        with open(file, "r+b") as data:
            data.truncate(file.stat().st_size - LOST)
        with serving(valkey(), tmp_path / "engine", *AOF) as looked_at:  # at a port of its own
            assert not ended_at(looked_at, ended)
            assert tail_at(looked_at, talker.run) < talker.run.tail_offset
        engine.start()

        wait_until(lambda: ended_at(engine, ended), PATIENCE, "the run that it had whole")
        talker.finish()
        found = b.get(ended)
        assert found.output(timeout=PATIENCE) == ended.output(timeout=PATIENCE)
        wait_until(lambda: found.closed, PATIENCE)
        same(ended, found)
        assert not told(a, "lost its data")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """Give a primary and its replica."""
    soon = ("--repl-diskless-sync-delay", "0")
    with serving(valkey(), tmp_path / "primary", *soon) as primary:
        of = ("--replicaof", f"127.0.0.1 {primary.port}")
        with serving(valkey(), tmp_path / "replica", *soon, *of) as replica:
            wait_until(lambda: is_replica(replica), PATIENCE, "a replica")
            yield primary, replica


def is_replica(server: Server) -> bool:
    """Return whether a server follows a primary."""
    info = server.command("INFO", "replication")
    assert isinstance(info, dict)
    return info.get("master_link_status") == "up"


def fall_behind(replica: Server) -> None:
    """Have a replica get nothing more of its primary."""
    replica.command("REPLICAOF", "127.0.0.1", str(free_ports(1)[0]))


def test_replica_that_was_behind(tmp_path: Path, pair: tuple[Server, Server]):
    """A replica that lacks the last 1.5 MB becomes the engine, at the same address: it gets them again."""
    primary, replica = pair
    with (
        Relay(primary.port) as relay,
        linked_hosts(tmp_path, f"redis://127.0.0.1:{relay.port}/0", "rc:") as (a, b),
    ):
        talker = Talker(a, b)
        talker.talk(10_000)
        wait_until(lambda: talker.here(talker.said()), PATIENCE)
        wait_until(lambda: tail_at(replica, talker.run) == talker.run.tail_offset, PATIENCE)
        fall_behind(replica)
        ended = write_and_end(primary, a, talker)
        primary.kill()
        relay.target = replica.port
        replica.command("REPLICAOF", "NO", "ONE")
        assert tail_at(replica, ended) == 0

        wait_until(lambda: ended_at(replica, ended), PATIENCE, "the run that the primary had whole")
        talker.finish()
        found = b.get(ended)
        assert found.output(timeout=PATIENCE) == ended.output(timeout=PATIENCE)
        wait_until(lambda: found.closed, PATIENCE)
        same(ended, found)


def test_sentinels_name_another_primary(tmp_path: Path, pair: tuple[Server, Server]):
    """Where sentinels watch, agents find the next primary, and stay there when the old one is back."""
    primary, replica = pair
    sentinel = SentinelServer(valkey(), tmp_path / "sentinel", primary)
    dead = free_ports(1)[0]  # the first of two sentinels is down
    url = f"redis+sentinel://127.0.0.1:{dead},127.0.0.1:{sentinel.port}/main/0"
    try:
        sentinel.start()
        sentinel.every("INFO", 1000)
        wait_until(sentinel.knows_replica, PATIENCE, "a sentinel that knows the replica")
        with linked_hosts(tmp_path, url, "rc:") as (a, b):
            talker = Talker(a, b)
            talker.talk(10_000)
            wait_until(lambda: talker.here(talker.said()), PATIENCE)
            wait_until(lambda: tail_at(replica, talker.run) == talker.run.tail_offset, PATIENCE)
            fall_behind(replica)
            ended = write_and_end(primary, a, talker)
            primary.kill()
            talker.talk(10_000)
            wait_until(lambda: sentinel.primary() == replica.port, 3 * PATIENCE, "a failover")
            wait_until(lambda: ended_at(replica, ended), PATIENCE, "the run that the primary had whole")
            primary.start()
            sentinel.every("PUBLISH", 200)  # four times as long it lets a server be what it should not be
            wait_until(lambda: is_replica(primary), 3 * PATIENCE, "the old primary as a replica")
            talker.finish()
            found = b.get(ended)
            assert found.output(timeout=PATIENCE) == ended.output(timeout=PATIENCE)
            wait_until(lambda: found.closed, PATIENCE)
            same(ended, found)
    finally:
        sentinel.kill()


def test_away_for_longer_than_hosts_may_be_silent(tmp_path: Path):
    """While an engine is away nobody can be heard: the first that is back ends no run of the others."""
    with (
        serving(valkey(), tmp_path / "engine", *AOF) as engine,
        linked_hosts(tmp_path, engine.url, "rc:", lost_after=SILENT) as hosts,
    ):
        talkers = [Talker(hosts[number], hosts[number - 1]) for number in range(2)]
        for talker in talkers:
            talker.talk(10)
            wait_until(lambda talker=talker: talker.here(talker.said()), PATIENCE)  # type: ignore[misc]
        engine.kill()
        longer_than_silent()
        engine.start()

        for talker in talkers:
            talker.finish()


def test_full(tmp_path: Path):
    """A full engine takes no output; nothing else suffers: runs go on, hosts are heard, a run is stopped."""
    limits = ("--maxmemory", "8mb", "--maxmemory-policy", "noeviction")
    with (
        serving(valkey(), tmp_path / "engine", *limits) as engine,
        linked_hosts(tmp_path, engine.url, "rc:", lost_after=SILENT) as (a, b),
    ):
        other = a.store.start(["sleep", "600"])
        stopped = b.get(other)
        talker = Talker(a, b)
        talker.talk(200_000)
        wait_until(lambda: told(a, "expected room at"), PATIENCE, "what is wrong")
        assert talker.said() > 8 << 20  # more than the engine takes: it wrote all of it
        assert "expected room at" in cli("--store", a.store.path, "ls").err
        engine.command("CONFIG", "SET", "maxmemory", "4mb")  # less than it has: not a byte more
        longer_than_silent()
        stopped.stop()
        assert other.wait(timeout=PATIENCE).reason is Reason.STOPPED
        assert not talker.here(talker.run.tail_offset)
        engine.command("CONFIG", "SET", "maxmemory", "0")

        talker.finish()
        wait_until(lambda: not told(a, "expected room at"), PATIENCE, "that it has room")
        assert stopped.wait(timeout=PATIENCE) == other.outcome


def listeners(server: Server) -> int:
    """Return how many clients of a server have subscribed to something."""
    return len(server.command("CLIENT", "LIST", "TYPE", "pubsub"))  # type: ignore[arg-type]


def test_too_slow_for_its_news(tmp_path: Path):
    """An agent that takes no news for so long that the engine cuts it off looks at everything again."""
    limit = ("--client-output-buffer-limit", "pubsub 64kb 0 0")
    with (
        serving(valkey(), tmp_path / "engine", *limit) as engine,
        linked_hosts(tmp_path, engine.url, "rc:") as (a, b),
    ):
        talker = Talker(a, b)
        talker.talk(10_000)
        wait_until(lambda: talker.here(talker.said()), PATIENCE)
        before = listeners(engine)
        pid = b.begin()
        os.kill(pid, signal.SIGSTOP)
        talker.talk(10_000)
        publish = f"for n = 1, 2000 do redis.call('SPUBLISH', 'rc:{{{talker.run.id}}}', '') end"
        while listeners(engine) == before:
            engine.command("EVAL", publish, "0")
        os.kill(pid, signal.SIGCONT)

        wait_until(lambda: talker.here(talker.said()), PATIENCE, "what came meanwhile")
        talker.finish()


def test_cut_anywhere(tmp_path: Path):
    """Connections of both agents that are cut anywhere, in requests or replies, lose and double nothing."""
    check_cuts(tmp_path, 1, 10)


def check_cuts(tmp_path: Path, seed: int, cuts: int) -> None:
    """Cut the connections of two agents so often, at random bytes, while a run writes flat out."""
    chance = random.Random(seed)
    with serving(valkey(), tmp_path / "engine") as engine, Relay(engine.port) as relay:
        url = f"redis://127.0.0.1:{relay.port}/0"
        with linked_hosts(tmp_path, url, "rc:") as (a, b):
            talker = Talker(a, b)
            for cut in range(cuts):
                way = chance.choice(["requests", "replies"])
                relay.cut_after(**{way: int(10 ** chance.uniform(0, 5.5))})
                talker.talk(5000)
                wait_until(lambda cut=cut: relay.cuts > cut, PATIENCE, "a cut")  # type: ignore[misc]
            talker.finish()


@pytest.mark.parametrize("held", [("replies",), ("requests", "replies")])
def test_nothing_comes_through(tmp_path: Path, held: tuple[str, ...]):
    """Replies that come too late, and a way that swallows everything, are found out; then it goes on."""
    with serving(valkey(), tmp_path / "engine") as engine, Relay(engine.port) as relay:
        url = f"redis://127.0.0.1:{relay.port}/0"
        with linked_hosts(tmp_path, url, "rc:") as (a, b):
            talker = Talker(a, b)
            talker.talk(10_000)
            wait_until(lambda: talker.here(talker.said()), PATIENCE)
            relay.hold(**dict.fromkeys(held, True))
            talker.talk(50_000)
            for host in (a, b):
                wait_until(lambda host=host: not is_up(host), PATIENCE, "that it is noticed")  # type: ignore[misc]
            relay.release()

            wait_until(lambda: talker.here(talker.said()), PATIENCE, "what was written meanwhile")
            talker.finish()


def is_up(host: Host) -> bool:
    """Return whether a host's agent says that its link is up."""
    status = read_status(host.store.path)
    return status is not None and status.up


def test_key_while_it_is_started_again(tmp_path: Path):
    """Hosts that start a key while the engine is away for a moment start one run, though it lost its data."""
    with (
        serving(valkey(), tmp_path / "engine") as engine,
        linked_hosts(tmp_path, engine.url, "rc:", "abc") as hosts,
    ):
        for host in hosts:
            host.begin()
            wait_until(lambda host=host: is_up(host), PATIENCE)  # type: ignore[misc]
        first = hosts[0].store.start(["sleep", "600"], key="first")
        engine.kill()
        for host in hosts:
            wait_until(lambda host=host: not is_up(host), PATIENCE)  # type: ignore[misc]
        found: list[tuple[str, ...]] = []

        def start(host: Host) -> None:
            found.append(tuple(host.store.start(["sleep", "600"], key=key).id for key in ("job", "first")))

        threads = [threading.Thread(target=start, args=(host,)) for host in hosts]
        for thread in threads:
            thread.start()
        engine.start()
        for thread in threads:
            thread.join()

        assert len(found) == len(hosts)
        assert len(set(found)) == 1
        assert found[0][1] == first.id

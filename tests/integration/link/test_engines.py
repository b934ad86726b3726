"""Links through real engines keep every promise, and lose nothing whatever fails."""

from contextlib import closing
from pathlib import Path

import pytest
from redis.crc import key_slot

from runcast.errors import LinkRefused
from runcast.testing import FaultyLink, check_link, check_shipping, link_hosts, link_runs
from runcast.testing.link_steps import hears
from tests.helpers.certificates import certificate
from tests.helpers.engines import RedisPlace, Server, cluster, redis, serving, valkey
from tests.helpers.wait import wait_until

SEEDS = 12
RIGHTS = (
    *("~rc:*", "&rc:*", "-@all", "+@read", "+@write", "+@pubsub", "+@scripting", "+@connection"),
    *("+info", "+time", "+cluster|slots"),
)


@pytest.mark.slow
def test_every_promise(engine: list[Server]):
    """Each engine keeps the promises that the one in memory keeps."""
    check_link(lambda: RedisPlace(engine))


@pytest.mark.slow
def test_nothing_is_lost_or_doubled(engine: list[Server]):
    """With a fault in every fifth request on both sides, the mirror has the log as it was written."""
    faults = 0
    for seed in range(SEEDS):
        with closing(RedisPlace(engine)) as place:
            ship, mirror = (FaultyLink(place.link(), seed + 1000 * n, rate=0.2) for n in range(2))

            check_shipping(ship, mirror, seed)

            faults += ship.faults.total() - ship.faults["none"]

    assert faults > SEEDS


@pytest.mark.slow
def test_forgotten_scripts(engine: list[Server]):
    """A server that has forgotten the scripts, after a restart for example, gets them again."""
    with closing(RedisPlace(engine)) as place:
        link = place.link()
        link.wait(link.hello())
        link.wait(link.create("run", b"{}", "a"))
        for server in engine:
            server.command("SCRIPT", "FLUSH")
        replies = [link.put("run", at, at + 1, b"x", b"") for at in range(10)]
        results = [link.wait(reply) for reply in replies]
        tail = link.wait(link.look(["run"]))["run"].tail

    # Those behind the first one were sent before the script was there: in order, as the first was.
    assert (results, tail) == ([None] * 10, 10)


@pytest.mark.slow
def test_tls_and_a_user_with_few_rights(tmp_path: Path):
    """A link speaks TLS to a server whose certificate it trusts, as a user who may use its keys only."""
    pair, other = certificate(tmp_path, "server"), certificate(tmp_path, "other")
    server = Server(redis(), tmp_path / "tls")
    server.options = (
        *("--tls-port", str(server.port), "--tls-auth-clients", "no"),
        *(
            "--tls-cert-file",
            str(pair.cert),
            "--tls-key-file",
            str(pair.key),
            "--tls-ca-cert-file",
            str(pair.cert),
        ),
        *("--user", "alice", "on", ">secret", *RIGHTS),
    )
    address = f"127.0.0.1:{server.port}/0?ssl_ca_certs="
    try:
        server.start()
        with closing(RedisPlace([server], f"rediss://alice:secret@{address}{pair.cert}")) as place:
            check_shipping(place.link(), place.link(), 1)
            for check in (
                link_runs.check_values,
                link_runs.check_trims,
                link_runs.check_drops,
                link_hosts.check_asks,
            ):
                place.prefix += "x"
                check(place)
        for url, said in {
            f"rediss://alice:secret@{address}{other.cert}": "expected a certificate",
            f"rediss://alice:wrong-one@{address}{pair.cert}": "see user and password",
        }.items():
            with closing(RedisPlace([server], url)) as place:
                link = place.link()
                with pytest.raises(LinkRefused, match=said) as caught:
                    link.wait(link.hello())
                assert "secret" not in str(caught.value)
                assert "wrong-one" not in str(caught.value)
    finally:
        server.kill()


@pytest.mark.slow
def test_user_without_rights(tmp_path: Path):
    """What a user of the server may not do is refused with the server's reason, and the link stays up."""
    with serving(valkey(), tmp_path, "--user", "bob", "on", ">secret", *RIGHTS) as server:
        place = RedisPlace([server], server.url.replace("//", "//bob:secret@"))
        place.prefix = "others:"
        with closing(place):
            link = place.link()
            with pytest.raises(LinkRefused, match="NOPERM"):
                link.wait(link.hello())


@pytest.mark.slow
def test_slot_that_moves(tmp_path: Path):
    """A run whose slot moves to another server of its cluster goes on there: no error, no lost news."""
    with cluster(tmp_path) as servers, closing(RedisPlace(servers)) as place:
        writer, watcher, late = place.link(), place.link(), place.link()
        for link in (writer, watcher, late):
            link.wait(link.hello())
        writer.wait(writer.create("run", b"{}", "a"))
        writer.wait(writer.put("run", 0, 3, b"one", b""))
        watcher.watch(["run"])
        wait_until(hears(watcher, "run"))
        slot = key_slot(f"{place.prefix}{{run}}".encode())
        source = servers[slot * len(servers) // 16384]
        target = servers[servers.index(source) - 1]

        move(slot, source, target, f"{place.prefix}{{run}}")
        written = writer.wait(writer.put("run", 3, 6, b"two", b""))
        wait_until(hears(watcher, "run"), what="news from the new server")

        stretch = watcher.wait(watcher.read("run", 0, 1 << 20))
        assert (written, stretch.tail) == (None, 6)
        assert writer.wait(writer.put("run", 6, 7, b"x", b"")) is None
        wait_until(hears(watcher, "run"), what="further news")
        late.watch(["run"])
        wait_until(hears(late, "run"), what="news of what is first watched after the move")
        assert writer.wait(writer.put("run", 7, 8, b"y", b"")) is None
        wait_until(hears(late, "run"), what="news of a change")


def move(slot: int, source: Server, target: Server, run: str) -> None:
    """Move a slot with the keys of a run, which begin so, to another server."""
    names = {server: str(server.command("CLUSTER MYID"), "ascii") for server in (source, target)}
    target.command("CLUSTER", "SETSLOT", str(slot), "IMPORTING", names[source])
    source.command("CLUSTER", "SETSLOT", str(slot), "MIGRATING", names[target])
    for what in ("log", "run"):
        source.command("MIGRATE", "127.0.0.1", str(target.port), f"{run}{what}", "0", "5000")
    for server in (target, source):
        server.command("CLUSTER", "SETSLOT", str(slot), "NODE", names[target])

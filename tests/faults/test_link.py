"""Faults of engines and of the way to them: what is lost (nothing), what is said, and when."""

import itertools
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runcast.errors import Full, LinkDown, LinkRefused
from runcast.link import Link
from runcast.link.opening import open_link
from runcast.testing.link_steps import entries_of, hears
from tests.helpers.engines import Server, redis, serving, valkey
from tests.helpers.link_faults import (
    PIECE,
    caught,
    caught_by,
    check_whole,
    connect_again,
    fill_up,
    is_down,
    put_through_cuts,
)
from tests.helpers.ports import free_port
from tests.helpers.relay import Relay
from tests.helpers.wait import MS, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.fault]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Give a Valkey."""
    with serving(valkey(), tmp_path / "server") as server:
        yield server


def opened(url: str) -> Link:
    """Return a link that is connected."""
    link = open_link(url)
    link.wait(link.hello())
    return link


@pytest.mark.parametrize("way", ["requests", "replies"])
def test_cut_at_every_byte(server: Server, way: str):
    """Cut after any byte of a put or of its reply: resumed from the tail, each put is there once."""
    with Relay(server.port) as relay, closing(open_link(f"redis://127.0.0.1:{relay.port}")) as link:
        cuts, taken = put_through_cuts(link, relay, way, lambda size: range(1, size + 1))

    assert taken == (cuts if way == "replies" else 1)  # a request is whole with its last byte


@pytest.mark.parametrize("aof", ["yes", "no"])
def test_killed(tmp_path: Path, aof: str):
    """A server that is killed comes back with its data or without, and both ends whole, each piece once."""
    with (
        serving(valkey(), tmp_path / "server", "--appendonly", aof) as server,
        closing(opened(server.url)) as link,
    ):
        epoch = link.wait(link.hello()).epoch
        end = 100 * len(PIECE)
        assert fill_up(link, "run", end // 2) == 50
        waiting = [link.put("run", end // 2, end, PIECE * 50, b"") for _ in range(3)]
        server.kill()
        wait_until(lambda: is_down(link), what="the end of the server")
        server.start()
        again = connect_again(link)

        taken = fill_up(link, "run", end)

        assert {type(caught(reply)) for reply in waiting} == {LinkDown}
        assert (again == epoch, taken) == ((True, 50) if aof == "yes" else (False, 100))
        check_whole(link, "run", end)


def test_frozen(server: Server):
    """A server that answers nothing is down after seconds, whether anything waits for it or not."""
    with closing(opened(server.url)) as busy, closing(opened(server.url)) as idle:
        fill_up(busy, "run", 10 * len(PIECE))
        idle.watch(["run"])
        wait_until(hears(idle, "run"))
        server.freeze()
        reply = busy.put("run", 10 * len(PIECE), 11 * len(PIECE), PIECE, b"%d" % (10 * len(PIECE)))
        try:
            wait_until(lambda: is_down(busy) & is_down(idle), 8000 * MS, "both links to be down")
        finally:
            server.thaw()
        assert isinstance(caught(reply), LinkDown)
        for link in (busy, idle):
            connect_again(link)
        wait_until(hears(idle, "run"))
        fill_up(busy, "run", 20 * len(PIECE))
        check_whole(idle, "run", 20 * len(PIECE))


def test_asked_while_frozen(server: Server):
    """What a host is asked while the server is frozen is an error, and is not done when it goes on."""
    with closing(opened(server.url)) as here, closing(opened(server.url)) as there:

        def asks() -> list[bytes]:
            here.step()
            return [one.request for one in there.wait(there.asks())]

        there.wait(there.lease("there", 600.0, b"holder"))
        here.ask("there", b"first", 60.0)  # since then the server has the script
        assert wait_until(asks, 5000 * MS, "a request") == [b"first"]
        server.freeze()
        reply = here.ask("there", b"stop", 60.0)
        try:
            wait_until(lambda: is_down(here), 8000 * MS, "the link to be down")
        finally:
            server.thaw()
        assert isinstance(caught(reply), LinkDown)
        connect_again(here)
        connect_again(there)
        there.wait(there.lease("there", 600.0, b"holder"))
        here.ask("there", b"look", 60.0)
        assert wait_until(asks, 5000 * MS, "a request") == [b"look"]


def test_emptied(server: Server):
    """A server that lost its data without a cut is noticed by the first put, and by its epoch."""
    with closing(opened(server.url)) as link:
        epoch = link.wait(link.hello()).epoch
        end = 10 * len(PIECE)
        fill_up(link, "run", end)
        server.command("FLUSHALL")

        assert type(caught_by(link, link.put("run", end, 2 * end, b"", b""))).__name__ == "NoRun"
        assert connect_again(link) != epoch
        assert fill_up(link, "run", end) == 10
        check_whole(link, "run", end)


def test_full(tmp_path: Path):
    """A server without room refuses puts with Full and nothing else; with room it takes them, in order."""
    limits = ("--maxmemory", "8mb", "--maxmemory-policy", "noeviction")
    with serving(valkey(), tmp_path / "server", *limits) as server, closing(opened(server.url)) as link:
        assert link.wait(link.hello()).engine.limit == 8 << 20
        link.wait(link.create("run", b"{}", "a"))
        data, at, refused = b"x" * 65536, 0, None
        while refused is None:
            reply = link.put("run", at, at + len(data), data, b"")
            refused = caught_by(link, reply)
            at += len(data) if refused is None else 0
        assert isinstance(refused, Full)
        assert link.wait(link.look(["run"]))["run"].tail == at
        assert link.wait(link.trim("run", at // 2)) > 0
        assert link.wait(link.put("run", at, at + len(data), data, b"")) is None
        assert entries_of(link, "run", at)[0].data == data


def test_evicting(tmp_path: Path):
    """A server that would drop data when full is refused, with what to change; without a limit it is not."""
    policy = ("--maxmemory-policy", "allkeys-lru")
    with serving(valkey(), tmp_path / "server", *policy) as server, closing(opened(server.url)) as link:
        server.command("CONFIG", "SET", "maxmemory", "100mb")
        with pytest.raises(LinkRefused, match="set maxmemory-policy noeviction"):
            link.wait(link.hello())
        with pytest.raises(LinkRefused):
            link.news()
        server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        link.wait(link.hello())


@pytest.mark.parametrize("binary", [valkey, redis])
def test_becomes_a_replica(tmp_path: Path, binary: object):
    """A server that became a replica takes nothing: the link is down until a primary is there again."""
    with serving(binary(), tmp_path / "one") as one, serving(valkey(), tmp_path / "other") as other:  # type: ignore[operator]
        with closing(opened(one.url)) as link:
            fill_up(link, "run", len(PIECE))
            one.command("REPLICAOF", "127.0.0.1", str(other.port))
            reply = link.put("run", len(PIECE), 2 * len(PIECE), PIECE, b"%d" % len(PIECE))

            assert isinstance(caught_by(link, reply), LinkDown)
            assert "replica" in str(caught_by(link, link.hello()))
            one.command("REPLICAOF", "NO", "ONE")
            connect_again(link)
            fill_up(link, "run", 2 * len(PIECE))
            check_whole(link, "run", 2 * len(PIECE))


def test_too_slow_for_its_news(tmp_path: Path):
    """Who takes no news for so long that the server cuts it off looks at everything again."""
    limit = ("--client-output-buffer-limit", "pubsub 64kb 0 0")
    with serving(valkey(), tmp_path / "server", *limit) as server, closing(opened(server.url)) as link:
        link.wait(link.create("run", b"{}", "a"))
        link.watch(["run", "other"])
        wait_until(hears(link, "run", "other"))
        publish = "for n = 1, 2000 do redis.call('SPUBLISH', 'rc:{run}', '') end"
        while server.command("CLIENT", "LIST", "TYPE", "pubsub"):
            server.command("EVAL", publish, "0")

        wait_until(lambda: is_down(link), what="the cut")
        connect_again(link)
        wait_until(hears(link, "run", "other"), what="news of all")


def test_nothing_watched_any_more(server: Server, monkeypatch: pytest.MonkeyPatch):
    """A link that watches nothing any more stays up: its connection for news answers otherwise then."""
    monkeypatch.setattr("runcast.link.redis_connection._IDLE", 0.02)
    monkeypatch.setattr("runcast.link.redis_connection._SILENCE", 1.0)
    with closing(opened(server.url)) as link:
        link.watch(["run"])
        wait_until(hears(link, "run"))
        link.unwatch(["run"])
        before = pings(server)

        wait_until(lambda: is_down(link) or pings(server) > before + 150, 20000 * MS, "150 heartbeats")

        assert not is_down(link)


def pings(server: Server) -> int:
    """Return how many PINGs a server has answered."""
    stats = server.command("INFO", "commandstats")
    assert isinstance(stats, dict)
    return int(stats.get("cmdstat_ping", {"calls": 0})["calls"])


def test_nobody_there():
    """Where nobody listens the link is down; its descriptor stays, and so does its pause."""
    port = free_port()
    with closing(open_link(f"redis://alice:secret@127.0.0.1:{port}")) as link:
        descriptor = link.fileno()
        for _ in range(3):
            with pytest.raises(LinkDown, match=f"127.0.0.1:{port}, none answers") as error:
                link.wait(link.hello())
            assert "secret" not in str(error.value)
            assert (link.fileno(), link.timeout()) == (descriptor, None)


def old_server(listener: socket.socket) -> None:
    """Answer one client like a Redis of long ago."""
    connection, _ = listener.accept()
    info = b"redis_version:6.2.14\r\n"
    with connection:
        while data := connection.recv(65536):
            for request in data.split(b"*")[1:]:
                is_info = request.endswith(b"$4\r\nINFO\r\n")
                connection.sendall(b"$%d\r\n%b\r\n" % (len(info), info) if is_info else b"+OK\r\n")


def test_too_old():
    """A server before version 7 is refused, with its version."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=old_server, args=(listener,), daemon=True).start()
        port = listener.getsockname()[1]
        with (
            closing(open_link(f"redis://127.0.0.1:{port}")) as link,
            pytest.raises(LinkRefused, match=r"it is 6\.2\.14: upgrade it"),
        ):
            link.wait(link.hello())


def test_nothing_stays_open(server: Server):
    """A link that was cut and connected many times has no more descriptors and threads than at first."""
    with closing(opened(server.url)) as link:
        link.watch(["run"])
        wait_until(hears(link, "run"))
        before = len(os.listdir("/proc/self/fd")), threading.active_count()
        for _ in itertools.repeat(None, 20):
            server.command("CLIENT", "KILL", "TYPE", "normal")
            wait_until(lambda: is_down(link), what="the cut")
            connect_again(link)
            wait_until(hears(link, "run"))
        wait_until(lambda: threading.active_count() <= before[1], what="the end of the threads")
        wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before[0], what="no more descriptors")

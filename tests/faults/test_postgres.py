"""Faults of PostgreSQL as an engine, and of the way to it: what is lost (nothing), what is said, and when."""

import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from runcast.errors import Full, LinkDown, LinkError, LinkRefused
from runcast.link import Link
from runcast.link.opening import open_link
from runcast.testing.link_steps import hears
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
from tests.helpers.postgres import Postgres, postgres
from tests.helpers.relay import Relay
from tests.helpers.wait import MS, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.fault]


@pytest.fixture(scope="module")
def shared() -> Iterator[Postgres]:
    """Give a server that no test ends."""
    with postgres() as server:
        yield server


@pytest.fixture
def server(shared: Postgres) -> Postgres:
    """Give it without data."""
    shared.clear()
    return shared


def opened(url: str) -> Link:
    """Return a link that is connected."""
    link = open_link(url)
    link.wait(link.hello())
    return link


@pytest.mark.parametrize("way", ["requests", "replies"])
def test_cut_within_a_put(server: Postgres, way: str):
    """Cut within a put or its reply: resumed from the tail, each put is there once."""
    with (
        Relay(server.port) as relay,
        closing(open_link(server.url.replace(str(server.port), str(relay.port)))) as link,
    ):
        # Every ninth byte, and all of the end, which commits it.
        cuts, taken = put_through_cuts(
            link, relay, way, lambda size: [*range(1, size - 12, 9), *range(max(1, size - 12), size + 1)]
        )

    # The next hello ends the process of the one before, which may have a whole request before it or not.
    assert taken in ({cuts} if way == "replies" else {0, 1})


def test_killed():
    """A server that is killed comes back with its data: the same epoch, other processes, each piece once."""
    with postgres() as server, closing(opened(server.url)) as link:
        before = link.wait(link.hello())
        end = 100 * len(PIECE)
        assert fill_up(link, "run", end // 2) == 50
        waiting = [link.put("run", end // 2, end, PIECE * 50, b"") for _ in range(3)]
        server.kill()
        wait_until(lambda: is_down(link), what="the end of the server")
        server.start()
        connect_again(link)
        after = link.wait(link.hello())

        fill_up(link, "run", end)

        assert {type(caught(reply)) for reply in waiting} == {LinkDown}
        assert (after.epoch, after.engine) == (before.epoch, before.engine)
        assert after.servers != before.servers
        check_whole(link, "run", end)


def test_frozen(server: Postgres):
    """A server that answers nothing is down after seconds; what a host is asked meanwhile is not done."""
    with closing(opened(server.url)) as busy, closing(opened(server.url)) as idle:
        fill_up(busy, "run", 10 * len(PIECE))
        idle.watch(["run"])
        idle.wait(idle.lease("there", 600.0, b"holder"))
        wait_until(hears(idle, "run"))
        server.freeze()
        reply = busy.put("run", 10 * len(PIECE), 11 * len(PIECE), PIECE, b"%d" % (10 * len(PIECE)))
        asked = busy.ask("there", b"stop", 60.0)
        try:
            wait_until(lambda: is_down(busy) & is_down(idle), 8000 * MS, "both links to be down")
        finally:
            server.thaw()
        assert isinstance(caught(reply), LinkDown)
        assert isinstance(caught(asked), LinkDown)
        for link in (busy, idle):
            connect_again(link)
        wait_until(hears(idle, "run"))
        fill_up(busy, "run", 20 * len(PIECE))
        check_whole(idle, "run", 20 * len(PIECE))
        idle.wait(idle.lease("there", 600.0, b"holder"))
        assert [one.request for one in idle.wait(idle.asks())] == []


@pytest.mark.parametrize("code", ["53100", "53200"])
def test_full(server: Postgres, code: str):
    """A server without room refuses puts with Full, all of a batch; with room it takes them."""
    with closing(opened(server.url)) as link:
        fill_up(link, "run", 5 * len(PIECE))
        refuse = f"BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '{code}'; END"
        server.sql(f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {refuse} $$")
        each = "FOR EACH STATEMENT EXECUTE FUNCTION refuse()"
        server.sql(f"CREATE TRIGGER refuse BEFORE INSERT ON runcast.entries {each}")
        at = 5 * len(PIECE)
        replies = [link.put("run", at + n, at + n + 1, b"x", b"") for n in range(3)]

        assert [type(caught_by(link, reply)) for reply in replies] == [Full] * 3
        assert link.wait(link.look(["run"]))["run"].tail == at
        server.sql("DROP FUNCTION refuse CASCADE")
        fill_up(link, "run", 10 * len(PIECE))
        check_whole(link, "run", 10 * len(PIECE))


def test_standby_takes_over():
    """A standby is refused; promoted without the last moments it is known as one that may lack some."""
    with postgres() as primary:
        standby = primary.standby()
        try:
            standby.start()
            with closing(open_link(standby.url)) as link, pytest.raises(LinkRefused, match="it is a standby"):
                link.wait(link.hello())
            both = f"postgresql://admin@127.0.0.1:{standby.port},127.0.0.1:{primary.port}/postgres"
            with closing(opened(both)) as link:
                end = 10 * len(PIECE)
                fill_up(link, "run", end)
                [[written]] = primary.sql("SELECT pg_current_wal_insert_lsn()")
                behind = f"SELECT pg_last_wal_replay_lsn() < '{written}'"
                wait_until(lambda: standby.sql(behind) == [(False,)], what="the standby to follow")
                standby.kill()  # so that it does not get what comes now
                assert link.wait(link.tell("run", "outcome", b"done"))
                before = link.wait(link.hello())
                primary.kill()
                standby.start()
                standby.promote()
                connect_again(link)
                after = link.wait(link.hello())

                assert after.epoch == before.epoch
                assert after.servers.split()[-1] != before.servers.split()[-1]
                assert link.wait(link.look(["run"]))["run"].outcome is None
                assert link.wait(link.tell("run", "outcome", b"done"))
                check_whole(link, "run", end)
        finally:
            standby.close()


def test_locks_of_a_connection_that_is_gone(server: Postgres):
    """What a link's last connection still holds when it connects again is let go by that."""
    with closing(opened(server.url)) as link:
        fill_up(link, "run", len(PIECE))
        [[pid]] = server.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'runcast'")
        before = link.wait(link.hello())

        wait_until(lambda: server.sql(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}") == [])
        assert link.wait(link.hello()).servers == before.servers


def test_nothing_stays_open(server: Postgres):
    """A link that was cut and connected many times has no more descriptors and threads than at first."""
    with closing(opened(server.url)) as link:
        link.wait(link.create("run", b"{}", "a"))
        link.watch(["run"])
        wait_until(hears(link, "run"))
        before = len(os.listdir("/proc/self/fd")), threading.active_count()
        for _ in itertools.repeat(None, 10):
            server.cut()
            wait_until(lambda: is_down(link), what="the cut")
            connect_again(link)
            wait_until(hears(link, "run"))
        wait_until(lambda: threading.active_count() <= before[1], what="the end of the threads")
        wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before[0], what="no more descriptors")


def test_nobody_there(server: Postgres):
    """Where nobody listens the link is down; its descriptor stays, and no message has the password."""
    url = "postgresql://alice:secret@127.0.0.1:1/db"
    with closing(open_link(url)) as link:
        descriptor = link.fileno()
        for _ in range(3):
            with pytest.raises(LinkError, match=r"expected a server at 127\.0\.0\.1:1, none serves") as error:
                link.wait(link.hello())
            assert "secret" not in str(error.value)
            assert (link.fileno(), link.timeout()) == (descriptor, None)

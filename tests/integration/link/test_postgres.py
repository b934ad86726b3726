"""Links through a real PostgreSQL keep every promise; who may use it, and what is refused."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from runcast.errors import LinkDown, LinkRefused
from runcast.link.opening import open_link
from runcast.testing import FaultyLink, check_link, check_shipping
from runcast.testing.link_steps import connect, create, hears, put, read_all, stepped
from tests.helpers.postgres import Postgres, PostgresPlace, postgres
from tests.helpers.wait import wait_until

SEEDS = 6

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """Give a server."""
    with postgres() as server:
        yield server


@pytest.fixture
def place(server: Postgres) -> Iterator[PostgresPlace]:
    """Give a schema of its own."""
    with closing(PostgresPlace(server)) as place:
        yield place


def test_every_promise(server: Postgres):
    """It keeps the promises that the engine in memory keeps."""
    check_link(lambda: PostgresPlace(server))


def test_nothing_is_lost_or_doubled(server: Postgres):
    """With a fault in every fifth request on both sides, the mirror has the log as it was written."""
    faults = 0
    for seed in range(SEEDS):
        with closing(PostgresPlace(server)) as place:
            ship, mirror = (FaultyLink(place.link(), seed + 1000 * n, rate=0.2) for n in range(2))

            check_shipping(ship, mirror, seed)

            faults += ship.faults.total() - ship.faults["none"]

    assert faults > SEEDS


def test_tables_are_made_once(place: PostgresPlace):
    """Of 16 hosts that say hello to an empty database at once, one makes the tables, and all use them."""
    links = [place.link() for _ in range(16)]
    replies = [link.hello() for link in links]

    epochs = {link.wait(reply).epoch for link, reply in zip(links, replies, strict=True)}

    assert len(epochs) == 1


def test_watched_while_it_is_written(place: PostgresPlace):
    """Whoever begins to watch in the middle of writing hears of the last bytes, each time."""
    writer, watcher = connect(place), connect(place)
    for _ in range(30):
        run = create(writer)
        replies = [writer.put(run, at, at + 1, b"x", b"") for at in range(20)]
        writer.step()
        watcher.watch([run])
        at = 0
        while at < len(replies):
            writer.step()
            watcher.step()
            if run in watcher.news():
                at = len(read_all(watcher, run))


def test_role_that_may_not_create(server: Postgres):
    """A role without rights is refused, with what gives it these; with that it does all that a link does."""
    server.sql("CREATE ROLE few LOGIN; REVOKE CREATE ON DATABASE postgres FROM PUBLIC")
    url = server.url.replace("admin@", "few@")
    with closing(PostgresPlace(server, url)) as place:
        place.prefix = "shared"
        link = place.link()
        with pytest.raises(
            LinkRefused, match=r"python -m runcast\.link\.postgres_schema --prefix shared --role"
        ):
            link.wait(link.hello())

        server.sql(printed("--prefix", "shared"))
        with pytest.raises(LinkRefused, match="expected the right to use the tables"):
            link.wait(link.hello())
        server.sql('DROP SCHEMA "shared" CASCADE')
        server.sql(printed("--prefix", "shared", "--role", "few"))
        check_shipping(place.link(), place.link(), 1)
        one, link = connect(place), connect(place)
        one.wait(one.lease("a", 10, b"store"))
        asked = link.ask("a", b"stop", 10)
        [ask] = wait_until(lambda: (link.step(), one.wait(one.asks()))[1])
        one.wait(one.answer(ask, b"done"))
        assert link.wait(asked) == b"done"
        one.wait(one.drop(create(one)))


def printed(*arguments: str) -> str:
    """Return the SQL for an administrator, as the command of the docs prints it."""
    command = [sys.executable, "-m", "runcast.link.postgres_schema", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def refusal(url: str, prefix: str = "runcast") -> str:
    """Return why a link is refused."""
    with closing(open_link(url, prefix=prefix)) as link:
        with pytest.raises(LinkRefused) as caught:
            link.wait(link.hello())
        with pytest.raises(LinkRefused):
            link.news()
    return str(caught.value)


def test_what_is_refused(server: Postgres, place: PostgresPlace):
    """No such database, a read-only one, no TLS, other tables: refused, with what to change."""
    assert "does not exist" in refusal(server.url + "nowhere")
    assert "sslmode" in refusal(server.url + "?sslmode=require")
    assert "read-only" in refusal(server.url + "?options=-c%20default_transaction_read_only%3Don")
    connect(place)
    server.sql(f'UPDATE "{place.prefix}".meta SET version = 2')
    assert "expected version 1 of the tables" in refusal(server.url, place.prefix)
    for spoil, found in (
        ('DELETE FROM "{}".meta', "meta has 0 rows"),
        ('DROP TABLE "{}".watches', 'watches" does not exist'),
        ('DROP TABLE "{0}".meta; CREATE TABLE "{0}".meta (x int)', 'column "version" does not exist'),
    ):
        with closing(PostgresPlace(server)) as other:
            connect(other)
            server.sql(spoil.format(other.prefix))
            said = refusal(server.url, other.prefix)
            assert found in said
            assert "take another prefix, or drop the schema" in said


def test_role_that_may_not_call(server: Postgres, place: PostgresPlace):
    """A role that may use the tables and no function is refused at once, not at each verb."""
    connect(place)
    server.sql("CREATE ROLE silent LOGIN")
    server.sql(
        f'GRANT USAGE ON SCHEMA "{place.prefix}" TO silent; '
        f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{place.prefix}" TO silent; '
        f'REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA "{place.prefix}" FROM PUBLIC'
    )
    said = refusal(server.url.replace("admin@", "silent@"), place.prefix)
    assert "expected the right to use the tables and functions" in said
    assert "create_run" in said


def test_link_that_the_server_has_forgotten(server: Postgres, place: PostgresPlace):
    """Data that is restored under a link brings it down, and after another hello all is news."""
    link = connect(place)
    run = create(link)
    link.watch([run])
    wait_until(hears(link, run))
    [[number]] = server.sql(f'SELECT id FROM "{place.prefix}".links')

    server.sql(f'DELETE FROM "{place.prefix}".links; DELETE FROM "{place.prefix}".watches')

    with pytest.raises(LinkDown, match="was its data restored"):
        wait_until(lambda: stepped(link) is None)
    link.wait(link.hello())
    wait_until(hears(link, run))
    # 2: a session that does not listen, as behind a pooler that gives sessions to transactions.
    table = f"to_regclass('\"{place.prefix}\".runs')::oid::bigint"
    assert server.sql(f'SELECT "{place.prefix}".beat({number}, 0, {table})') == [(2,)]


def test_outcome_that_is_lost_is_noticed(server: Postgres, place: PostgresPlace):
    """A server that was restored to before an outcome counts as another one; otherwise it does not."""
    link = connect(place)
    run = create(link)
    put(link, run, 0, b"x")
    first = link.wait(link.hello())
    assert link.wait(link.tell(run, "outcome", b"done"))
    same = link.wait(link.hello())

    tables = f'"{place.prefix}"'
    server.sql(f"UPDATE {tables}.runs SET outcome = NULL; UPDATE {tables}.links SET outcomes = 0")

    later = link.wait(link.hello())
    assert (first.servers, same.epoch) == (same.servers, later.epoch)
    assert later.servers != same.servers
    assert link.wait(link.hello()).servers == later.servers


def test_what_is_trimmed_and_dropped_is_removed(server: Postgres, place: PostgresPlace):
    """The entries of what was trimmed or dropped are removed from the tables a while later."""
    link = connect(place)
    runs = [create(link) for _ in range(2)]
    for run in runs:
        replies = [link.put(run, at, at + 1, b"x", b"") for at in range(1200)]
        link.wait(replies[-1])
    link.wait(link.trim(runs[0], 1100))
    link.wait(link.drop(runs[1]))

    def left() -> object:
        stepped(link)
        return server.sql(f'SELECT count(*) FROM "{place.prefix}".entries')

    wait_until(lambda: left() == [(100,)])
    assert read_all(link, runs[0], 1100) == b"x" * 100
    wait_until(
        lambda: (stepped(link), server.sql(f'SELECT * FROM "{place.prefix}".gone WHERE run > 0'))[1] == []
    )

"""Following over a network that fails: each byte once, whatever is cut, killed or silent."""

import asyncio
import random
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runcast import Store
from runcast.client import AsyncClient, Client
from runcast.errors import RunNotFound, ServerUnreachable, WaitTimeout
from tests.helpers.children import PYTHON, Collected, Printer, collect
from tests.helpers.proxy import Proxy
from tests.helpers.servers import Server
from tests.helpers.wait import MS, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.fault]

LONG = 20000 * MS
WHOLE_GET = 3000  # bytes of replies: more than how a run stands, less than its log


def follow_sync(
    url: str, run_id: str, *, begun: Callable[[], object] = lambda: None, **options: Any
) -> Collected:
    with Client(url, patience=LONG) as client:
        run = client.get(run_id)
        begun()
        return collect(run.follow(**options))


def follow_async(
    url: str, run_id: str, *, begun: Callable[[], object] = lambda: None, **options: Any
) -> Collected:
    async def main() -> Collected:
        async with AsyncClient(url, patience=LONG) as client:
            run = await client.get(run_id)
            begun()
            collected = Collected()
            async for chunk in run.follow(**options):
                if chunk is not None:
                    collected.add(chunk)
            return collected

    return asyncio.run(main())


FACES = pytest.mark.parametrize("follow", [follow_sync, follow_async], ids=["sync", "async"])


def cuts(seed: int, most: int) -> Callable[[int], int]:
    """Return a plan: each connection fails at some byte; the first not before the run was looked at."""
    choose = random.Random(seed)
    return lambda number: choose.randrange(1 if number else WHOLE_GET, most)


def assert_whole(collected: Collected, printer: Printer) -> None:
    __tracebackhide__ = True
    assert collected.faults == []
    assert collected.of("stdout") == printer.copy("stdout")
    assert collected.of("stderr") == printer.copy("stderr")


@FACES
def test_every_byte_once_over_many_cuts(
    server: Server, store: Store, tmp_path: Path, follow: Callable[[str, str], Collected]
):
    """Connections that are cut at random bytes lose nothing and repeat nothing."""
    printer = Printer(tmp_path / "copies", lines=6000, block=3)
    run = store.start(printer.argv)

    with Proxy(server.port, cuts(17, 50_000)) as proxy:
        collected = follow(proxy.url, run.id)

    assert_whole(collected, printer)
    assert proxy.connections > 20


def test_bytes_that_are_no_text(server: Server, store: Store):
    """Every byte value comes as it was, also where cuts and characters meet."""
    block = bytes(range(256)) + "\u2028ä\ufeff".encode()
    code = f"import os\nfor n in range(400): os.write(1 + n % 2, {block!r})"
    run = store.start([*PYTHON, code])
    run.wait()

    with Proxy(server.port, cuts(5, 20_000)) as proxy:
        collected = follow_sync(proxy.url, run.id)

    assert collected.faults == []
    assert collected.of("stdout") == collected.of("stderr") == block * 200
    assert proxy.connections > 5


def test_one_channel_over_cuts(server: Server, store: Store, tmp_path: Path):
    """With a filter, what comes after a cut is again only what was asked for, all of it."""
    printer = Printer(tmp_path / "copies", lines=4000, block=3)
    run = store.start(printer.argv)

    with Proxy(server.port, cuts(3, 30_000)) as proxy:
        collected = follow_sync(proxy.url, run.id, channel="stderr")

    assert (collected.of("stderr"), collected.of("stdout")) == (printer.copy("stderr"), b"")
    assert proxy.connections > 5


@FACES
def test_server_killed_and_started_again(
    server: Server, store: Store, tmp_path: Path, follow: Callable[..., Collected]
):
    """A server that is killed in the middle and comes back at its port is followed on."""
    printer = Printer(tmp_path / "copies", lines=0, block=1, pause=0.005)
    run = store.start(printer.argv)
    found, begun = list[Collected](), threading.Event()
    follower = threading.Thread(
        target=lambda: found.append(follow(f"{server.root}/", run.id, begun=begun.set))
    )

    follower.start()
    assert begun.wait(LONG)  # who cannot reach a server at all gives up at once
    for _ in range(2):
        tail = run.tail_offset
        wait_until(lambda at=tail: run.tail_offset > at + 2000, what="output")
        server.kill()
        server.start()
    assert not run.closed
    printer.enough()
    follower.join(LONG)

    assert_whole(found[0], printer)


def test_stalled_connections(server: Server, store: Store, tmp_path: Path):
    """A connection on which nothing comes any more, though it is open, is left for a new one."""
    printer = Printer(tmp_path / "copies", lines=600)
    run = store.start(printer.argv)
    run.wait()

    with (
        Proxy(server.port, lambda number: (WHOLE_GET, 60_000, None)[min(number, 2)], stall=True) as proxy,
        Client(proxy.url, patience=1000 * MS) as client,
    ):
        collected = collect(client.get(run.id).follow())

    assert_whole(collected, printer)
    assert proxy.stalled == 2


@pytest.mark.parametrize("verb", ["follow", "wait"])
def test_gives_up(server: Server, store: Store, verb: str):
    """After its patience without a word of the server it says so: where, how long, that the run goes on."""
    run = store.start(["sleep", "600"])
    with Client(f"{server.root}/", patience=300 * MS) as client:
        remote = client.get(run.id)
        server.kill()

        with pytest.raises(ServerUnreachable) as error:
            list(remote.follow()) if verb == "follow" else remote.wait()

    assert f"lost the server {server.root}/ for more than {300 * MS:g} s: nothing listens there" in str(
        error.value
    )
    assert f"run {run.id} goes on there" in str(error.value)
    assert not run.closed


def test_silence_is_told_while_the_server_is_away(server: Server, store: Store):
    """With a timeout None comes for silence, as long as the server is there and while it is not."""
    run = store.start(["sh", "-c", "echo begun; exec sleep 600"])
    with Client(f"{server.root}/", patience=LONG) as client:
        lines = client.get(run.id).lines(timeout=50 * MS)
        assert next(line for line in lines if line is not None) == "begun"
        assert [next(lines), next(lines)] == [None, None]
        server.kill()
        assert [next(lines) for _ in range(3)] == [None] * 3
        server.start()
        assert next(lines) is None
        run.kill()
        assert set(lines) <= {None}


def test_silence_of_one_channel(server: Server, store: Store):
    """What a filter leaves out is silence, too."""
    run = store.start(["sh", "-c", "while :; do echo chatter; sleep 0.01; done"])

    with Client(f"{server.root}/") as client:
        lines = client.get(run.id).lines(channel="stderr", timeout=100 * MS)

        assert [next(lines), next(lines)] == [None, None]


def test_wait_has_a_deadline(server: Server, store: Store):
    """A wait ends at its deadline, while the server is there and while it is away; the run goes on."""
    run = store.start(["sh", "-c", "while :; do echo chatter; sleep 0.01; done"])
    timeout = 200 * MS
    with Client(f"{server.root}/", patience=LONG) as client:
        remote = client.get(run.id)
        for _ in range(2):
            said = re.escape(f"is still running after {timeout:g} s; it goes on")
            with pytest.raises(WaitTimeout, match=said):
                remote.wait(timeout=timeout)
            server.kill()

    assert not run.closed


def test_run_removed_while_it_is_followed(server: Server, store: Store):
    """A run that is gone when the connection is made again is an error, not an endless wait."""
    run = store.start(["sh", "-c", "echo begun; exec sleep 600"])
    with Client(f"{server.root}/", patience=LONG) as client:
        lines = client.get(run.id).lines()
        assert next(lines) == "begun"
        server.kill()
        run.kill()
        run.wait()
        store.remove(run)
        server.start()

        with pytest.raises(RunNotFound, match=run.id):
            next(lines)


def test_who_leaves_is_noticed(server: Server, store: Store):
    """A follower that is not read to its end closes its connection."""
    run = store.start(["sh", "-c", "echo begun; exec sleep 600"])
    with Proxy(server.port, lambda number: None) as proxy, Client(proxy.url) as client:
        remote = client.get(run.id)
        for _ in range(20):
            lines = remote.lines()
            assert next(lines) == "begun"
            lines.close()  # type: ignore[attr-defined]  # a generator

        assert wait_until(
            lambda: len(established(proxy.port)) <= 1, what="the end of all but what is kept alive"
        )


def established(port: int) -> list[str]:
    """Return the connections to a port that our side holds open."""
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    return [row[1] for row in rows if int(row[2].rpartition(":")[2], 16) == port and row[3] == "01"]

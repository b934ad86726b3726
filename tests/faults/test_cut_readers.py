"""R17, R8: viewers whose connections are cut at any byte, on every transport."""

import contextlib
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.children import Printer
from tests.helpers.cut_readers import READERS, WSGI_READERS, CutReader, Text, WebSocket, read_cut
from tests.helpers.processes import Held, zombies
from tests.helpers.servers import ASGI, WSGI, Server
from tests.helpers.wait import MS, wait_until

pytestmark = pytest.mark.fault

DEADLINE = 60000 * MS
LEAVERS = 20  # of each transport
POOL = 40  # threads of our gunicorn, which begins them when they are needed, and keeps them
SERVERS = [("uvicorn", ASGI, READERS), ("gunicorn", WSGI, WSGI_READERS)]


def resume(
    store: Store, server: Server, kinds: list[type[CutReader]], seed: int, folder: Path, again: int = 0
) -> int:
    """Read a run over each transport while it goes on, and some times `again`; return the number of cuts."""
    printer = Printer(folder / f"copy{seed}", lines=500, block=5, pause=0.003)
    run = store.start(printer.argv)
    cuts = 0
    for turn in range(1 + again):
        readers = [kind(server.port, run.id) for kind in kinds]
        assert read_cut(readers, seed * 100 + turn, 600 if turn else 6000) == []
        whole = run.output(encoding=None)
        for reader in readers:
            reader.expect(whole)
        cuts += sum(reader.cuts for reader in readers)
    assert len(whole) == len(printer.copy("stdout")) + len(printer.copy("stderr"))
    store.remove(run)
    return cuts


@pytest.mark.parametrize(("kind", "code", "readers"), SERVERS, ids=["asgi", "wsgi"])
def test_every_transport_resumes(
    kind: str, code: str, readers: list[type[CutReader]], store: Store, tmp_path: Path
):
    """R17: cut at any byte of a reply, head included, each transport has the log once, to the byte."""
    with Server(tmp_path, kind, code) as server:
        assert resume(store, server, readers, 17, tmp_path) > 5 * len(readers)


def leave(
    store: Store, server: Server, kinds: list[type[CutReader]], pid: Callable[[], int], each: int
) -> tuple[Held, Held]:
    """Have viewers come, and leave at any byte; return what the server held before and afterwards.

    One run is over, one has said something and is silent: to leave also means to leave in mid-wait.
    """
    over = store.start(["sh", "-c", "yes 'a line of output' | head -n 3000"])
    silent = store.start(["sh", "-c", "echo up; read end"], stdin="pipe")
    assert over.wait(timeout=DEADLINE).ok
    wait_until(lambda: silent.tail_offset)
    chance = random.Random(8)

    def visits(count: int) -> None:
        for kind in kinds:
            for at in range(count):
                viewer = kind(server.port, (over, silent)[at % 2].id)
                viewer.visit(chance, chance.choice((1, 300, 3000)), 0.001)
        settled(pid)

    # First what is made once, and kept: a pool's threads, caches, what is imported late.
    if WebSocket not in kinds:
        with contextlib.ExitStack() as held:
            for _ in range(POOL + 5):
                held.enter_context(Text(server.port, silent.id).connect())
            wait_until(lambda: Held.of(pid()).threads > POOL, timeout=DEADLINE)
    visits(10)
    before = settled(pid)
    visits(each)
    after = settled(pid, before)
    silent.kill()
    return before, after


def settled(pid: Callable[[], int], most: Held | None = None) -> Held:
    """Return what a server holds as soon as it holds no connection, and no more than `most`.

    Where that does not come, what it holds then: the caller says what is wrong.
    """
    held = [Held.of(pid())]

    def calm() -> bool:
        held.append(Held.of(pid()))
        return held[-1].connections == 0 and (most is None or held[-1].within(most))

    with contextlib.suppress(AssertionError):
        wait_until(calm, timeout=DEADLINE)
    return held[-1]


@pytest.mark.parametrize(("kind", "code", "readers"), SERVERS, ids=["asgi", "wsgi"])
def test_viewers_that_leave(
    kind: str, code: str, readers: list[type[CutReader]], store: Store, tmp_path: Path
):
    """R8: viewers that leave at any byte leave no descriptor, thread, watch, zombie or memory behind."""
    zombies_before = zombies(os.getpid())  # of other tests
    with Server(tmp_path, kind, code) as server:
        assert server.process is not None
        main = server.process.pid
        before, after = leave(store, server, readers, lambda: serving(main, kind), LEAVERS)

    assert after.within(before), f"before {before}, after {after}"
    assert set(zombies(os.getpid())) <= set(zombies_before)


def serving(main: int, kind: str) -> int:
    """Return the process that serves: under gunicorn it is a child of the one that was started."""
    children = [int(pid) for pid in Path(f"/proc/{main}/task/{main}/children").read_text().split()]
    return children[0] if kind == "gunicorn" else main

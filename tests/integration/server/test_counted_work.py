"""What a line and a start cost, counted: wake-ups, encodings and system calls are the same on any machine."""

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from runcast import Run, Store
from runcast.model import Reading
from runcast.run.base import files_of
from runcast.server.uvicorn_fastpath import FastpathProtocol
from runcast.web.asgi import RunsASGI
from runcast.wire.encoder import Encoder
from runcast.wire.lines import LineEvents
from runcast.wire.text import Text
from tests.helpers.servers import LONG
from tests.helpers.traced import system_calls
from tests.helpers.wait import MS, wait_until
from tests.integration.server.test_handover import HEAD, asked, serving, until, until_true, viewers

pytestmark = pytest.mark.slow
BURSTS = 20
RACY = 0.06  # seconds after a change of the log's folder, in which each reading lists it again


@pytest.fixture(name="fed")
def fed_fixture(store: Store, tmp_path: Path) -> Iterator[tuple[Run, int]]:
    """A run that prints what comes through a pipe that it has open, and the other end of that."""
    os.mkfifo(tmp_path / "pipe")
    run = store.start(["cat", str(tmp_path / "pipe")])
    fd = os.open(tmp_path / "pipe", os.O_WRONLY)
    yield run, fd
    os.close(fd)
    run.wait(timeout=LONG)


def burst_calls(pid: int, fd: int, connections: list[socket.socket], *, threads: bool = True) -> Counter[str]:
    """Return the calls of a process while lines are written, each when all viewers have the one before."""
    lines = [f"burst {number}\n".encode() for number in range(BURSTS)]
    with system_calls(pid, threads=threads) as calls:
        for line in lines:
            os.write(fd, line)
            for connection in connections:
                until(connection, line)
    return calls


@pytest.mark.parametrize(("form", "pread"), [("text", 1), ("sse", 2)])
def test_system_calls_of_a_burst(store: Store, fed: tuple[Run, int], form: str, pread: int):
    """A burst wakes the server once, which reads the log once for all, and writes once to each viewer.

    It reads the event, the bytes, and the index where lines have labels; then it looks whether there is a
    newer segment, and waits.
    """
    run, fd = fed
    with serving(store) as (process, port):
        for count in (10, 20):
            with contextlib.ExitStack() as stack:
                connections = [stack.enter_context(asked(port, run, form)) for _ in range(count)]
                for line in (b"first\n", b"second\n"):
                    os.write(fd, line)
                    for connection in connections:
                        until(connection, line)
                    wait_until(lambda: time.time() - os.stat(files_of(run).log_path).st_mtime > RACY)
                calls = burst_calls(process.pid, fd, connections)
            wait_until(lambda: viewers(port) == 0)
            # Each viewer had each line. Once strace counted one write less than that, and why is not known.
            assert count * BURSTS - 1 <= calls["write"] <= count * BURSTS + 10, calls
            looks, waits = ("newfstatat", "fstat"), ("epoll_pwait", "epoll_wait")
            for each, names in ((1, ("read",)), (pread, ("pread64",)), (pread, looks), (1, waits)):
                # Once a second there is more: the timer, and a look whether the run has ended.
                found = sum(calls[name] for name in names)
                assert found <= each * BURSTS + 18, (names, calls)


def test_system_calls_of_a_line(store: Store, fed: tuple[Run, int]):
    """A line costs a supervisor a wait, a read, and two writes: the index, and the bytes, nothing else."""
    run, fd = fed
    with serving(store) as (_, port), asked(port, run) as connection:
        for line in (b"first\n", b"second\n"):
            os.write(fd, line)
            until(connection, line)
        state = store.get(run.id).to_json()
        supervisor = parent_of(state["pid"])
        calls = burst_calls(supervisor, fd, [connection], threads=False)
    assert BURSTS <= calls["write"] <= 2 * BURSTS + 2, calls
    assert sum(calls.values()) - calls["write"] <= 2 * BURSTS + 12, calls


def parent_of(pid: int) -> int:
    """Return the parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


STARTS = """
import sys
from runcast import Store
from runcast.web.adapters.streaming_view import stream_reply
from runcast.web.http.messages import Request
store, request = Store.open(sys.argv[1]), Request("GET", "/")
for number in range(int(sys.argv[2])):
    {start}
"""
VARY = {"total", "futex", "mmap", "munmap", "mremap", "madvise", "brk", "sched_yield"}
OF_A_VIEW = 'stream_reply(store, ["true"], request, view="counted", runs=None, options={})'


def calls_of_starts(store: Store, count: int, start: str, tmp_path: Path) -> Counter[str]:
    """Return the calls of a process that starts some runs, but those for memory and locks, which vary."""
    trace = tmp_path / "trace"
    code = STARTS.replace("{start}", start)
    words = ["strace", "-qq", "-c", "-U", "calls,name", "-o", str(trace), sys.executable, "-c", code]
    subprocess.run([*words, store.path, str(count)], check=True, timeout=60000 * MS)
    rows = re.findall(r"^\s*(\d+) (\w+)$", trace.read_text(), re.M)
    return Counter({name: int(number) for number, name in rows if name not in VARY})


@pytest.mark.parametrize(("start", "most"), [('store.start(["true"])', 70), (OF_A_VIEW, 70)])
def test_system_calls_of_a_start(store: Store, tmp_path: Path, start: str, most: int):
    """A start costs as many calls as before; a view that has begun makes no more until its reply is fed.

    Half of them are what the forkserver's name is made of: limits, namespaces, groups.
    """
    store.start(["true"]).wait()
    few, many = (calls_of_starts(store, count, start, tmp_path) for count in (5, 25))
    assert (many - few).total() / 20 <= most, many - few


def test_encodings_of_a_burst(store: Store, fed: tuple[Run, int], monkeypatch: pytest.MonkeyPatch):
    """A burst is encoded once for each form, however many view it, and no task runs for any of them."""
    run, fd = fed
    encoded: Counter[str] = Counter()

    def count(kind: type[Encoder]) -> None:
        feed = kind.feed

        def counted(self: Encoder, reading: Reading, *, final: bool = False) -> bytes:
            encoded[kind.__name__] += 1
            return feed(self, reading, final=final)

        monkeypatch.setattr(kind, "feed", counted)

    async def main() -> int:
        app = RunsASGI(store)
        config = uvicorn.Config(app, port=0, http=FastpathProtocol, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await until_true(lambda: server.started)
        address = server.servers[0].sockets[0].getsockname()
        tasks = len(asyncio.all_tasks())
        with contextlib.ExitStack() as stack:
            for form in ("text", "sse") * 10:
                connection = stack.enter_context(socket.create_connection(address))
                connection.sendall(HEAD.format(id=run.id, form=form, more="").encode())
            await until_true(lambda: app.feeds.viewers.total() == 20)
            await until_true(lambda: len(asyncio.all_tasks()) <= tasks)
            for kind in (Text, LineEvents):
                count(kind)
            for number in range(BURSTS):
                before = app.feeds.pushed
                os.write(fd, b"line %d\n" % number)
                await until_true(lambda before=before: app.feeds.pushed > before)
                await until_true(lambda number=number: encoded.total() >= 2 * (number + 1))
            more = len(asyncio.all_tasks()) - tasks
        server.should_exit = True
        await serving
        return more

    assert asyncio.run(main()) == 0
    assert encoded.total() == 2 * BURSTS, encoded

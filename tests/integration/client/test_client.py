"""The verbs of a run on a server: start, look, send, signal, stop, list, remove, in both faces."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from runcast import Reason, State, Store
from runcast.client import AsyncClient, AsyncRemoteRun, Client, RemoteRun
from runcast.errors import (
    AccessRefused,
    CommandRefused,
    OffsetBeyondTail,
    RunActive,
    RunFailed,
    RunFinished,
    RunNotFound,
    StartFailed,
    UsageError,
)
from tests.helpers.children import PYTHON, Printer, collect
from tests.helpers.servers import LONG, WSGI, Server
from tests.helpers.wait import MS, wait_until

pytestmark = pytest.mark.slow

FOREVER = ["sh", "-c", "echo ready; exec sleep 600"]


@pytest.fixture(name="client")
def client_fixture(server: Server) -> Iterator[Client]:
    with Client(f"{server.root}/") as client:
        yield client


def test_start_and_wait(client: Client, store: Store):
    """A run that is started there is one of the server's store, and ends here as it ends there."""
    run = client.start(["sh", "-c", "echo out; echo err >&2; exit 3"])

    assert isinstance(run, RemoteRun)
    assert list(run.lines()) == ["out", "err"]
    assert (run.wait().code, run.state, run.closed) == (3, State.EXITED, True)
    here = store.get(run.id)
    assert run.outcome._replace(ended_at=0, started_at=0) == here.outcome._replace(
        ended_at=0, started_at=0
    )  # told in microseconds
    run.refresh()
    assert run.to_json()["outcome"] == here.to_json()["outcome"]
    assert (run.name, run.command, run.pid, run.tail_offset) == (here.name, here.command, here.pid, 8)
    assert (run.created_at, run.started_at) == pytest.approx((here.created_at, here.started_at), abs=2e-6)
    assert run.url == f"{client.url}runs/{run.id}"


def test_options(client: Client, store: Store, tmp_path: Path):
    """What a start says of a command reaches it: folder, variables, name, limits."""
    run = client.start(
        "pwd; echo $SAID",
        shell=True,
        cwd=str(tmp_path),
        env={"SAID": "ä"},
        name="label",
        timeout=60,
        cap=None,
    )

    assert run.output() == f"{tmp_path}\nä\n"
    assert run.name == "label"
    assert {key: store.get(run.id).request[key] for key in ("timeout", "cap")} == {"timeout": 60, "cap": None}


def test_same_chunks_as_here(client: Client, store: Store, tmp_path: Path):
    """Channels, offsets and bytes are those that a follower in the store sees."""
    run = client.start(Printer(tmp_path / "copies", lines=500).argv)
    run.wait()

    there, here = collect(run.follow()), collect(store.get(run.id).follow())
    assert (there.data, there.of("stdout"), there.of("stderr")) == (
        here.data,
        here.of("stdout"),
        here.of("stderr"),
    )
    assert (there.next, there.faults) == (here.next, [])
    assert collect(run.so_far()).data == here.data


@pytest.mark.parametrize(
    "place",
    [{"tail": 3}, {"tail_bytes": 7}, {"line": 8}, {"offset": 4}, {"offset": 0}, {"since": 0.0}, {"tail": 0}],
)
def test_places(client: Client, store: Store, place: dict[str, Any]):
    """Reading begins at the same places as here."""
    run = client.start(["seq", "10"])
    run.wait()

    assert list(run.lines(**place)) == list(store.get(run.id).lines(**place))


def test_wrong_places(client: Client):
    """What is no place is told before anything is read; an offset beyond the tail by its number."""
    run = client.start(["seq", "10"])
    run.wait()

    with pytest.raises(UsageError, match="one place to begin, got line and tail"):
        run.follow(line=1, tail=2)
    with pytest.raises(UsageError, match="expected tail to be 0 or more, got -1"):
        run.follow(tail=-1)
    with pytest.raises(UsageError, match="expected channels among"):
        run.follow(channel="both")
    with pytest.raises(OffsetBeyondTail) as error:
        next(run.follow(offset=22))
    assert (error.value.offset, error.value.tail) == (22, 21)


def test_gap(client: Client):
    """What the cap dropped is told as a gap of those bytes."""
    run = client.start(["sh", "-c", "yes 0123456789abcde | head -c 8000000"], cap=1_000_000)
    run.wait()

    collected = collect(run.follow())
    assert collected.faults == []
    assert len(collected.gaps) >= 1
    assert collected.next == 8_000_000
    assert len(collected.data) + sum(end - start for start, end in collected.gaps) == 8_000_000


def test_stdin(client: Client):
    """What is sent is the program's input, until its end is."""
    run = client.start(["sort"], stdin="pipe")
    run.send("b\n")
    run.send(b"a\n", eof=True)

    assert run.output() == "a\nb\n"
    big = "x" * 1_500_000
    assert client.start(["wc", "-c"], input=big).output().strip() == "1500000"
    assert client.start(["true"], input="not wanted").wait().ok


def test_ending(client: Client):
    """A run is signalled, stopped and killed from here; one that is over cannot be."""
    handler = "lambda *_: (os.write(1, b'got it\\n'), sys.exit(7))"
    code = f"import os, signal, sys; signal.signal(10, {handler}); print('ready', flush=True); signal.pause()"
    signalled = client.start([*PYTHON, code])
    assert next(signalled.lines()) == "ready"
    signalled.signal(signal.SIGUSR1)
    assert (signalled.wait().code, signalled.output()) == (7, "ready\ngot it\n")

    stopped, killed = client.start(FOREVER), client.start(FOREVER)
    stopped.stop(grace=2)
    killed.kill()
    assert (stopped.wait().reason, killed.wait().signal) == (Reason.STOPPED, signal.SIGKILL)
    with pytest.raises(RunFinished):
        stopped.stop()
    with pytest.raises(UsageError, match="number of a signal"):
        killed.signal(12345)
    with pytest.raises(UsageError, match="grace of 0 seconds or more"):
        killed.stop(grace=-1)


def test_check(client: Client):
    """`check` raises what it raises here, with the outcome."""
    with pytest.raises(RunFailed) as failed:
        client.start(["sh", "-c", "exit 3"], check=True).wait()
    assert failed.value.outcome.code == 3
    with pytest.raises(StartFailed):
        client.start(["./nothing-there"]).wait(check=True)
    assert client.start(["false"], check=True).wait(check=False).code == 1


def test_refused_commands(client: Client):
    """What a start refuses here is refused there, with the same error."""
    with pytest.raises(CommandRefused, match="shell"):
        client.start("a && b")
    with pytest.raises(UsageError, match="a command, or the name"):
        client.start()
    with pytest.raises(UsageError, match="stdin or input"):
        client.start(["cat"], stdin="pipe", input="x")
    with pytest.raises(UsageError, match="expected timeout to be more than 0"):
        client.start(["cat"], timeout=-1)
    with pytest.raises(UsageError, match=r"no command 'nightly'"):
        client.start(name="nightly")


def test_list_get_remove(client: Client, store: Store):
    """Runs are listed newest first, found by a part of the id, and removed when they are over."""
    runs = [client.start(["true"]) for _ in range(4)]
    for run in runs:
        run.wait()
    ids = [run.id for run in runs]
    active = client.start(FOREVER)

    assert [run.id for run in client.list()] == sorted([*ids, active.id], reverse=True)
    assert [run.id for run in client.list(2)] == sorted([*ids, active.id], reverse=True)[:2]
    assert client.get(ids[0][-6:]).id == ids[0]
    keyed = store.start(["true"], key="of mine")
    assert [run.id for run in client.list(key="of mine")] == [keyed.id]
    assert list(client.list(key="of nobody")) == []
    keyed.wait()
    store.remove(keyed)
    with pytest.raises(RunNotFound) as missing:
        client.get("01nosuchrun")
    assert f"in the server {client.url}" in str(missing.value)
    with pytest.raises(RunActive):
        client.remove(active)
    client.remove(runs[0])
    with pytest.raises(RunNotFound):
        runs[0].refresh()
    with pytest.raises(RunNotFound):
        next(runs[0].follow())


def test_pages_of_a_long_list(client: Client, store: Store, monkeypatch: pytest.MonkeyPatch):
    """A list longer than one reply is asked for page by page: each run once."""
    monkeypatch.setattr("runcast.client.server_runs._PAGE", 2)
    ids = [client.start(["true"]).id for _ in range(5)]

    assert [run.id for run in client.list()] == sorted(ids, reverse=True)
    assert [run.id for run in client.list(3)] == sorted(ids, reverse=True)[:3]


def test_with_block(client: Client):
    """A block waits for its run, and stops it when it is left by an error."""
    with client.start(["true"]) as run:
        pass
    assert run.outcome is not None
    with pytest.raises(ZeroDivisionError), client.start(FOREVER) as run:
        _ = 1 / 0
    assert run.outcome is not None
    assert run.outcome.reason is Reason.STOPPED


def test_started(client: Client):
    """Waiting for the start tells the process id, or that there is none."""
    run, failed = client.start(FOREVER), client.start(["./nothing-there"])

    assert run.wait_started(timeout=5000 * MS)
    assert run.pid is not None
    assert not failed.wait_started(timeout=5000 * MS)
    run.kill()


def test_async(server: Server):
    """Awaited, it is the same: start, lines, input, stop, wait, list, remove."""

    async def main() -> None:
        async with AsyncClient(f"{server.root}/") as client:
            run = await client.start(["sh", "-c", "echo out; echo err >&2; exit 3"])
            assert isinstance(run, AsyncRemoteRun)
            assert [line async for line in run.lines(channel="stderr")] == ["err"]
            assert (await run.wait()).code == 3
            echo = await client.start(["cat"], stdin="pipe")
            await echo.send("hello", eof=True)
            assert await echo.output() == "hello"
            async with await client.start(FOREVER) as forever:
                lines: AsyncIterator[str | None] = forever.lines(timeout=50 * MS)
                assert await anext(line async for line in lines if line is not None) == "ready"
                assert await anext(lines) is None
                assert await forever.wait_started()
                await forever.stop()
            outcome = forever.outcome
            assert outcome is not None
            assert outcome.reason is Reason.STOPPED
            await client.remove(run)
            assert [run.id async for run in client.list()] == sorted([echo.id, forever.id], reverse=True)
            assert (await client.commands())["any"] is True
            with pytest.raises(RunNotFound):
                await client.get(run.id)

    asyncio.run(main())


def test_many_at_once(server: Server):
    """Two hundred tasks follow one run over one client, and each gets all of it."""

    async def main() -> None:
        async with AsyncClient(f"{server.root}/") as client:
            run = await client.start(["sh", "-c", "sleep 0.2; seq 1000"])

            async def output() -> bytes:
                return b"".join([chunk.data async for chunk in run.follow() if chunk])

            found = await asyncio.gather(*(output() for _ in range(200)))
        assert set(found) == {b"".join(b"%d\n" % number for number in range(1, 1001))}

    asyncio.run(main())


def test_command_that_reads_nothing_holds_nobody(client: Client):
    """A program that does not take its input keeps the sender waiting, and is stopped by another thread."""
    run = client.start(["sleep", "600"], stdin="pipe")
    assert run.wait_started()
    failed: list[Exception] = []

    def send() -> None:
        try:
            run.send(b"x" * 400_000)
        except Exception as error:
            failed.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    run.kill()
    sender.join(10000 * MS)

    assert wait_until(lambda: not sender.is_alive())
    assert [type(error) for error in failed] == [RunFinished]


def test_under_wsgi(store: Store, tmp_path: Path):
    """A server that gives a thread to each request is talked to in the same way."""
    with Server(tmp_path, "gunicorn", WSGI) as server, Client(f"{server.root}/") as client:
        printer = Printer(tmp_path / "copies", lines=300)
        collected = collect(client.start(printer.argv).follow())
        forever = client.start(FOREVER)
        lines = forever.lines(timeout=100 * MS)
        assert next(line for line in lines if line is not None) == "ready"
        assert next(lines) is None
        forever.stop(grace=2)
        assert forever.wait().reason is Reason.STOPPED

    assert (collected.faults, collected.of("stdout")) == ([], printer.copy("stdout"))


def test_in_an_application(store: Store, tmp_path: Path):
    """Mounted in an application it is read and stopped by who has an id; starting and listing are refused."""
    code = """
        from flask import Flask
        from runcast.web.flask import Runcast
        app = Flask(__name__)
        Runcast(app, url_prefix="/tools")
        app.add_url_rule("/runs/none", view_func=lambda: ("", 404))
    """
    run = store.start(FOREVER)
    with Server(tmp_path, "gunicorn", code) as server, Client(f"{server.root}/tools/") as client:
        remote = client.get(run.id)
        assert next(remote.lines()) == "ready"
        with pytest.raises(AccessRefused):
            client.start(["true"])
        with pytest.raises(AccessRefused):
            list(client.list())
        remote.kill()
        assert remote.wait().signal == signal.SIGKILL


def fails() -> None:
    """Raise."""
    raise ValueError("hunter2")


def test_traceback_of_a_function(client: Client, server: Server, store: Store):
    """Who may see the traceback of what ended a function has it once the end is waited for, in both faces."""
    run = store.start(fails, traceback=False)

    async def wait() -> str:
        async with AsyncClient(server.root) as other:
            return (await (await other.get(run.id)).wait(LONG)).traceback

    assert "hunter2" in client.get(run.id).wait(LONG).traceback
    assert "hunter2" in asyncio.run(wait())
    assert "hunter2" not in client.get(run.id).output(channel="stderr")

"""The public API as users write it. Type-checked by `make lint`, never run."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from signal import SIGINT
from typing import Any, Literal, assert_type

import runcast
import runcast.aio
from runcast import (
    AsyncRun,
    Channel,
    Chunk,
    FoundLine,
    Line,
    Outcome,
    Reason,
    Run,
    RuncastError,
    State,
    Store,
    TerminalSize,
)
from runcast.errors import OffsetBeyondTail, RunFailed, RunNotFound, WaitTimeout
from runcast.model import Artifact, LeftOut, Note, Reading, Waiting
from runcast.offsets import format_offset, parse_offset

assert_type(runcast.__version__, str)


def starting(store: Store) -> None:
    assert_type(runcast.start(["make", "-j4"]), Run)
    assert_type(runcast.start("make -j4", store=store, timeout=60, check=True), Run)
    assert_type(runcast.start(Path("/bin/true"), store="memory:"), Run)
    assert_type(store.start(["ls", Path("/tmp")], cwd=Path("/"), env={"A": "b"}, cap=None), Run)
    assert_type(store.start("a | b", shell=True, input=b"bytes", idle_timeout=1.5, name="both"), Run)
    with open("input") as text, open("input", "rb") as data:
        store.start(["cat"], stdin=text)
        store.start(["cat"], stdin=data)
        store.start(["cat"], stdin=data.fileno())
    store.start(["cat"], stdin="pipe").send("text", eof=True)
    store.start(["make"], wait_for=60)  # type: ignore[call-arg]
    store.start(3)  # type: ignore[arg-type]
    runcast.start()  # type: ignore[call-arg]


def stores() -> None:
    store = Store.open()
    assert_type(store, Store)
    assert_type(Store.open("memory:"), Store)
    assert_type(Store.open(Path("runs")), Store)
    assert_type(store.path, str)
    assert_type(store.get("01k0"), Run)
    assert_type(runcast.get("01k0", store=store), Run)
    for run in store.list(limit=10):
        assert_type(run, Run)
        assert_type(store.rerun(run), Run)
        store.remove(run)
        store.remove(run.id)


def following(run: Run) -> None:
    assert_type(run.follow(), Iterator[Chunk | None])
    assert_type(run.lines(timeout=2), Iterator[str | None])
    assert_type(run.lines(partial=True), Iterator[Line | None])
    run.lines(channel="stderr", offset=100)
    run.lines(channel=[Channel.STDOUT, "data"], tail=10)
    run.follow(channel=Channel.STDERR, tail_bytes=4096)
    run.follow(since=1.5)
    run.follow(line=3)
    run.follow(start=3)  # type: ignore[call-arg]
    run.follow(3)  # type: ignore[call-arg, arg-type]
    for chunk in run.follow():
        if chunk is not None:
            assert_type(chunk.offset, int)
            assert_type(chunk.next, int)
            assert_type(chunk.channel, Channel)
            assert_type(chunk.time, float)
            assert_type(chunk.data, bytes)
    for pair in runcast.follow([run, run], timeout=2):
        if pair is not None:
            assert_type(pair, tuple[Run, str])
    log = run.log()
    assert_type(log.read(0, limit=10, channels={Channel.STDERR}), Reading)
    assert_type(log.read(0).chunks, list[Chunk])
    assert_type(log.read(0).next, int)
    assert_type(log.offset_of_tail(3), int)
    assert_type(parse_offset(format_offset(3), log.tail_offset), int)


def looking(run: Run) -> None:
    assert_type(run.id, str)
    assert_type(run.name, str)
    assert_type(run.command, list[str])
    assert_type(run.pid, int | None)
    assert_type(run.created_at, float)
    assert_type(run.started_at, float | None)
    assert_type(run.state, State)
    assert_type(run.outcome, Outcome | None)
    assert_type(run.closed, bool)
    assert_type(run.tail_offset, int)
    assert_type(run.to_json(), dict[str, Any])
    if run.state in (State.EXITED, State.LOST):
        print(run.log().tail_offset)


def ending(run: Run) -> None:
    outcome = run.wait(timeout=60, check=False)
    assert_type(outcome, Outcome)
    assert_type(outcome.ok, bool)
    assert_type(outcome.code, int | None)
    assert_type(outcome.signal, int | None)
    assert_type(outcome.reason, Reason)
    assert_type(outcome.exit_status, int)
    assert_type(outcome.message, str)
    outcome.code = 0  # type: ignore[misc]
    line = run.wait_for(r"port \d+", regex=True, timeout=60, channel="stdout")
    assert_type(line, FoundLine)
    assert_type(line.offset, int)
    line.text = ""  # type: ignore[misc]
    assert_type(run.output(), str)
    assert_type(run.output(encoding="latin-1", channel="stdout"), str)
    assert_type(run.output(encoding=None), bytes)
    run.stop(grace=0.5, signal=SIGINT)
    run.signal(SIGINT)
    run.send(b"bytes")
    run.pin()
    assert_type(run.pinned, bool)
    assert_type(run.waiting, Waiting | None)
    assert_type(run.hint, str | None)
    run.unpin()
    run.resize(100, 30)
    run.note("tests done")
    assert_type(run.artifacts, list[Artifact])
    assert_type(run.left_out, list[LeftOut])
    assert_type(run.read_artifact("a"), bytes)
    assert_type(run.save_artifacts("folder", "a", "b"), list[str])
    assert_type(run.notes, list[Note])
    assert_type(run.tty, bool | Literal["stdout"])
    assert_type(run.size, TerminalSize | None)
    assert_type(run.sizes, list[TerminalSize])
    runcast.start(["top"], tty="stdout", columns=100, rows=30)
    run.kill()
    with runcast.start(["true"]) as entered:
        assert_type(entered, Run)


def failing(run_id: str) -> None:
    try:
        runcast.get(run_id).wait(check=True)
    except RunNotFound as error:
        assert_type(error.near, tuple[str, ...])
        assert_type(error.http_status, int)
    except OffsetBeyondTail as error:
        assert_type(error.tail, int)
    except RunFailed as error:
        assert_type(error.run_id, str)
    except WaitTimeout as error:
        timeout: TimeoutError = error
        print(timeout)
    except RuncastError as error:
        assert_type(error.exit_code, int)


async def awaiting(store: Store) -> None:
    run = await runcast.aio.start(["make"], store=store, timeout=60)
    assert_type(run, AsyncRun)
    assert_type(await runcast.aio.get(run.id), AsyncRun)
    assert_type(run.lines(tail=3), AsyncIterator[str | None])
    assert_type(run.lines(partial=True), AsyncIterator[Line | None])
    async for line in run.lines(timeout=2):
        assert_type(line, str | None)
    async for chunk in run.follow(channel="data"):
        assert_type(chunk, Chunk | None)
    async for pair in runcast.aio.follow([run]):
        assert_type(pair, tuple[AsyncRun, str] | None)
    assert_type(await run.wait(timeout=1), Outcome)
    assert_type(await run.wait_for("ready"), FoundLine)
    assert_type(await run.output(), str)
    assert_type(await run.output(encoding=None), bytes)
    await run.send("text")
    await run.stop(grace=1)
    await run.signal(SIGINT)
    await run.kill()
    await run.pin()
    await run.unpin()
    await run.resize(100, 30)
    await run.note("tests done")
    async with await runcast.aio.start("true") as entered:
        assert_type(entered, AsyncRun)
    with run:  # type: ignore[attr-defined]
        pass


async def with_texts(store: Store) -> None:
    store.start(["make"], timeout="5m", idle_timeout="1h30m", cap="64M")
    assert_type(runcast.start(print, "a", kwargs={"end": ""}, process=True, timeout="90"), Run)
    await runcast.aio.start(["make"], timeout="5m", check=True)
    runcast.start(["make"], time_out=5)  # type: ignore[call-arg]
    runcast.start(["make"], timeout=[5])  # type: ignore[arg-type]
    await runcast.aio.start(["make"], shell="yes")  # type: ignore[arg-type]
    with runcast.attach("block", timeout="5m", tee=True):
        pass
    with runcast.attach("block", shell=True):  # type: ignore[call-arg]
        pass

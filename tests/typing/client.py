"""The client as users write it. Type-checked by `make lint`, never run."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

from runcast import Chunk, FoundLine, Line, Outcome, State
from runcast.client import AsyncClient, AsyncRemoteRun, Client, RemoteRun, ShareLink


def blocking() -> None:
    with Client("http://127.0.0.1:8765/", "token", patience=5) as client:
        run = client.start(["make"], cwd="/src", env={"A": "b"}, stdin="pipe", timeout=60, cap=None)
        assert_type(run, RemoteRun)
        assert_type(client.start(name="backup"), RemoteRun)
        assert_type(client.start("a | b", shell=True, input=b"bytes", check=True), RemoteRun)
        client.start(["make"], wait_for=60)  # type: ignore[call-arg]
        client.start(["make"], stdin=3)  # type: ignore[arg-type]
        assert_type(client.list(), Iterator[RemoteRun])
        assert_type(client.get("last"), RemoteRun)
        assert_type(client.commands(), dict[str, Any])
        assert_type(run.follow(channel="stderr", tail=3), Iterator[Chunk | None])
        assert_type(run.so_far(line=3), Iterator[Chunk])
        assert_type(run.lines(timeout=2), Iterator[str | None])
        assert_type(run.lines(partial=True), Iterator[Line | None])
        run.follow(start=3)  # type: ignore[call-arg]
        assert_type(run.output(), str)
        assert_type(run.output(encoding=None), bytes)
        assert_type(run.wait(timeout=1, check=False), Outcome)
        assert_type(run.wait_for("ready"), FoundLine)
        assert_type(run.state, State)
        assert_type(run.outcome, Outcome | None)
        assert_type(run.wait_started(timeout=1), bool)
        assert_type(run.share(expires="12h"), ShareLink)
        run.refresh()
        with run as entered:
            assert_type(entered, RemoteRun)
        client.remove(run)


async def awaiting() -> None:
    async with AsyncClient() as client:
        run = await client.start(["make"])
        assert_type(run, AsyncRemoteRun)
        assert_type(client.list(), AsyncIterator[AsyncRemoteRun])
        assert_type(run.lines(), AsyncIterator[str | None])
        assert_type(run.lines(partial=True), AsyncIterator[Line | None])
        assert_type(run.so_far(), AsyncIterator[Chunk])
        assert_type(await run.wait(), Outcome)
        assert_type(await run.share(), ShareLink)
        assert_type(await run.wait_for("ready"), FoundLine)
        assert_type(await run.output(), str)
        await run.send("text", eof=True)
        await run.stop()
        async with run as entered:
            assert_type(entered, AsyncRemoteRun)
        await client.remove(run.id)

"""Runs awaited: the same as with threads, many at once on one loop, and cancelled anywhere."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from runcast import AsyncRun, Channel, Reason, Store, aio
from runcast.errors import RunFailed, RunFinished, WaitTimeout
from runcast.run.base import files_of
from tests.helpers.children import Printer, collect, fds, run_python, supervisor_of
from tests.helpers.wait import MS

DEADLINE = 10000 * MS
WAITS = ["sh", "-c", "echo up; read line; echo $line"]

T = TypeVar("T")


def loop_of(main: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine function on a loop of its own, to a deadline."""

    async def limited() -> T:
        return await asyncio.wait_for(main(), 30000 * MS)

    return asyncio.run(limited())


def test_the_usual_thing(store: Store):
    """Start, follow and wait as a task does it."""

    async def main() -> None:
        run = await aio.start(["sh", "-c", "echo one; echo two; exit 3"], store=store)
        assert isinstance(run, AsyncRun)
        assert [line async for line in run.lines()] == ["one", "two"]
        outcome = await run.wait()
        assert outcome.code == 3
        assert await run.output() == "one\ntwo\n"
        assert (await aio.get(run.id, store=store)).id == run.id

    loop_of(main)


def test_live(store: Store):
    """Lines come while the program runs, and are answered from the same task."""

    async def main() -> None:
        run = await aio.start(["sh", "-c", "while read l; do echo got $l; done"], store=store, stdin="pipe")
        lines = run.lines()
        for word in ("one", "two"):
            await run.send(f"{word}\n")
            assert await anext(lines) == f"got {word}"
        await run.send("", eof=True)
        assert [line async for line in lines] == []
        assert run.closed

    loop_of(main)


def test_follow(store: Store):
    """Chunks, channels, places and silence are as they are with threads."""

    async def main() -> None:
        run = await aio.start(
            ["sh", "-c", "echo out; sleep 0.02; echo err >&2; read end"], store=store, stdin="pipe"
        )
        chunks = run.follow()
        first, second = await anext(chunks), await anext(chunks)
        assert (first.channel, first.data) == (Channel.STDOUT, b"out\n")
        assert (second.channel, second.data) == (Channel.STDERR, b"err\n")
        assert await anext(run.follow(offset=8, timeout=0.02)) is None
        await run.kill()
        assert [line async for line in run.lines(channel="stderr", tail=1)] == ["err"]

    loop_of(main)


def test_stop(store: Store):
    """Stop, kill and signal are awaited; a finished run refuses them."""

    async def main() -> None:
        stopped = await aio.start(["sh", "-c", "echo up; exec sleep 60"], store=store)
        await anext(stopped.lines())
        await stopped.stop()
        assert (await stopped.wait()).reason is Reason.STOPPED
        signaled = await aio.start(["sh", "-c", "echo up; exec sleep 60"], store=store)
        await anext(signaled.lines())
        await signaled.signal(10)
        assert (await signaled.wait()).signal == 10
        with pytest.raises(RunFinished):
            await signaled.kill()

    loop_of(main)


@pytest.mark.slow
def test_many_blocked_senders(store: Store):
    """Tasks that send to programs which do not read hinder no other, and a cancelled one not the end."""

    async def main() -> None:
        runs = [await aio.start(["sleep", "60"], store=store, stdin="pipe") for _ in range(40)]
        senders = [asyncio.create_task(run.send(b"x" * 200_000)) for run in runs]
        patient = asyncio.create_task(runs[0].send(b"more"))
        assert await asyncio.wait({*senders, patient}, timeout=0.2) == (set(), {*senders, patient})
        patient.cancel()
        for run in runs[1:]:
            await run.kill()
        refused = await asyncio.gather(*senders[1:], return_exceptions=True)
        assert {type(error) for error in refused} == {RunFinished}
        senders[0].cancel()

    loop_of(main)


def test_wait(store: Store):
    """A wait can be limited, checked and cancelled, and the run goes on."""

    async def main() -> None:
        run = await aio.start(["sh", "-c", "read line; exit 3"], store=store, stdin="pipe", check=True)
        with pytest.raises(WaitTimeout):
            await run.wait(timeout=0.02)
        waiting = asyncio.create_task(run.wait())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await run.send("line\n")
        with pytest.raises(RunFailed, match="exit code 3"):
            await run.wait()
        assert not (await run.wait(check=False)).ok

    loop_of(main)


def test_with(store: Store):
    """An `async with` block waits for the end; one that is left by an error stops the run first."""

    async def main() -> None:
        async with await aio.start(["sh", "-c", "echo done"], store=store) as run:
            pass
        assert run.outcome is not None
        with pytest.raises(ZeroDivisionError):
            async with await aio.start(["sleep", "60"], store=store) as run:
                1 / 0  # noqa: B018
        assert run.outcome is not None
        assert run.outcome.reason is Reason.STOPPED

    loop_of(main)


def test_several(store: Store):
    """Several runs are followed as one."""

    async def main() -> None:
        runs = [await aio.start(["echo", name], store=store, name=name) for name in "abc"]
        said = {item[0].name: item[1] async for item in aio.follow(runs) if item}
        assert said == {"a": "a", "b": "b", "c": "c"}
        waiting = await aio.start(["cat"], store=store, stdin="pipe")
        assert await anext(aio.follow([waiting], timeout=0.02)) is None
        await waiting.kill()

    loop_of(main)


@pytest.mark.slow
def test_many_tasks(store: Store):
    """A hundred tasks that follow one run each get every byte, and the loop goes on turning."""
    pieces = [b"%d," % number * 1000 + b"\n" for number in range(20)]

    async def follow(run: AsyncRun) -> bytes:
        return b"".join([chunk.data async for chunk in run.follow() if chunk])

    async def main() -> list[bytes]:
        run = await aio.start(["cat"], store=store, stdin="pipe")
        following = asyncio.gather(*[follow(AsyncRun(files_of(run).path)) for _ in range(100)])
        for piece in pieces:  # a loop that does not turn sends none of them
            await run.send(piece)
        await run.send(b"", eof=True)
        return await following

    assert loop_of(main) == [b"".join(pieces)] * 100


def test_cancelled_followers(store: Store):
    """R8: tasks that are cancelled while they follow leave no descriptor behind, nor disturb others."""

    async def main() -> None:
        run = await aio.start(WAITS, store=store, stdin="pipe")
        lines = run.lines()
        assert await anext(lines) == "up"

        async def follow() -> None:
            async for _ in run.lines():
                pass

        async def rush() -> int:
            tasks = [asyncio.create_task(follow()) for _ in range(50)]
            await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return fds()

        assert await rush() >= await rush()
        await run.send("more\n")
        assert [line async for line in lines] == ["more"]

    loop_of(main)


def test_loop_after_loop(store: Store):
    """Each loop that comes in the life of a process is woken, also when threads follow beside it."""

    async def main(path: str, said: str) -> list[str | None]:
        lines = AsyncRun(path).lines()
        assert await anext(lines) == "up"
        await AsyncRun(path).send(f"{said}\n")
        return [line async for line in lines]

    for said in ("first", "second", "third"):
        run = store.start(WAITS, stdin="pipe")
        threaded = run.lines(timeout=0.01)

        assert loop_of(partial(main, files_of(run).path, said)) == [said]
        assert [line for line in threaded if line] == ["up", said]


def test_lost(store: Store):
    """R3: a task that follows learns within 2 s that the supervisor died."""

    async def main() -> None:
        run = await aio.start(["sleep", "60"], store=store)
        following = asyncio.create_task(run.wait())
        os.kill(await asyncio.to_thread(supervisor_of, run), 9)
        outcome = await asyncio.wait_for(following, 2000 * MS)
        assert outcome.reason is Reason.LOST

    loop_of(main)


def test_chunks_are_whole(store: Store, tmp_path: Path):
    """What a task follows is the same, chunk by chunk, as what a thread reads afterwards."""
    printer = Printer(tmp_path / "copy", lines=500)

    async def main() -> list[bytes]:
        run = await aio.start(printer.argv, store=store)
        return [chunk.data async for chunk in run.follow() if chunk]

    seen = b"".join(loop_of(main))
    [run] = store.list()
    assert seen == bytes(collect(run.follow()).data)


GEVENT = """
    from gevent import monkey; monkey.patch_all()
    import sys
    from runcast import Store
    from runcast.errors import UsageError

    async def job():
        print("begun")

    store = Store(sys.argv[1])
    try:
        store.start(job)
    except UsageError as error:
        print(error)
    print(*(run.outcome.reason.value for run in store.list()))

    def threads():
        print("begun")

    print(store.start(threads).output(), end="")
"""


def test_gevent_has_no_thread_for_a_loop(store: Store):
    """Under gevent an async function is refused, rather than stand still for ever; others run."""
    said, reasons, printed = run_python(GEVENT, store.path).splitlines()

    assert "with gevent there is none" in said
    assert (reasons, printed) == ("failed to start", "begun")

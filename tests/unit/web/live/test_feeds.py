"""The order in which one event loop serves its viewers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable
from itertools import pairwise

import pytest

from runcast.readers import Steps, Wait
from runcast.web.http.handover import Connection
from runcast.web.http.response_stream import ResponseStream
from runcast.web.live import feeds as feeds_module
from runcast.web.live.feeds import Feeds
from runcast.web.live.pull import pull, pull_async

VIEWERS, STEPS = 20, 30


async def rounds_until(taken: int) -> list[int]:
    """Run the loop until so many steps were taken; return how many there were in each round."""
    counted = [Behind.taken]
    while counted[-1] < taken:
        await asyncio.sleep(0)
        counted.append(Behind.taken)
    return [after - before for before, after in pairwise(counted)]


class Behind(ResponseStream):
    """A viewer that is far behind; counts the steps of all such viewers."""

    taken = 0

    def __init__(self) -> None:
        self.form: Hashable = id(self)
        self.offset = 0

    @property
    def position(self) -> int:
        return self.offset

    def copy(self) -> Behind:
        return self

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        for _ in range(STEPS):
            Behind.taken += 1
            self.offset += 1
            yield b"x"
        self.finished = True


def test_many_who_are_behind(monkeypatch: pytest.MonkeyPatch):
    """Of any number of viewers that are behind, one has its turn in a round of the loop, all in order."""
    monkeypatch.setattr(feeds_module, "_TURN_SECONDS", 0)  # so a turn is one step
    monkeypatch.setattr(Behind, "taken", 0)
    got = [b""] * VIEWERS
    ahead: list[int] = []  # how far the first is before the last, half-way

    async def serve(feeds: Feeds, number: int) -> bool:
        async def push(data: bytes) -> None:
            got[number] += data

        async def gone() -> None:
            await asyncio.get_running_loop().create_future()

        return await feeds.serve(Behind(), push, gone())

    async def main() -> tuple[list[bool], list[int]]:
        feeds = Feeds()
        served = asyncio.gather(*(serve(feeds, number) for number in range(VIEWERS)))
        await rounds_until(VIEWERS)  # each begins at once
        rounds = await rounds_until(VIEWERS * STEPS // 2)
        ahead.append(max(map(len, got)) - min(map(len, got)))
        return await served, rounds

    served, rounds = asyncio.run(main())

    assert served == [True] * VIEWERS
    assert got == [b"x" * STEPS] * VIEWERS
    assert max(rounds) == 1
    assert ahead[0] <= 2


def test_who_leaves_in_the_queue(monkeypatch: pytest.MonkeyPatch):
    """A viewer that leaves while others have their turn delays none of them."""
    monkeypatch.setattr(feeds_module, "_TURN_SECONDS", 0)
    monkeypatch.setattr(Behind, "taken", 0)

    async def serve(feeds: Feeds, leaving: asyncio.Event) -> bool:
        async def push(data: bytes) -> None:
            pass

        async def gone() -> None:
            await leaving.wait()

        return await feeds.serve(Behind(), push, gone())

    async def main() -> list[bool]:
        feeds, leaving = Feeds(), asyncio.Event()
        never = asyncio.Event()
        served = asyncio.gather(*(serve(feeds, leaving if at % 2 else never) for at in range(VIEWERS)))
        await rounds_until(2 * VIEWERS)
        leaving.set()
        return await served

    assert asyncio.run(main()) == [True, False] * (VIEWERS // 2)


class AtTheTail(Behind):
    """A viewer at the tail, to which something is pushed in each round of the loop."""

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        yield Wait([], 0)
        while not self.stopping:
            yield b"news"
            yield Wait([], 0)
        self.finished = True


@pytest.mark.parametrize("tail_grows", [False, True], ids=["tail is silent", "tail gets output"])
def test_pause_after_a_turn(monkeypatch: pytest.MonkeyPatch, tail_grows: bool):
    """A turn is followed by a pause, here endless, only while something is pushed to viewers at the tail."""
    monkeypatch.setattr(feeds_module, "_TURN_SECONDS", 0)  # so a turn is one step
    monkeypatch.setattr(feeds_module, "_PAUSE_TURNS", 1e9)
    monkeypatch.setattr(Behind, "taken", 0)
    news = 0

    async def gone() -> None:
        await asyncio.get_running_loop().create_future()

    async def take(data: bytes) -> None:
        nonlocal news
        news += len(data)

    async def ignore(data: bytes) -> None:
        pass

    async def rounds(count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def main() -> int:
        feeds = Feeds()
        served = [asyncio.ensure_future(feeds.serve(AtTheTail(), take, gone()))] if tail_grows else []
        if tail_grows:
            await rounds(100)
        served += [asyncio.ensure_future(feeds.serve(Behind(), ignore, gone())) for _ in range(2)]
        if tail_grows:
            await rounds(100 * STEPS)
            assert news > 100 * STEPS
        else:
            await asyncio.gather(*served)
        for one in served:
            one.cancel()
        await asyncio.gather(*served, return_exceptions=True)
        return Behind.taken

    assert asyncio.run(main()) == (2 if tail_grows else 2 * STEPS)


class Waiting(Behind):
    """A viewer at the tail of a run that is silent."""

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        while not self.stopping:
            yield Wait([], 600)
        self.finished = self.cut = True


@pytest.mark.parametrize("rounds", range(5))
def test_shutdown_at_any_moment(rounds: int):
    """A reply ends with its server, however few steps after its begin that is."""

    async def gone() -> None:
        await asyncio.get_running_loop().create_future()

    async def push(data: bytes) -> None:
        pass

    async def main() -> bool:
        feeds = Feeds()
        served = asyncio.ensure_future(feeds.serve(Waiting(), push, gone()))
        for _ in range(rounds):
            await asyncio.sleep(0)
        feeds.shutdown()
        return await asyncio.wait_for(served, 10)

    assert asyncio.run(main()) is False


class Endless(Behind):
    """A viewer at the tail of a log to which nothing is added."""

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        yield b"x"
        while True:
            yield Wait((), 0.01)


def test_expires():
    """What a viewer gets ends when it may read no more, and not by itself: so it can see the cut."""

    async def main(expires: float) -> tuple[bool, bytes]:
        stream, got = Endless(), b""
        stream.expires = expires

        async def push(data: bytes) -> None:
            nonlocal got
            got += data

        async def gone() -> None:
            await asyncio.get_running_loop().create_future()

        return await Feeds().serve(stream, push, gone()), got

    assert asyncio.run(main(time.time() + 0.2)) == (False, b"x")
    assert asyncio.run(main(time.time() - 60))[0] is False


@pytest.mark.parametrize("seconds", [-60, 0.05])
def test_expires_in_a_thread(seconds: float):
    """In a thread the connection is reset, be the log silent or not."""
    for stream in (Endless(), Flood()):
        stream.expires = time.time() + seconds
        with pytest.raises(ConnectionResetError, match="expired"):
            for _ in pull(stream):
                pass


def test_expires_in_an_iterator():
    """An asynchronous iterator raises then what its framework takes for that."""

    async def main(stream: Behind) -> None:
        stream.expires = time.time() + 0.05
        async for _ in pull_async(stream, asyncio.CancelledError):
            pass

    for stream in (Endless(), Flood()):
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(main(stream))


class Flood(Behind):
    """A viewer of a log that is never at its end."""

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        while True:
            yield b"x"


class Second(Behind):
    """A viewer at the tail, for which something comes as soon as it is there."""

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        while True:
            self.offset += 1
            yield b"x"
            yield Wait([], 0.0)


class Full(Connection):
    """A connection whose client takes one push, and never another."""

    def __init__(self) -> None:
        self.pushes, self.drains = 0, 0
        self.left = None

    @staticmethod
    def frame(data: bytes) -> bytes:
        return data

    def send(self, framed: bytes) -> bool:
        self.pushes += 1
        return self.pushes == 1

    async def drain(self) -> None:
        self.drains += 1
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.drains -= 1

    def end(self, *, whole: bool) -> None:
        pass


def test_full_as_soon_as_it_is_at_the_tail():
    """A viewer that cannot take what comes as it arrives at the tail is waited for until it leaves."""

    async def main() -> None:
        feeds, connection = Feeds(), Full()
        feeds.adopt(Second(), connection)
        while not connection.drains:  # noqa: ASYNC110, nothing else tells it
            await asyncio.sleep(0)
        for _ in range(3):  # what was to be called is called
            await asyncio.sleep(0)
        assert connection.left is not None
        connection.left()
        for _ in range(3):
            await asyncio.sleep(0)
        assert connection.drains == 0

    asyncio.run(main())

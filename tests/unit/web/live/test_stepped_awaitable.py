"""The rest of a coroutine that was stepped by hand."""

import asyncio

from runcast.web.live.stepped_awaitable import SteppedAwaitable


def test_ended_by_what_is_thrown():
    """A coroutine that takes being cancelled for its end has ended, and so has who awaits the rest of it."""

    async def ends() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return

    async def main() -> asyncio.Task[None]:
        coroutine = ends()
        future = coroutine.send(None)

        async def rest() -> None:
            await SteppedAwaitable(coroutine, future)

        task = asyncio.create_task(rest())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task

    assert asyncio.run(main()).exception() is None

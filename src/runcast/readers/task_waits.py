"""The waits of one task, one after the other.

Owns what they share: a waiter and its timer, since to make both anew for each line costs as much as reading
it. Must not import asyncio (hub.py says why).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runcast.readers.hub import Hub, Seen, hub

if TYPE_CHECKING:
    import asyncio

    from runcast.readers.loop_waiter import LoopWaiter

__all__ = ["TaskWaits"]


class TaskWaits:
    """Waits for the hub, in whatever event loop runs; to be closed."""

    def __init__(self) -> None:
        self._hub: Hub | None = None
        self._waiter: LoopWaiter | None = None
        self._future: asyncio.Future[None] | None = None

    async def wait(self, seen: Seen, timeout: float | None) -> None:
        """Suspend this task until there is, or may be, a change, or for `timeout` seconds."""
        import asyncio

        loop = asyncio.get_running_loop()
        if self._waiter is None or self._waiter.loop is not loop or self._hub is not hub():
            self.close()  # another loop goes on with it, or a forked child
            self._hub = hub()
            self._waiter = self._hub.waiter(loop, self._call)
        self._future = loop.create_future()
        self._hub.begin(self._waiter, seen, timeout)
        await self._future

    def _call(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def close(self) -> None:
        """Let go of all of it. A second call does nothing."""
        if self._waiter is not None:
            self._waiter.close()
        self._waiter = None

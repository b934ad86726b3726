"""Connections to one server, for tasks: each action suspends the task that drives the steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from typing import TYPE_CHECKING

from runcast.client.actions import Action, Call, NetworkError, Open, Read, Response, Routine, Sleep, Steps
from runcast.client.http import failure, options, reply_of, request, unreachable
from runcast.client.server import Server
from runcast.run.steps import Result, Value

if TYPE_CHECKING:
    import httpx2

__all__ = ["AsyncTransport"]


class _Exchange:
    """The requests of one generator of steps; at most one reply is open at a time."""

    def __init__(self, http: httpx2.AsyncClient, server: Server, opened: set[_Exchange]) -> None:
        self._http, self._server = http, server
        self._opened = opened  # those with an open reply, this one among them
        self._open: httpx2.Response | None = None
        self._data: AsyncIterator[bytes] | None = None

    async def aclose(self) -> None:
        """Close the reply that is open."""
        self._opened.discard(self)
        if self._open is not None:
            response, self._open = self._open, None
            await response.aclose()

    async def perform(self, action: Action) -> Response | bytes | None:
        """Perform one action and return its result."""
        match action:
            case Call():
                response = await self._http.send(request(self._http, self._server, action))
                return reply_of(response, response.content)
            case Open():
                await self.aclose()
                self._open = await self._http.send(request(self._http, self._server, action), stream=True)
                self._opened.add(self)
                if self._open.status_code != 200:
                    return reply_of(self._open, await self._open.aread())
                self._data = self._open.aiter_raw()
                return reply_of(self._open)
            case Read():
                assert self._data is not None, "opened before"
                return await anext(self._data, b"")
            case Sleep():
                await self.aclose()
                await asyncio.sleep(action.seconds)
                return None


class AsyncTransport:
    """Connections to one server, which all tasks of a loop share."""

    def __init__(self, server: Server, inner: httpx2.AsyncBaseTransport | None = None) -> None:
        """Connect to a server; `inner` is the way to one that is within this process."""
        import httpx2

        self.server = server
        found = options(server, httpx2.AsyncHTTPTransport)
        if inner is not None:
            found |= {"transport": inner, "trust_env": False}
        self._http = httpx2.AsyncClient(**found)
        self._opened: set[_Exchange] = set()

    async def close(self) -> None:
        """Close all connections, those of abandoned followers too: the end of a loop cannot."""
        for exchange in tuple(self._opened):
            await exchange.aclose()
        await self._http.aclose()

    async def drive(self, steps: Steps[Value]) -> AsyncIterator[Value]:
        """Yield the values that steps give, and perform the actions among them.

        Raises:
            ServerUnreachable: the network failed, and the steps did not handle it.
        """
        result: Response | bytes | None = None
        failed: NetworkError | None = None
        with closing(steps):
            async with aclosing(_Exchange(self._http, self.server, self._opened)) as exchange:
                while True:
                    try:
                        step = steps.send(result) if failed is None else steps.throw(failed)
                    except StopIteration:
                        return
                    except NetworkError as error:
                        raise unreachable(self.server, error) from None
                    result = failed = None
                    if not isinstance(step, Action):
                        yield step
                        continue
                    try:
                        result = await exchange.perform(step)
                    except Exception as error:
                        failed = failure(error)

    async def perform(self, routine: Routine[Result]) -> Result:
        """Perform the actions of a routine; return its result. Raises what `drive` does."""
        results: list[Result] = []

        def steps() -> Steps[None]:
            results.append((yield from routine))

        async for _ in self.drive(steps()):
            pass
        return results[0]

"""Connections to one server, for threads: each action blocks the thread that drives the steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from runcast.client.actions import Action, Call, NetworkError, Open, Read, Response, Routine, Sleep, Steps
from runcast.client.http import failure, options, reply_of, request, unreachable
from runcast.client.server import Server
from runcast.run.steps import Result, Value

if TYPE_CHECKING:
    import httpx2

__all__ = ["Transport"]


class _Exchange:
    """The requests of one generator of steps; at most one reply is open at a time."""

    def __init__(self, http: httpx2.Client, server: Server) -> None:
        self._http, self._server = http, server
        self._open: httpx2.Response | None = None
        self._data: Iterator[bytes] = iter(())

    def close(self) -> None:
        """Close the reply that is open."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def perform(self, action: Action) -> Response | bytes | None:
        """Perform one action and return its result."""
        match action:
            case Call():
                response = self._http.send(request(self._http, self._server, action))
                return reply_of(response, response.content)
            case Open():
                self.close()
                self._open = self._http.send(request(self._http, self._server, action), stream=True)
                if self._open.status_code != 200:
                    return reply_of(self._open, self._open.read())
                self._data = self._open.iter_raw()
                return reply_of(self._open)
            case Read():
                return next(self._data, b"")
            case Sleep():
                self.close()
                time.sleep(action.seconds)
                return None


class Transport:
    """Connections to one server, which all threads share."""

    def __init__(self, server: Server) -> None:
        import httpx2

        self.server = server
        self._http = httpx2.Client(**options(server, httpx2.HTTPTransport))

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def drive(self, steps: Steps[Value]) -> Iterator[Value]:
        """Yield the values that steps give, and perform the actions among them.

        Raises:
            ServerUnreachable: the network failed, and the steps did not handle it.
        """
        result: Response | bytes | None = None
        failed: NetworkError | None = None
        with closing(steps), closing(_Exchange(self._http, self.server)) as exchange:
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
                    result = exchange.perform(step)
                except Exception as error:
                    failed = failure(error)

    def perform(self, routine: Routine[Result]) -> Result:
        """Perform the actions of a routine; return its result. Raises what `drive` does."""
        results: list[Result] = []

        def steps() -> Steps[None]:
            results.append((yield from routine))

        for _ in self.drive(steps()):
            pass
        return results[0]

"""Small appends answered at once: without a task, and without a turn of the event loop, for each.

Owns one shortcut in uvicorn's HTTP protocol. An append whose body is here takes fewer microseconds
than a task takes to be made and come to its turn, so its application is stepped by hand as soon as
the body is complete, which is twice as many appends a second. One that suspends goes on as a task.
All else is as uvicorn does it, and where another uvicorn does it otherwise, so is this.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runcast.web.durable.routes import is_stream
from runcast.web.resumed import Resumed

__all__ = ["EagerProtocol"]

_MOST_BYTES = 64 * 1024  # uvicorn stops reading at so many that nobody has asked for


class EagerProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with the shortcut."""

    _held: tuple[Any, Any] | None = None  # a request whose body is still coming, and its application

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if not self._is_small_append(cycle.scope):
            super()._start_asgi_task(cycle, app)
        elif cycle.more_body:
            self._held = cycle, app
        else:
            self._step(cycle, app)

    def _is_small_append(self, scope: Any) -> bool:
        if scope["method"] != "POST" or not is_stream(scope["path"]) or self.expect_100_continue:
            return False
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        return length.isdigit() and int(length) < _MOST_BYTES

    def on_message_complete(self) -> None:
        """Have the request answered whose body is complete now."""
        super().on_message_complete()
        if self._held is not None:
            (cycle, app), self._held = self._held, None
            self._step(cycle, app)

    def _step(self, cycle: Any, app: Any) -> None:
        coroutine = cycle.run_asgi(app)
        try:
            future = coroutine.send(None)
        except StopIteration:
            return
        task: asyncio.Task[None] = self.loop.create_task(_go_on(Resumed(coroutine, future)))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)


async def _go_on(rest: Resumed) -> None:
    await rest

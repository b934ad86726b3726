"""An ASGI application under uvicorn with our protocol, in the event loop of a test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from runcast.server.uvicorn_fastpath import FastpathProtocol

__all__ = ["answering"]


@contextlib.asynccontextmanager
async def answering(app: Any) -> AsyncIterator[int]:
    """Give the port that an application answers at; at the end its connections are cut."""
    config = uvicorn.Config(app, port=0, http=FastpathProtocol, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not (server.started or serving.done()):  # noqa: ASYNC110, uvicorn has nothing to await
        await asyncio.sleep(0.01)
    assert server.started, "uvicorn ended before it served"
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.force_exit = server.should_exit = True
        await serving

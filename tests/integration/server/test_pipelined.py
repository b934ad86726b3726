"""A client that sends requests behind a live reply, and leaves."""

import asyncio

import pytest
import uvicorn

from runcast.server.uvicorn_fastpath import FastpathProtocol

pytestmark = pytest.mark.slow
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def test_who_leaves_with_requests_that_wait():
    """The request that is answered hears of it, not only the last that came; in asyncio's own loop, too."""
    left = asyncio.Event()

    async def endless(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        hears = asyncio.ensure_future(receive())
        while not hears.done():
            await send({"type": "http.response.body", "body": bytes(1000), "more_body": True})
            await asyncio.sleep(0)
        left.set()

    async def main() -> None:
        config = uvicorn.Config(endless, port=0, http=FastpathProtocol, lifespan="off", log_level="critical")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110, uvicorn has nothing to await
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST * 3)
        await reader.readexactly(5000)
        writer.transport.abort()
        try:
            await asyncio.wait_for(left.wait(), 10)
        finally:
            server.force_exit = server.should_exit = True
            await serving

    asyncio.run(main())

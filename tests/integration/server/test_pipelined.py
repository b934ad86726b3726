"""A client that sends requests behind a live reply, and leaves."""

import asyncio

import pytest

from tests.helpers.answering import answering

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
        async with answering(endless) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST * 3)
            await reader.readexactly(5000)
            writer.transport.abort()
            await asyncio.wait_for(left.wait(), 10)

    asyncio.run(main())

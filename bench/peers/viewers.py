"""Viewers of a stream by long-poll, as clients of the protocol are: each to its end, many in one process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Reply", "view"]


class Reply(NamedTuple):
    """What a viewer got.

    Attributes:
        query: of the request.
        status: 200 or 204.
        headers: names in lower case.
        body: its bytes.
        at_ns: when it was there, by the monotonic clock.
    """

    query: str
    status: int
    headers: dict[str, str]
    body: bytes
    at_ns: int


async def view(
    port: int,
    path: str,
    *,
    offset: str = "-1",
    begin: float = 0.0,
    pause: float = 0.0,
    got: Callable[[Reply], object] = lambda reply: None,
) -> bytes:
    """Read a stream to its end; return its bytes.

    Args:
        port: of the server, on 127.0.0.1.
        path: of the stream.
        offset: where to begin.
        begin: seconds from now until the first request.
        pause: seconds that the viewer takes after each reply.
        got: called with each reply.

    Raises:
        ValueError: a reply is no part of a stream.
    """
    await asyncio.sleep(begin)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data, query, cursor, closed = b"", f"offset={offset}", "", False
    while not closed:
        writer.write(f"GET {path}?{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        lines = head.split("\r\n")
        said = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        body = await reader.readexactly(int(said.get("content-length", "0")))
        status = int(lines[0].split()[1])
        if status not in (200, 204):
            raise ValueError(f"expected a part of the stream for {query}, got {head}{body!r}")
        got(Reply(query, status, said, body, time.monotonic_ns()))
        data += body
        offset, cursor = said["stream-next-offset"], said.get("stream-cursor", cursor)
        closed = "stream-closed" in said
        live = f"cursor={cursor}&live=long-poll&" if "stream-up-to-date" in said else ""
        query = f"{live}offset={offset}"
        await asyncio.sleep(pause)
    writer.close()
    return data

"""Connections that were handed over: what is behind, what is held, and how a WebSocket ends."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runcast.server import direct_socket
from runcast.server.direct import Direct
from runcast.server.direct_socket import DirectSocket

_PONG = b"\x8a\x80mask"
_CLOSE = b"\x88\x82\x00\x00\x00\x00\x03\xe8"


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.Transport, socket.socket]]:
    """Give the transport of a connection, and its client."""
    ours, client = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, ours)
    with client:
        yield transport, client
        transport.abort()
        await asyncio.sleep(0)


def fill(transport: asyncio.Transport) -> None:
    """Write until there is something that the kernel does not take."""
    while not transport.get_write_buffer_size():
        transport.write(bytes(1000))


def test_what_was_there_before() -> None:
    """One whose transport has something to send already waits for that, and takes no processor for it."""

    async def main() -> None:
        async with connected() as (transport, client):
            fill(transport)
            direct = Direct(transport, None, set())
            waits = direct.drain()
            assert waits.send(None) is not None  # a bare step of the loop is None
            waits.close()

            drained = asyncio.create_task(direct.drain())
            client.setblocking(False)
            while not drained.done():
                await asyncio.get_running_loop().sock_recv(client, 100_000)
                await asyncio.sleep(0)
            assert direct.send(b"next")

    asyncio.run(main())


def test_closing() -> None:
    """One that closes with something to send is not given more, until that is gone."""

    async def main() -> None:
        async with connected() as (transport, _):
            direct = Direct(transport, None, set())
            while direct.send(bytes(1000)):
                pass
            transport.close()
            waits = direct.drain()
            assert waits.send(None) is not None
            waits.close()

    asyncio.run(main())


def test_paused_behind_the_reply() -> None:
    """Who has the connection next knows that the kernel does not take more."""

    async def main() -> None:
        given: list[bool] = []
        async with connected() as (transport, _):
            direct = Direct(transport, lambda _transport, _came, paused: given.append(paused), set())
            while direct.send(bytes(1000)):
                pass
            direct.end(whole=True)
            assert given == [True]

    asyncio.run(main())


def test_pings_while_nothing_is_read() -> None:
    """A client whose answers are not read is not taken for one that does not answer."""

    async def main() -> None:
        async with connected() as (transport, _):
            direct = DirectSocket(transport, set(), 1000)
            direct.hold(back=True)
            for _ in range(3):
                direct.ping()
            assert not transport.is_closing()
            direct.hold(back=False)
            direct.ping()
            assert not transport.is_closing()
            direct.ping()
            assert transport.is_closing()

    asyncio.run(main())


def test_what_comes_behind_our_close() -> None:
    """A connection is closed when its client has answered the close, not at what it sent before."""

    async def main() -> None:
        async with connected() as (transport, _):
            direct = DirectSocket(transport, set(), 1000)
            direct.listen(lambda _: None, lambda: None, lambda _: 1000)
            direct.data_received(_PONG + b"\x89\x80mask")  # and a ping, for which there is a parser
            direct.end(whole=True)
            direct.data_received(_PONG)
            assert not transport.is_closing()
            direct.data_received(_CLOSE)
            assert transport.is_closing()

    asyncio.run(main())


def test_nothing_behind_a_close() -> None:
    """Who has closed, and was answered, is sent nothing more (RFC 6455, section 5.5.1)."""

    async def main() -> None:
        async with connected() as (transport, client):
            direct = DirectSocket(transport, set(), 1000)
            direct.data_received(_CLOSE)
            assert direct.send(direct.frame(b"late\n"))
            await asyncio.sleep(0)  # it is closed
            client.settimeout(5)
            assert client.recv(100) == b"\x88\x02\x03\xe8"
            assert client.recv(100) == b""

    asyncio.run(main())


def test_pings() -> None:
    """Who answers pings stays, and who answers none is closed; so it is in the next event loop, too."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected() as (transport, answers), connected() as (other, silent):
            heard, _ = (DirectSocket(one, set(), 1000) for one in (transport, other))
            answers.setblocking(False)
            silent.setblocking(False)
            for _ in range(3):
                direct_socket._pings[loop]._ping()
                assert await loop.sock_recv(answers, 2) == b"\x89\x00"
                answers.sendall(_PONG)
                while not heard._answered:  # noqa: ASYNC110, the transport hears it
                    await asyncio.sleep(0)
            assert await loop.sock_recv(silent, 2) == b"\x89\x00"
            assert await loop.sock_recv(silent, 2) == b""
            assert not transport.is_closing()

    for _ in range(2):
        asyncio.run(main())

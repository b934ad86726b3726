"""Who of several workers takes a connection that waits for any of them."""

import asyncio
import socket

from runcast.server.accepting import Listener
from runcast.server.connections import Connections
from tests.helpers.sockets import LONG

BACK, FEW = 10, 16  # how often one steps back, and how many it takes then


class Counted(asyncio.Protocol):
    """Counts down the connections that are to be taken."""

    left = 0
    done: asyncio.Event

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take one."""
        Counted.left -= 1
        if not Counted.left:
            Counted.done.set()


def looks(connections: int, *, has_turn: bool) -> int:
    """Return how often a worker looks whose turn it is until it has taken so many connections."""
    turns: list[int] = []

    def turn() -> bool:
        turns.append(1)
        return has_turn

    async def serve(opened: socket.socket) -> None:
        opened.setblocking(False)
        Counted.left, Counted.done = connections, asyncio.Event()
        clients = [socket.create_connection(opened.getsockname()) for _ in range(connections)]
        listener = Listener(opened, Counted, None, Connections(), turn)
        await asyncio.wait_for(Counted.done.wait(), LONG)
        listener.close()
        await listener.wait_closed()
        for client in clients:
            client.close()

    with socket.create_server(("127.0.0.1", 0)) as opened:
        asyncio.run(serve(opened))
    return len(turns)


def test_own_turn():
    """A worker that has no more connections than another takes what waits, one at a time."""
    assert looks(3, has_turn=True) == 3


def test_another_has_fewer():
    """One that has more steps back, but not for ever: then it takes a few, steps back, and takes more."""
    assert looks(1, has_turn=False) == BACK + 1
    assert looks(1 + FEW, has_turn=False) == BACK + 1 + FEW
    assert looks(1 + FEW + 1 + 2 * FEW, has_turn=False) == 2 * BACK + 2 + 3 * FEW

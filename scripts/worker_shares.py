"""How two processes share connections, by how they accept: `python scripts/worker_shares.py [ROUNDS]`.

Three ways: each process has asyncio accept on one socket that both have; each has a socket of its own for the
address (SO_REUSEPORT); and that of `runcast serve --workers`, one socket and turns. Each is given 200
connections at once, then 200 more while one of the processes is stopped, as one that is busy or hangs.
Prints how many each process got, and how many of the second kind were answered within two seconds.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable

from runcast.server.accepting import Listener
from runcast.server.connections import Connections
from runcast.server.scoreboard import Scoreboard

COUNT, SECONDS, BACKLOG = 200, 2.0, 2048
ASYNCIO, OWN_SOCKETS, TURNS = "one socket, asyncio", "SO_REUSEPORT", "one socket, turns"


class Says(asyncio.Protocol):
    """Says which process it is in."""

    open = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Says.open += 1
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"%d\n" % os.getpid())

    def connection_lost(self, exc: Exception | None) -> None:
        Says.open -= 1


async def serve(way: str, one: socket.socket, board: Scoreboard, number: int) -> None:
    """Accept for ever."""
    if way != TURNS:
        server = await asyncio.get_running_loop().create_server(Says, sock=one, backlog=BACKLOG)
        await server.serve_forever()

    def has_turn() -> bool:
        board.set_connections(number, Says.open)
        return board.fewest_connections() >= Says.open

    has_turn()
    Listener(one, Says, None, Connections(), has_turn)
    await asyncio.Event().wait()


def listening(port: int = 0) -> socket.socket:
    """Return a socket that listens; others may listen at the same address."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind(("127.0.0.1", port))
    one.listen(BACKLOG)
    one.setblocking(False)
    return one


def forked(action: Callable[[], object]) -> int:
    """Do something in a child until it is killed; return its process."""
    if (pid := os.fork()) == 0:
        try:
            action()
        finally:
            os._exit(1)
    return pid


def crowd(port: int) -> Counter[bytes]:
    """Connect all at once; return how many were answered, by the process."""
    clients = []
    for _ in range(COUNT):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))
        clients.append(client)
    found, deadline = Counter[bytes](), time.monotonic() + SECONDS
    for client in clients:
        client.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            found[client.recv(100)] += 1
        except OSError:
            found[b"-"] += 1
    for client in clients:
        client.close()
    return found


def measure(way: str) -> tuple[list[int], int]:
    """Return the shares of the two, and how many are answered while one is stopped."""
    board, first = Scoreboard(2), listening()
    port = first.getsockname()[1]
    sockets = [first, listening(port) if way == OWN_SOCKETS else first]
    pids = [
        forked(lambda number=number, one=one: asyncio.run(serve(way, one, board, number)))  # type: ignore[misc]
        for number, one in enumerate(sockets)
    ]
    try:
        time.sleep(1)
        shares = crowd(port)
        time.sleep(0.5)
        os.kill(pids[0], signal.SIGSTOP)
        answered = COUNT - crowd(port)[b"-"]
        return sorted(shares[b"%d\n" % pid] for pid in pids), answered
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main() -> None:
    """Print the shares of each way, round by round."""
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        for way in (ASYNCIO, OWN_SOCKETS, TURNS):
            (few, many), answered = measure(way)
            print(f"{way:<20} {few:>3} and {many:>3}; of {COUNT} with one stopped {answered} are answered")


if __name__ == "__main__":
    main()

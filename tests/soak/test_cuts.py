"""R23 at length: requests and replies are cut at random bytes, and push loses and doubles nothing."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runcast.client.push import Pusher
from runcast.client.remote_stream import RemoteStream
from tests.helpers.proxy import Proxy
from tests.helpers.servers import Server
from tests.helpers.stores import temporary_store
from tests.integration.web.mounted import mounted_code

CUTS = 100_000  # of requests, and as many of replies
SERVES = [
    ("serve", "nothing"),
    ("uvicorn-h11", "starlette"),
    ("hypercorn", "fastapi"),
    ("gunicorn", "flask"),
    ("gunicorn-gevent", "bottle"),
    ("waitress", "django-wsgi"),
    ("cheroot", "bottle"),
]
_PUSHERS = 32  # at a time: each waits after a cut
_LINES = 200  # in a request
# A connection is cut within its first four requests or replies: then most have one that comes through,
# and its pusher, who waits twice as long after each failure in a row, begins with a short wait again.
_REQUESTS_BYTES, _REPLIES_BYTES = 4 * 2_400, 4 * 250


@pytest.mark.parametrize(("name", "framework"), SERVES, ids=lambda value: value)
def test_cuts(
    name: str, framework: str, tmp_path: Path, sized: Callable[[int], int], say: Callable[[str], None]
) -> None:
    """R23: each of many streams has every line once and in order, and is closed."""
    options = f"{{'store': {str(tmp_path / 'store')!r}, 'authorize': lambda *_: True}}"
    code, prefix = ("", "") if name == "serve" else (mounted_code(framework, options), "/casts")
    wanted = sized(CUTS // len(SERVES))
    chance, began = random.Random(name), time.monotonic()

    def plan(phase: int, most: int) -> list[int | None]:
        return [chance.randrange(most) if number % 2 == phase else None for number in range(30_010)]

    requests, replies = plan(0, _REQUESTS_BYTES), plan(1, _REPLIES_BYTES)
    with (
        temporary_store(tmp_path / "store"),
        Server(tmp_path, name, code) as server,
        Proxy(
            server.port,
            lambda number: replies[number % len(replies)],
            requests=lambda number: requests[number % len(requests)],
        ) as proxy,
        ThreadPoolExecutor(_PUSHERS) as pool,
    ):

        def push(which: int) -> tuple[int, str]:
            """Push until there were as many cuts; return how many requests, and where."""
            path = f"{prefix}/v1/stream/pushed-{which}"
            with RemoteStream(proxy.url.rstrip("/") + path) as stream:
                pusher = Pusher(stream)
                pusher.create()
                number = 0
                while min(proxy.cuts.values()) < wanted:
                    pusher.send(lines(number))
                    number += 1
                pusher.send(lines(number), close=True)
            return number + 1, path

        for count, path in pool.map(push, range(_PUSHERS)):
            status, told, body = server.ask("GET", path)
            assert (status, told["stream-closed"]) == (200, "true")
            assert body == b"".join(map(lines, range(count)))
        seconds = time.monotonic() - began
        say(f"cut {proxy.cuts}, {proxy.connections} connections, {seconds:.0f} s; nothing lost or doubled")


def lines(number: int) -> bytes:
    """Return the lines of a request."""
    return b"".join(b"%09d\n" % line for line in range(number * _LINES, (number + 1) * _LINES))

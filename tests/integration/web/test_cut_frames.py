"""A message that is cut never happened: over a WebSocket of every server that has them."""

import json
from collections.abc import Iterator

import pytest

from runcast import Store
from tests.helpers.cutting import frame_cuts, frames, send_frames
from tests.helpers.servers import ASGI, LONG, Server
from tests.helpers.stores import temporary_store
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.fault]

SERVERS = ["serve", "uvicorn", "uvicorn-h11", "hypercorn", "daphne", "gunicorn-asgi"]


@pytest.fixture(scope="module", params=SERVERS)
def serving(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Store]]:
    """Give a server in which everything is allowed, and its store."""
    folder = tmp_path_factory.mktemp("serving")
    code = ASGI.replace("Store.open()", f"Store.open({str(folder / 'store')!r})")
    with temporary_store(folder / "store") as store, Server(folder, request.param, code) as server:
        yield server, store


def padded(**asked: object) -> bytes:
    """Return a message, with so many spaces behind it that most parts of it would be obeyed by themselves."""
    return json.dumps(asked).encode().ljust(140)


def test_stdin(serving: tuple[Server, Store]):
    """Of input that is cut anywhere nothing comes, nor does its end; what was whole before it comes once."""
    server, store = serving
    run = store.start(["cat"], stdin="pipe")
    path = f"/runs/{run.id}/log"
    wanted = b""
    for number, sent in enumerate(frame_cuts(padded(stdin="part of a line\n", eof=True))):
        send_frames(server.port, path, sent, reset=number % 3 == 2)
        if number % 10 == 0:
            line = f"whole {number}\n"
            send_frames(server.port, path, frames(padded(stdin=line), parts=1 + number % 20 // 10 * 2) + sent)
            wanted += line.encode()
            wait_until(lambda: run.tail_offset >= len(wanted), timeout=LONG)  # noqa: B023
    assert run.outcome is None
    send_frames(server.port, path, frames(padded(stdin="the end\n", eof=True), parts=3))

    assert run.output(encoding=None, timeout=LONG) == wanted + b"the end\n"


@pytest.mark.parametrize(
    "asked", [{"stop": {"grace": 0}}, {"signal": "KILL"}], ids=lambda asked: next(iter(asked))
)
def test_ending(serving: tuple[Server, Store], asked: dict[str, object]):
    """A stop and a signal that are cut anywhere do nothing; whole, they do what they are for."""
    server, store = serving
    run = store.start(["sleep", "600"])
    path = f"/runs/{run.id}/log"
    for number, sent in enumerate(frame_cuts(padded(**asked))):
        send_frames(server.port, path, sent, reset=number % 3 == 2)
    assert run.outcome is None
    send_frames(server.port, path, frames(padded(**asked), parts=3))

    assert not run.wait(timeout=LONG).ok

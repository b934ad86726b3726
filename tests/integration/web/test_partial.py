"""Half a line that waits for somebody, and a line that is drawn over: seen in time, once, and bounded."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

import runcast.aio
from runcast import Line, Run, Store
from runcast.client import AsyncClient, Client
from runcast.run.base import files_of
from tests.helpers.servers import LONG, Server
from tests.unit.wire.eventsource import Event, EventSource

pytestmark = pytest.mark.slow  # a line rests for a second

ASKS = [sys.executable, "-c", "print('you said', input('Go? [y/N] '))"]
NOISY = """
import sys, threading
over = threading.Event()
def noise():
    while not over.wait(0.05):
        print(".", file=sys.stderr, flush=True)
threading.Thread(target=noise).start()
print("you said", input("Go? [y/N] "))
over.set()
"""
Face = Callable[[Run, Server], list[Line]]


def answered(lines: Iterator[Line | None], send: Callable[[str], object]) -> list[Line]:
    """Return the lines, and answer the prompt once it is seen."""
    seen = []
    for line in lines:
        if line is not None:
            seen.append(line)
            if line.partial:
                send("yes\n")
    return seen


async def answered_async(lines: AsyncIterator[Line | None], send: Callable[[str], object]) -> list[Line]:
    seen = []
    async for line in lines:
        if line is not None:
            seen.append(line)
            if line.partial:
                await send("yes\n")  # type: ignore[misc]
    return seen


def in_run(run: Run, server: Server) -> list[Line]:
    return answered(run.lines(partial=True, channel="stdout"), run.send)


def in_async_run(run: Run, server: Server) -> list[Line]:
    async def main() -> list[Line]:
        found = await runcast.aio.get(run.id, store=Store(files_of(run).path.rpartition("/")[0]))
        return await answered_async(found.lines(partial=True, channel="stdout", timeout=0.3), found.send)

    return asyncio.run(main())


def in_client(run: Run, server: Server) -> list[Line]:
    with Client(server.root) as client:
        found = client.get(run.id)
        return answered(found.lines(partial=True, channel="stdout"), found.send)


def in_async_client(run: Run, server: Server) -> list[Line]:
    async def main() -> list[Line]:
        async with AsyncClient(server.root) as client:
            found = await client.get(run.id)
            return await answered_async(found.lines(partial=True, channel="stdout", timeout=30), found.send)

    return asyncio.run(main())


@pytest.fixture(name="server")
def server_fixture(serving: Callable[[str, Path], Server], store: Store, own_store: Path) -> Server:
    """Serve the test's store."""
    return serving("uvicorn", own_store)


@pytest.mark.parametrize("command", [ASKS, [sys.executable, "-c", NOISY]], ids=["alone", "noisy"])
@pytest.mark.parametrize("face", [in_run, in_async_run, in_client, in_async_client])
def test_prompt_is_seen_before_its_answer(store: Store, server: Server, face: Face, command: list[str]):
    """A prompt comes in every face, marked as a part, once; the answer's line is its rest."""
    run = store.start(command, stdin="pipe", timeout=LONG)

    lines = face(run, server)

    assert [(line, line.partial) for line in lines] == [("Go? [y/N] ", True), ("you said yes", False)]
    assert run.wait(LONG).ok


def test_timeouts_beside_parts(store: Store):
    """`timeout=` goes on telling of silence, in its own time, before and behind a part."""
    run = store.start(ASKS, stdin="pipe", timeout=LONG)
    seen: list[str | None] = []
    for line in run.lines(partial=True, timeout=0.25):
        seen.append(line)
        if line is None and "Go? [y/N] " in seen:
            break

    assert seen.count("Go? [y/N] ") == 1
    assert None in seen[: seen.index("Go? [y/N] ")]
    run.kill()
    run.wait(LONG)


def test_lines_are_plain_unless_parts_are_asked_for(store: Store):
    """Without `partial=` a line waits for its end, and is a `str` like any other."""
    run = store.start(["printf", "a\\nb"])

    assert [type(line) for line in run.lines()] == [str, str]
    assert [(line, line.partial) for line in run.lines(partial=True) if line] == [("a", False), ("b", False)]


def events_of(server: Server, path: str, **headers: str) -> Iterator[Event]:
    """Yield the lines of an event stream as they come."""
    source = EventSource()
    with server.stream(path, Accept="text/event-stream", **headers) as reply:
        stream = b""
        while data := reply.read1():
            stream += data
            whole = stream.rfind(b"\n\n") + 2
            yield from (event for event in source.read(stream[:whole]) if event.type == "message")
            stream = stream[whole:] if whole > 1 else stream


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn"])
def test_prompt_in_events(store: Store, own_store: Path, serving: Callable[..., Server], kind: str):
    """`?partial=1` says a prompt in an event whose id ends in a plus; a reconnect gets the rest, once."""
    server = serving(kind, own_store)
    run = store.start(ASKS, stdin="pipe", timeout=LONG)

    live = events_of(server, f"/runs/{run.id}/log?partial=1")
    prompt = next(live)
    run.send("yes\n")
    rest = next(live)

    assert (prompt.data, prompt.id[-1]) == ("Go? [y/N] ", "+")
    assert (rest.data, rest.id[-1] == "+") == ("you said yes", False)
    run.wait(LONG)
    path = f"/runs/{run.id}/log"
    assert [event.data for event in events_of(server, path, Last_Event_ID=prompt.id)] == ["you said yes"]
    assert [event.data for event in events_of(server, path)] == ["Go? [y/N] you said yes"]


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn"])
def test_viewers_share_parts(store: Store, own_store: Path, serving: Callable[..., Server], kind: str):
    """Viewers at one place get the same parts, and one who joins later has the line in parts of its own."""
    server = serving(kind, own_store)
    run = store.start(ASKS, stdin="pipe", timeout=LONG)
    viewers = [events_of(server, f"/runs/{run.id}/log?partial=1") for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        prompts = list(pool.map(next, viewers[:3]))
        prompts.append(next(viewers[3]))
        run.send("yes\n")
        rests = list(pool.map(next, viewers))

    assert {(event.data, event.id[-1]) for event in prompts} == {("Go? [y/N] ", "+")}
    assert {event.data for event in rests} == {"you said yes"}
    assert [list(viewer) for viewer in viewers] == [[]] * 4
    run.wait(LONG)


BAR = """
import sys
sys.stdout.write("Downloading\\n")
for n in range({states}):
    sys.stdout.write("\\r" + f"{{n:6d}} of {states} ".ljust(99, "#"))
"""


def test_tail_of_a_bar(store: Store, server: Server):
    """The tail of a bar that only sends CR is its last states, in every form, not all of them."""
    run = store.start([sys.executable, "-c", BAR.format(states=20_000)])
    run.wait(LONG)

    def size(query: str, **headers: str) -> int:
        return len(server.ask("GET", f"/runs/{run.id}/log?{query}", **headers)[2])

    assert run.tail_offset > 1_900_000
    assert size("tail=1") == 99
    assert size("tail=5") == 5 * 100 - 1
    assert size("tail=5&channel=stdout") == 5 * 100 - 1
    messages = events_of(server, f"/runs/{run.id}/log?tail=5")
    assert [int(event.data[:6]) for event in messages] == list(range(19_995, 20_000))
    assert size("tail=5&format=ndjson") < 4096
    assert list(run.lines(tail=1)) == ["19999 of 20000 ".rjust(16).ljust(99, "#")]
    assert [line.split()[0] for line in run.lines(progress=True)] == ["Downloading", "19999"]


def test_live_bar(store: Store):
    """With both, a bar that goes on all the time shows a state now and then, and its last."""
    code = "import itertools, os, time\n"
    code += "for n in itertools.count():\n  os.write(1, b'\\r%d' % n); time.sleep(0.01)"
    run = store.start([sys.executable, "-c", code], timeout=LONG)
    seen = []
    for number, line in zip(count(), run.lines(partial=True, progress=True), strict=False):
        assert line is not None
        assert line.partial
        seen.append(int(line))
        if number == 2:
            break
    run.kill()
    run.wait(LONG)

    assert seen == sorted(set(seen))
    assert seen[-1] < 100 * LONG  # states were left out, not queued: it came while the bar was there

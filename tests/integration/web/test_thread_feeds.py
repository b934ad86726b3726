"""Viewers with a thread or a greenlet each share the reading and the encoding, and nothing else."""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import runcast
from runcast import Run, Store
from runcast.errors import OffsetBeyondTail
from runcast.run.base import files_of
from runcast.web.http.messages import Request
from runcast.web.http.response_stream import ResponseStream
from runcast.web.live import thread_feeds
from runcast.web.live.pull import pull
from runcast.web.responder import Responder
from runcast.web.servers.shutdown import server_ends
from tests.helpers.children import Printer, judge, run_python
from tests.helpers.wait import MS, wait_until

DEADLINE = 20000 * MS
ECHO = ["sh", "-c", "echo up; while read line; do echo $line; done"]


def log_stream(store: Store, run: Run, query: str = "") -> ResponseStream:
    """Return the stream of the reply to a GET of a run's log."""
    reply = Responder(store).respond(Request("GET", f"/runs/{run.id}/log", "", query, {}))
    assert reply.stream is not None, reply
    return reply.stream


class Viewer(threading.Thread):
    """A thread that pulls a reply."""

    def __init__(self, store: Store, run: Run, query: str = "") -> None:
        super().__init__(daemon=True)
        self.got = b""
        self.error: Exception | None = None
        self.left = False
        self.takes = threading.Event()  # cleared: it takes no more than one piece
        self.takes.set()
        self._stream = log_stream(store, run, query)
        self.start()

    def run(self) -> None:
        """Collect the bytes of the reply."""
        try:
            for data in pull(self._stream, lambda: self.left):
                self.got += data
                self.takes.wait(DEADLINE)
        except Exception as error:
            self.error = error


def subscribers() -> int:
    """Return how many viewers share feeds now."""
    return sum(feed.subscribers for feed in thread_feeds._feeds._feeds.values())


def joined(viewers: list[Viewer]) -> list[bytes]:
    """Return the replies that viewers got, once all have ended."""
    for viewer in viewers:
        viewer.join(DEADLINE)
        assert not viewer.is_alive()
    return [viewer.got for viewer in viewers]


@pytest.fixture
def echo(store: Store) -> Iterator[Run]:
    """Give a run that prints each line that it reads."""
    run = store.start(ECHO, stdin="pipe")
    yield run
    if not run.closed:
        run.kill()


def of_text(reply: bytes) -> bytes:
    """Return the output in a plain reply."""
    return reply


def of_events(reply: bytes) -> bytes:
    """Return the output in unnamed events, a line each."""
    events = [event.split(b"\n") for event in reply.split(b"\n\n")]
    return b"".join(event[0][6:] + b"\n" for event in events if event[0].startswith(b"data: "))


def of_chunks(reply: bytes) -> bytes:
    """Return the output in lines of JSON, be they events or not."""
    values = [json.loads(line) for line in reply.replace(b"data: ", b"").split(b"\n") if line[:1] == b"{"]
    chunks = [chunk for value in values for chunk in value.get("chunks", [value]) if "text" in chunk]
    return "".join(chunk["text"] for chunk in chunks).encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "of"),
    [
        ("format=text", of_text),
        ("format=sse", of_events),
        ("format=sse-json", of_chunks),
        ("format=ndjson", of_chunks),
    ],
)
def test_all_get_the_same(store: Store, tmp_path: Path, query: str, of: Callable[[bytes], bytes]):
    """Fifty viewers of any form that connect while a program prints get its output to the byte."""
    run = store.start(Printer(tmp_path, lines=600, pause=0.003, block=3).argv)
    viewers = []
    for number in range(50):
        wait_until(lambda least=number * 1000: run.tail_offset >= least or run.closed)
        viewers.append(Viewer(store, run, query))

    outputs = {of(reply) for reply in joined(viewers)}

    assert outputs == {run.output().encode()}
    assert judge(run.output().encode()).lines == 1200
    assert subscribers() == 0


def test_one_reads_for_all(store: Store, echo: Run):
    """Forty waiting viewers hold about as few files open as one."""

    def shared(count: int) -> Callable[[], bool]:
        return lambda: subscribers() == count

    viewers = [Viewer(store, echo)]
    wait_until(shared(1))
    files = len(os.listdir("/proc/self/fd"))
    viewers += [Viewer(store, echo) for _ in range(39)]
    wait_until(shared(40))

    assert len(os.listdir("/proc/self/fd")) < files + 10
    echo.send("to all\n", eof=True)
    assert joined(viewers) == [b"up\nto all\n"] * 40


@pytest.mark.slow
def test_slow_viewer(store: Store, echo: Run):
    """A viewer that is too far behind for the buffer reads alone; the feed keeps little for it."""
    slow, quick = (Viewer(store, echo, "format=sse") for _ in range(2))
    wait_until(lambda: subscribers() == 2)
    slow.takes.clear()
    expected = b"up\n"
    for number in range(40):
        lines = b"%099d\n" % number * 150
        echo.send(lines)
        expected += lines
        wait_until(lambda size=len(expected): len(of_events(quick.got)) == size)  # noqa: B008  of this turn
    (feed,) = thread_feeds._feeds._feeds.values()

    assert subscribers() == 2
    assert sum(len(data) for data, _ in feed._pieces) < 300_000
    slow.takes.set()
    echo.send(b"", eof=True)
    assert [of_events(reply) for reply in joined([slow, quick])] == [expected] * 2
    assert slow.got.count(b"event: exit") == 1


@pytest.mark.slow
def test_progress_while_behind(store: Store):
    """A viewer that was behind when progress was published gets the latest once it has caught up."""
    go, end = threading.Event(), threading.Event()

    def work() -> None:
        print("up")
        go.wait(DEADLINE)
        for _ in range(20):
            print("more\n" * 10_000)
            time.sleep(0.01)
        runcast.progress(1, 2, "half")
        end.wait(DEADLINE)

    run = store.start(work)
    slow, quick = (Viewer(store, run, "format=sse") for _ in range(2))
    wait_until(lambda: subscribers() == 2)
    slow.takes.clear()
    go.set()
    wait_until(lambda: b"half" in quick.got)
    assert b"half" not in slow.got
    slow.takes.set()
    wait_until(lambda: b"half" in slow.got)
    end.set()

    assert [of_events(reply) for reply in joined([slow, quick])] == [run.output().encode()] * 2
    assert slow.got.count(b"event: progress") == quick.got.count(b"event: progress") == 1


@pytest.mark.slow
def test_one_leaves(store: Store, echo: Run):
    """When the viewer that drives the feed leaves, another one drives it."""
    viewers = [Viewer(store, echo) for _ in range(6)]
    wait_until(lambda: subscribers() == 6)
    for viewer in viewers[:3]:
        viewer.left = True
        viewer.join(DEADLINE)
    assert subscribers() == 3
    echo.send("to the rest\n", eof=True)

    assert joined(viewers) == [b"up\n"] * 3 + [b"up\nto the rest\n"] * 3


@pytest.mark.slow
def test_server_ends(store: Store, echo: Run):
    """When the server ends, all shared replies end: events ask to reconnect, plain text is cut off."""
    viewers = [Viewer(store, echo, f"format={form}") for form in ("sse", "text") for _ in range(5)]
    wait_until(lambda: subscribers() == 10)
    server_ends()
    try:
        replies = joined(viewers)
    finally:
        server_ends(False)

    assert [b"event: restart" in one for one in replies] == [True] * 5 + [False] * 5
    assert [type(viewer.error) for viewer in viewers] == [type(None)] * 5 + [ConnectionResetError] * 5


def test_notices(store: Store, echo: Run):
    """Notices of silence go to the viewers that requested the same interval, and to no other."""
    noticed = [Viewer(store, echo, "format=text&interval=0.05") for _ in range(3)]
    other = Viewer(store, echo)
    wait_until(lambda: all(viewer.got.count(b"*** Interval") >= 3 for viewer in noticed))
    echo.send("line\n", eof=True)
    joined([*noticed, other])

    assert other.got == b"up\nline\n"
    assert all(re.sub(rb"\*.*\n", b"", viewer.got) == b"up\nline\n" for viewer in noticed)


def test_failure(store: Store, echo: Run):
    """When reading fails, it fails for all who share it, and the next viewer begins anew."""
    viewers = [Viewer(store, echo) for _ in range(5)]
    wait_until(lambda: subscribers() == 5 and all(viewer.got for viewer in viewers))
    (segment,) = Path(files_of(echo).log_path).glob("*[0-9]")
    os.truncate(segment, 0)
    joined(viewers)
    again = Viewer(store, echo)
    echo.send("again\n", eof=True)

    assert [type(viewer.error) for viewer in viewers] == [OffsetBeyondTail] * 5
    assert joined([again]) == [b"again\n"]
    assert subscribers() == 0


GEVENT = """
    from gevent import monkey; monkey.patch_all()
    import sys
    import gevent
    from runcast import Store
    from runcast.web.live import thread_feeds
    from runcast.web.http.messages import Request
    from runcast.web.responder import Responder
    from runcast.web.live.pull import pull

    store = Store(sys.argv[1])
    run = store.start(["sh", "-c", "while read line; do echo $line; done"], stdin="pipe")
    got = []

    def view(number):
        got.append(b"")
        stream = Responder(store).respond(Request("GET", f"/runs/{run.id}/log", "", "", {})).stream
        for data in pull(stream):
            got[number] += data

    def await_subscribers(count):
        while sum(feed.subscribers for feed in thread_feeds._feeds._feeds.values()) != count:
            gevent.sleep(0.01)

    viewers = [gevent.spawn(view, number) for number in range(30)]
    await_subscribers(30)
    (feed,) = thread_feeds._feeds._feeds.values()
    for number in range(30):
        if number < 10:
            viewers[number].kill()  # wherever it is: driving, or in the queue
        run.send(f"{number}\\n")
        while not got[29].endswith(b"%d\\n" % number):
            gevent.sleep(0.001)
    await_subscribers(20)
    run.send("", eof=True)
    gevent.joinall(viewers, timeout=60)
    whole = b"".join(b"%d\\n" % number for number in range(30))
    assert got[10:] == [whole] * 20, got
    assert all(whole.startswith(one) for one in got)
    assert not thread_feeds._feeds._feeds
    print("done")
"""


@pytest.mark.slow
def test_gevent(store: Store):
    """Greenlets share a reply, and those that are killed wherever they wait take nobody with them."""

    assert run_python(GEVENT, store.path) == "done\n"

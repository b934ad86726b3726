"""Viewers that have a thread or a greenlet each share the reading and the encoding, and nothing else."""

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
from runcast.web import shared
from runcast.web.http import Request
from runcast.web.responder import Responder
from runcast.web.shutdown import server_ends
from runcast.web.streams import Viewing, pull
from tests.helpers.children import Printer, judge, run_python
from tests.helpers.wait import MS, wait_until

DEADLINE = 20000 * MS
SAYS_WHAT_IT_READS = ["sh", "-c", "echo up; while read line; do echo $line; done"]


def viewing(store: Store, run: Run, query: str = "") -> Viewing:
    """Return what a viewer gets who asks for the log of a run."""
    reply = Responder(store).respond(Request("GET", f"/runs/{run.id}/log", "", query, {}))
    assert reply.stream is not None, reply
    return reply.stream


class Viewer(threading.Thread):
    """A thread that pulls a reply."""

    def __init__(self, store: Store, run: Run, query: str = "") -> None:
        super().__init__(daemon=True)
        self.said = b""
        self.error: Exception | None = None
        self.left = False
        self.takes = threading.Event()  # cleared: it takes no more than one piece
        self.takes.set()
        self._viewing = viewing(store, run, query)
        self.start()

    def run(self) -> None:
        """Collect what is said."""
        try:
            for data in pull(self._viewing, lambda: self.left):
                self.said += data
                self.takes.wait(DEADLINE)
        except Exception as error:
            self.error = error


def seated() -> int:
    """Return how many viewers share feeds now."""
    return sum(feed.members for feed in shared._feeds._feeds.values())


def joined(viewers: list[Viewer]) -> list[bytes]:
    """Return what viewers got, when all have ended."""
    for viewer in viewers:
        viewer.join(DEADLINE)
        assert not viewer.is_alive()
    return [viewer.said for viewer in viewers]


@pytest.fixture
def talking(store: Store) -> Iterator[Run]:
    """Give a run that says what is sent to it."""
    run = store.start(SAYS_WHAT_IT_READS, stdin="pipe")
    yield run
    if not run.closed:
        run.kill()


def of_text(said: bytes) -> bytes:
    """Return the output in a plain reply."""
    return said


def of_events(said: bytes) -> bytes:
    """Return the output in unnamed events, a line each."""
    events = [event.split(b"\n") for event in said.split(b"\n\n")]
    return b"".join(event[0][6:] + b"\n" for event in events if event[0].startswith(b"data: "))


def of_chunks(said: bytes) -> bytes:
    """Return the output in lines of JSON, be they events or not."""
    values = [json.loads(line) for line in said.replace(b"data: ", b"").split(b"\n") if line[:1] == b"{"]
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
    """Fifty viewers of any form, who come while a program prints, get its output to the byte."""
    run = store.start(Printer(tmp_path, lines=600, pause=0.003, block=3).argv)
    viewers = []
    for number in range(50):
        wait_until(lambda least=number * 1000: run.tail_offset >= least or run.closed)
        viewers.append(Viewer(store, run, query))

    said = {of(said) for said in joined(viewers)}

    assert said == {run.output().encode()}
    assert judge(run.output().encode()).lines == 1200
    assert seated() == 0


def test_one_reads_for_all(store: Store, talking: Run):
    """Forty viewers who wait hold about as few files open as one."""

    def seen(count: int) -> Callable[[], bool]:
        return lambda: seated() == count

    viewers = [Viewer(store, talking)]
    wait_until(seen(1))
    files = len(os.listdir("/proc/self/fd"))
    viewers += [Viewer(store, talking) for _ in range(39)]
    wait_until(seen(40))

    assert len(os.listdir("/proc/self/fd")) < files + 10
    talking.send("to all\n", eof=True)
    assert joined(viewers) == [b"up\nto all\n"] * 40


@pytest.mark.slow
def test_slow_viewer(store: Store, talking: Run):
    """Who is further behind than the chain goes on by itself, gets all, and has the others keep little."""
    slow, quick = (Viewer(store, talking, "format=sse") for _ in range(2))
    wait_until(lambda: seated() == 2)
    slow.takes.clear()
    expected = b"up\n"
    for number in range(40):
        lines = b"%099d\n" % number * 150
        talking.send(lines)
        expected += lines
        wait_until(lambda size=len(expected): len(of_events(quick.said)) == size)  # noqa: B008  of this turn
    (feed,) = shared._feeds._feeds.values()

    assert seated() == 2
    assert sum(len(data) for data, _ in feed._pieces) < 300_000
    slow.takes.set()
    talking.send(b"", eof=True)
    assert [of_events(said) for said in joined([slow, quick])] == [expected] * 2
    assert slow.said.count(b"event: exit") == 1


@pytest.mark.slow
def test_progress_while_behind(store: Store):
    """Who was behind when progress was told is told the latest once it is no longer."""
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
    wait_until(lambda: seated() == 2)
    slow.takes.clear()
    go.set()
    wait_until(lambda: b"half" in quick.said)
    assert b"half" not in slow.said
    slow.takes.set()
    wait_until(lambda: b"half" in slow.said)
    end.set()

    assert [of_events(said) for said in joined([slow, quick])] == [run.output().encode()] * 2
    assert slow.said.count(b"event: progress") == quick.said.count(b"event: progress") == 1


@pytest.mark.slow
def test_one_leaves(store: Store, talking: Run):
    """When those who leave have driven the others, these go on."""
    viewers = [Viewer(store, talking) for _ in range(6)]
    wait_until(lambda: seated() == 6)
    for viewer in viewers[:3]:
        viewer.left = True
        viewer.join(DEADLINE)
    assert seated() == 3
    talking.send("to who stayed\n", eof=True)

    assert joined(viewers) == [b"up\n"] * 3 + [b"up\nto who stayed\n"] * 3


@pytest.mark.slow
def test_server_ends(store: Store, talking: Run):
    """When the server ends, all shared replies end: events say to come back, plain text is cut off."""
    viewers = [Viewer(store, talking, f"format={form}") for form in ("sse", "text") for _ in range(5)]
    wait_until(lambda: seated() == 10)
    server_ends()
    try:
        said = joined(viewers)
    finally:
        server_ends(False)

    assert [b"event: restart" in one for one in said] == [True] * 5 + [False] * 5
    assert [type(viewer.error) for viewer in viewers] == [type(None)] * 5 + [ConnectionResetError] * 5


def test_remarks(store: Store, talking: Run):
    """Remarks of silence are shared by those who asked for the same, and by nobody else."""
    asked = [Viewer(store, talking, "format=text&interval=0.05") for _ in range(3)]
    other = Viewer(store, talking)
    wait_until(lambda: all(viewer.said.count(b"*** Interval") >= 3 for viewer in asked))
    talking.send("line\n", eof=True)
    joined([*asked, other])

    assert other.said == b"up\nline\n"
    assert all(re.sub(rb"\*.*\n", b"", viewer.said) == b"up\nline\n" for viewer in asked)


def test_failure(store: Store, talking: Run):
    """When reading fails, it fails for all who share it, and the next viewer begins anew."""
    viewers = [Viewer(store, talking) for _ in range(5)]
    wait_until(lambda: seated() == 5 and all(viewer.said for viewer in viewers))
    (segment,) = Path(talking.directory.log_path).glob("*[0-9]")
    os.truncate(segment, 0)
    joined(viewers)
    again = Viewer(store, talking)
    talking.send("again\n", eof=True)

    assert [type(viewer.error) for viewer in viewers] == [OffsetBeyondTail] * 5
    assert joined([again]) == [b"again\n"]
    assert seated() == 0


GEVENT = """
    from gevent import monkey; monkey.patch_all()
    import sys
    import gevent
    from runcast import Store
    from runcast.web import shared
    from runcast.web.http import Request
    from runcast.web.responder import Responder
    from runcast.web.streams import pull

    store = Store(sys.argv[1])
    run = store.start(["sh", "-c", "while read line; do echo $line; done"], stdin="pipe")
    got = []

    def view(number):
        got.append(b"")
        stream = Responder(store).respond(Request("GET", f"/runs/{run.id}/log", "", "", {})).stream
        for data in pull(stream):
            got[number] += data

    def seated(count):
        while sum(feed.members for feed in shared._feeds._feeds.values()) != count:
            gevent.sleep(0.01)

    viewers = [gevent.spawn(view, number) for number in range(30)]
    seated(30)
    (feed,) = shared._feeds._feeds.values()
    for number in range(30):
        if number < 10:
            viewers[number].kill()  # wherever it is: driving, or in the queue
        run.send(f"{number}\\n")
        while not got[29].endswith(b"%d\\n" % number):
            gevent.sleep(0.001)
    seated(20)
    run.send("", eof=True)
    gevent.joinall(viewers, timeout=20)
    whole = b"".join(b"%d\\n" % number for number in range(30))
    assert got[10:] == [whole] * 20, got
    assert all(whole.startswith(one) for one in got)
    assert not shared._feeds._feeds
    print("done")
"""


@pytest.mark.slow
def test_gevent(store: Store):
    """Greenlets share a reply, and those that are killed wherever they wait take nobody with them."""
    pytest.importorskip("gevent")

    assert run_python(GEVENT, store.path) == "done\n"

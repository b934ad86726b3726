"""Varnish before two hosts, as documented: of all who follow a run, one request at a time reaches a host."""

import asyncio
import faulthandler
import json
import subprocess
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Route

from bench.peers.server import running
from bench.peers.viewers import view
from runcast import Run
from tests.helpers.browser import launched
from tests.helpers.cli import cli
from tests.helpers.edge import Cache, Hosts, two_hosts
from tests.helpers.examples import EXAMPLES
from tests.helpers.link_hosts import PATIENCE
from tests.helpers.ports import free_port
from tests.helpers.programs import program
from tests.helpers.servers import LONG
from tests.helpers.wait import MS, wait_until

pytestmark = [pytest.mark.meetings, pytest.mark.slow]

VIEWERS = 40
# Until it is told to end. A reply with events goes on for 30 to 90 seconds.
LINES = """
import os, time
n = 0
while not os.path.exists("go"):
    print("line", n, flush=True)
    n += 1
    time.sleep(0.05)
"""
PAGE = """<!doctype html><script type="module">
import { followEvents } from "./follow_events.js";
window.seen = "";
window.times = [];
const decoder = new TextDecoder();
followEvents(location.hash.slice(1), (bytes) => {
  window.seen += decoder.decode(bytes, { stream: true });
  window.times.push(performance.now());
});
</script>"""


class Edge(NamedTuple):
    """Two hosts, and Varnish before both."""

    both: Hosts
    cache: Cache
    folder: Path

    def asked(self) -> int:
        """Return how many requests have reached a host."""
        command = [program("varnishstat"), "-1", "-n", str(self.folder), "-f", "MAIN.backend_req"]
        return int(subprocess.run(command, capture_output=True, check=True).stdout.split()[1])


@pytest.fixture(name="place", scope="module")
def place_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """Two hosts behind Varnish."""
    folder = tmp_path_factory.mktemp("edge")
    with two_hosts(folder) as both:
        text = (EXAMPLES / "varnish-streams.vcl").read_text()
        one = text[text.index("backend one") : text.index("sub vcl_init")]
        text = text.replace(one, one + one.replace("one", "two").replace("8765", str(both.ports[1])), 1)
        text = text.replace("8765", str(both.ports[0]))
        text = text.replace("hosts.add_backend(one);", "hosts.add_backend(one); hosts.add_backend(two);")
        config, port, place = folder / "streams.vcl", free_port(), folder / "varnish"
        config.write_text(text)
        listens = ["-a", f"127.0.0.1:{port}", "-n", str(place), "-T", "none", "-j", "none"]
        command = [program("varnishd"), "-F", *listens, "-f", str(config)]
        with running(command, port, env={"HOME": str(folder)}):
            yield Edge(both, Cache(port), place)


@pytest.fixture(name="run")
def run_fixture(place: Edge, tmp_path: Path) -> Iterator[Run]:
    """A run that says 20 lines a second until the file `go` is there."""
    run = place.both.hosts[0].store.start(["python3", "-c", LINES], cwd=tmp_path)
    place.both.hosts[1].get(run)
    yield run
    (tmp_path / "go").touch()
    run.wait(timeout=PATIENCE)


class Events(threading.Thread):
    """A viewer by events, who comes back where the last reply ended, until the stream is closed.

    Attributes:
        data: what came.
        places: where each reply ended: the offset, the cursor.
    """

    def __init__(self, place: Edge, run: Run) -> None:
        super().__init__(daemon=True)
        self._place, self._path = place, f"/v1/stream/runs/{run.id}"
        self.data = b""
        self.places: list[tuple[str, str]] = []

    def run(self) -> None:
        query, control = "live=sse&offset=-1", {}
        while "streamClosed" not in control:
            with self._place.cache.stream(f"{self._path}?{query}") as response:
                assert response.status == 200
                kind = b""
                for line in response:
                    if line.startswith(b"event: "):
                        kind = line[7:].strip()
                    elif line.startswith(b"data:") and kind == b"data":
                        self.data += b64decode(line[5:])
                    elif line.startswith(b"data:"):
                        control = json.loads(line[5:])
            offset, cursor = control["streamNextOffset"], control.get("streamCursor", "")
            self.places.append((offset, cursor))
            query = f"cursor={cursor}&live=sse&offset={offset}"


@pytest.mark.timeout(300)
def test_events(place: Edge, run: Run, tmp_path: Path) -> None:
    """Viewers by events who come at any time end and come back together: a host has one at a time."""
    faulthandler.cancel_dump_traceback_later()  # it waits for longer than others hang
    before = place.asked()
    viewers = [Events(place, run) for _ in range(VIEWERS)]
    for viewer in viewers:  # each comes a moment after the one before it
        seen = run.tail_offset
        viewer.start()
        wait_until(lambda seen=seen: run.tail_offset > seen, timeout=LONG)  # type: ignore[misc]
    wait_until(lambda: all(viewer.places for viewer in viewers), timeout=100000 * MS)
    (tmp_path / "go").touch()
    for viewer in viewers:
        viewer.join(LONG)
    run.wait(timeout=PATIENCE)

    assert {viewer.data for viewer in viewers} == {run.output().encode()}
    # Two minutes, if they came while one ended.
    assert len({viewer.places[0] for viewer in viewers}) <= 2
    assert len({viewer.places[-1] for viewer in viewers}) == 1
    assert place.asked() - before <= 4


def test_polls(place: Edge, run: Run, tmp_path: Path) -> None:
    """Viewers by long-poll are about one request a second, and get every byte."""
    before, began = place.asked(), time.monotonic()

    async def all_view() -> list[bytes]:
        path = f"/v1/stream/runs/{run.id}"
        viewing = asyncio.gather(
            *(view(place.cache.port, path, begin=n % 20 * 0.1, pause=0.5 * (n % 10 == 0)) for n in range(200))
        )
        await asyncio.sleep(3)
        (tmp_path / "go").touch()
        return await viewing

    got = asyncio.run(all_view())
    took = time.monotonic() - began
    run.wait(timeout=PATIENCE)
    assert set(got) == {run.output().encode()}
    assert place.asked() - before <= 4 * took + 4


@pytest.mark.parametrize(
    ("query", "headers", "shared"),
    [
        ("offset=0&live=long-poll", {}, True),
        ("live=long-poll&offset=0", {"Cookie": "a=b", "Authorization": "Bearer x"}, True),
        ("OFFSET=3&live=long-poll&offset=0", {}, False),
        ("live=long-poll&%6fffset=0", {}, False),
    ],
)
def test_spellings(place: Edge, query: str, headers: dict[str, str], shared: bool) -> None:
    """The order and who asks are no part of the key; what is spelled otherwise is another one."""
    run = place.both.finished(["echo", "one two"])
    path = f"/v1/stream/runs/{run.id}"
    assert place.cache.ask("GET", f"{path}?live=long-poll&offset=0")[2] == b"one two\n"
    _, said, body = place.cache.ask("GET", f"{path}?{query}", **headers)
    assert body == b"one two\n"
    assert (len(said["x-varnish"].split()) == 2) == shared  # of what is kept it names the first request, too
    assert place.cache.ask("GET", f"{path}?live=long-poll&offset=3")[2] == b" two\n"
    assert place.cache.ask("HEAD", path)[1]["stream-next-offset"] == f"{8:020}"
    assert place.cache.ask("GET", f"{path}x?offset=-1")[0] == 404


def test_our_client(place: Edge, run: Run, tmp_path: Path) -> None:
    """`runcast follow` of an address behind the cache prints each line once, and ends with the run."""
    threading.Timer(2.5, (tmp_path / "go").touch).start()
    done = cli("follow", f"{place.cache.root}/v1/stream/runs/{run.id}")
    assert done.code == 0, done.err
    assert done.out == run.output().encode()


@pytest.mark.timeout(300)
def test_browser(place: Edge, run: Run, tmp_path: Path) -> None:
    """A page with the EventSource of browsers comes back after each reply, and shows each line once."""
    faulthandler.cancel_dump_traceback_later()
    files = {"index.html": PAGE, "follow_events.js": (EXAMPLES / "follow_events.js").read_text()}
    asked: list[str] = []
    with launched() as browser:
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url) if "live=sse" in request.url else None)

        def answer(route: Route) -> None:
            name = route.request.url.partition("#")[0].rpartition("/")[2]
            kind = "text/javascript" if name.endswith("js") else "text/html"
            route.fulfill(body=files[name], content_type=kind)

        page.route(f"{place.cache.root}/page/*", answer)
        page.goto(f"{place.cache.root}/page/index.html#/v1/stream/runs/{run.id}")
        wait_until(lambda: page.evaluate("window.seen.length") and len(asked) > 1, timeout=100000 * MS)
        (tmp_path / "go").touch()
        run.wait(timeout=PATIENCE)
        wait_until(lambda: page.evaluate("window.seen") == run.output(), timeout=LONG)
    assert len(set(asked)) == len(asked) == 2

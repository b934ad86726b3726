"""Two hosts behind nginx that caches: what reaches them depends on the run, and not on how many view it."""

import asyncio
import contextlib
import hashlib
import time
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.peers.nginx import nginx, requests, streams
from bench.peers.server import running
from bench.peers.viewers import Reply, view
from runcast import Run
from runcast.errors import RunNotFound
from tests.helpers.edge import Cache, Hosts, two_hosts
from tests.helpers.examples import EXAMPLES
from tests.helpers.link_hosts import PATIENCE, Host
from tests.helpers.ports import free_port
from tests.helpers.servers import LONG, Server
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow

VIEWERS = 200
# 50 lines a second, until it is told to end, and then 200 KB at once.
LINES = """
import os, time
n = 0
while not os.path.exists("go"):
    print("line", n, flush=True)
    n += 1
    time.sleep(0.02)
for n in range(n, n + 20_000):
    print("line", n)
"""
VIEWER = (EXAMPLES / "nginx-viewers.conf").read_text()


class Edge(NamedTuple):
    """Two hosts, their servers, and caches before both: one for everybody, one for signed cookies."""

    hosts: list[Host]
    servers: list[Server]
    cache: Cache
    signed: Cache
    folder: Path

    def asked(self, at: str = "cache") -> list[str]:
        """Return the URL of each request that reached a host through one of the caches."""
        # nginx notes a request after its reply, and before it takes another one.
        getattr(self, at).ask("GET", "/")
        return [line.split()[3] for line in requests(self.folder / at) if not line.startswith("- ")]


@pytest.fixture(name="place", scope="module")
def place_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """Two hosts behind caches."""
    folder = tmp_path_factory.mktemp("edge")
    with two_hosts(folder) as both, contextlib.ExitStack() as stack:
        caches = []
        for name, more in (("cache", ""), ("signed", VIEWER)):
            (folder / name).mkdir()
            port = free_port()
            text = streams(folder / name, port, *both.ports)
            text = text.replace("location /v1/stream/ {", f"location /v1/stream/ {{\n{more}")
            stack.enter_context(running(nginx(folder / name, text), port))
            caches.append(Cache(port))
        yield Edge(*both, *caches, folder)


@pytest.fixture(name="finished", scope="module")
def finished_fixture(place: Edge) -> Run:
    """A run that is over, and whole on both hosts."""
    return Hosts(place.hosts, place.servers).finished(["sh", "-c", "echo one two; seq 1 5000"])


def seconds_of(run: Run) -> int:
    """Return how many seconds of its log have bytes."""
    log, offset, found = run.log(), 0, set()
    while (reading := log.read(offset)).next > offset:
        found |= {int(chunk.time) for chunk in reading.chunks}
        offset = reading.next
    return len(found)


def test_viewers_of_two_hosts(place: Edge, tmp_path: Path) -> None:
    """200 who come at any time, slow ones too, get every byte; the hosts are asked for each part once."""
    run = place.hosts[0].store.start(["python3", "-c", LINES], cwd=tmp_path)
    place.hosts[1].get(run)
    wait_until(lambda: run.tail_offset, timeout=LONG, what="its first line")
    path = f"/v1/stream/runs/{run.id}"
    replies: list[Reply] = []

    async def all_view() -> list[bytes]:
        viewers = [
            view(
                place.cache.port,
                path,
                begin=n % 40 * 0.1,
                pause=0.6 if n % 10 == 0 else 0,
                got=replies.append,
            )
            for n in range(VIEWERS)
        ]
        viewing = asyncio.gather(*viewers)
        await asyncio.sleep(5)  # as long as they come
        (tmp_path / "go").touch()
        return await viewing

    before = len(place.asked())
    began = time.monotonic()
    got = asyncio.run(all_view())
    took = time.monotonic() - began
    run.wait(timeout=PATIENCE)
    expected = run.output().encode()
    asked = Counter(place.asked()[before:])
    live = [count for url, count in asked.items() if "live" in url]
    wanted = Counter(reply.query for reply in replies)

    assert got == [expected] * VIEWERS
    assert expected.count(b"\n") > 20_010  # about 250 came while they viewed, fewer on a busy machine
    # Each second and each 64 KiB is one URL. A host that is a moment behind may add another one.
    parts = seconds_of(run) + len(expected) // 65536 + 1
    assert len(live) <= 2 * parts, (asked, parts)
    assert sum(live) <= len(live) + 2
    # What is there when a viewer comes: once a second at most, for whoever comes.
    assert sum(asked.values()) - sum(live) <= 2 * took + parts
    assert max(wanted.values()) >= VIEWERS // 2  # so they have met

    # Whoever comes late finds all of it in the cache, as soon as that knows of the end.
    def is_kept() -> bool:
        before = len(place.asked())
        assert asyncio.run(view(place.cache.port, path)) == expected
        assert asyncio.run(view(place.cache.port, path, offset="65536")) == expected[65536:]
        return len(place.asked()) == before

    wait_until(is_kept, timeout=LONG)
    said = place.cache.ask("GET", f"{path}?offset=65536")[1]
    assert said["cache-control"] == "public, max-age=31536000, immutable"


def test_silent_run(place: Edge, tmp_path: Path) -> None:
    """Many who wait for a run that is silent are one request, and see its end at once."""
    script = "echo one; while [ ! -e go ]; do sleep 0.02; done; exit 3"
    run = place.hosts[1].store.start(["sh", "-c", script], cwd=tmp_path)
    place.hosts[0].get(run)
    wait_until(lambda: run.tail_offset == 4, timeout=LONG)
    before = len(place.asked())

    async def all_view() -> list[bytes]:
        path = f"/v1/stream/runs/{run.id}"
        viewing = asyncio.gather(*(view(place.cache.port, path, begin=n % 10 * 0.05) for n in range(VIEWERS)))
        await asyncio.sleep(1)
        (tmp_path / "go").touch()
        return await viewing

    began = time.monotonic()
    assert asyncio.run(all_view()) == [b"one\n"] * VIEWERS
    seconds = int(time.monotonic() - began)  # what a cache keeps for a second is requested again
    assert len(place.asked()[before:]) <= 10 + 2 * seconds


def test_no_such_run(place: Edge) -> None:
    """What is not there is requested once a moment, however many want it, and found soon after it is made."""
    name = "/v1/stream/later"
    before, began = len(place.asked()), time.monotonic()
    for _ in range(20):
        assert place.cache.ask("GET", f"{name}?offset=-1")[0] == 404
    assert len(place.asked()[before:]) <= 3 + 2 * int(time.monotonic() - began)
    assert place.cache.ask("PUT", name, b"one\n", Content_Type="text/plain")[0] == 201
    there = {server.port for server in place.servers if server.ask("HEAD", name)[0] == 200}
    assert len(there) == 1  # streams are their host's
    wait_until(lambda: place.cache.ask("GET", f"{name}?offset=-1")[0] == 200, timeout=LONG)


@pytest.mark.parametrize(
    ("query", "shared"),
    [
        ("offset=0&live=long-poll", True),
        ("live=long-poll&offset=0&", True),
        ("OFFSET=3&live=long-poll&offset=0", False),
        ("live=long-poll&offset=0&x=1", False),
        ("live=long-poll&%6fffset=0", False),
        ("live=long-poll&offset=00", False),
    ],
)
def test_spellings(place: Edge, finished: Run, query: str, shared: bool) -> None:
    """Another order is the same request; what is spelled otherwise gets the same reply, and is its own."""
    path = f"/v1/stream/runs/{finished.id}"
    expected = place.cache.ask("GET", f"{path}?live=long-poll&offset=0")
    before = len(place.asked())

    found = place.cache.ask("GET", f"{path}?{query}")

    assert (found[0], found[2]) == (expected[0], expected[2]) == (200, finished.output().encode())
    assert found[1]["stream-next-offset"] == expected[1]["stream-next-offset"]
    assert (len(place.asked()) == before) == shared


@pytest.mark.parametrize(
    "other",
    [
        "OFFSET=4",
        "%6fffset=4",
        "offset=4&offset=-1",
        "x=1&offset=4",
        "offset=4;",
        "live=long-poll&Offset=4&offset=2",
    ],
)
def test_nothing_is_kept_under_another_name(place: Edge, finished: Run, other: str) -> None:
    """However a request is spelled, nobody gets its reply who asked for something else."""
    path, expected = f"/v1/stream/runs/{finished.id}", finished.output().encode()
    place.cache.ask("GET", f"{path}?{other}")
    place.cache.ask("HEAD", f"{path}?offset=4")
    for offset in (-1, 4, 2):
        for live in ("", "live=long-poll&"):
            body = place.cache.ask("GET", f"{path}?{live}offset={offset}")[2]
            assert body == expected[max(offset, 0) :]
    assert place.cache.ask("GET", path)[2] == expected


def test_heads_and_tags(place: Edge, finished: Run) -> None:
    """HEAD, tags, compression and ranges, which are ignored, are as without a cache."""
    path, expected = f"/v1/stream/runs/{finished.id}", finished.output().encode()
    for _ in range(2):  # not kept, and kept
        status, said, body = place.cache.ask("GET", f"{path}?offset=-1", Accept_Encoding="gzip")
        assert (status, body, said.get("content-encoding")) == (200, expected, None)
        assert place.cache.ask("GET", f"{path}?offset=-1", Range="bytes=10-19")[::2] == (200, expected)
        assert place.cache.ask("GET", f"{path}?offset=-1", If_None_Match=said["etag"])[0] == 304
        status, head, body = place.cache.ask("HEAD", path)
        assert (status, head["stream-next-offset"], body) == (200, f"{len(expected):020}", b"")
        assert (head["cache-control"], head["stream-closed"]) == ("no-store", "true")
    assert "vary" not in said
    assert "set-cookie" not in said


def signed(path: str, until: int, secret: str = "SECRET") -> str:
    """Return the cookies with which nginx lets somebody read a path."""
    digest = hashlib.md5(f"{until} {path} {secret}".encode()).digest()
    return f"viewer={urlsafe_b64encode(digest).decode().rstrip('=')}; viewer_until={until}"


def test_signed_cookie(place: Edge, finished: Run) -> None:
    """The cache lets in whom a signed cookie says; who that is is no part of what it keeps."""
    path, later = f"/v1/stream/runs/{finished.id}", int(time.time()) + 3600
    for until in range(later, later + 5):
        reply = place.signed.ask("GET", f"{path}?offset=-1", Cookie=signed(path, until))
        assert (reply[0], reply[2]) == (200, finished.output().encode())
    for cookie in ("", signed(path, later, "x"), signed(f"{path}x", later), signed(path, 1)):
        assert place.signed.ask("GET", f"{path}?offset=-1", Cookie=cookie)[0] == 403
    assert len(place.asked("signed")) == 1


def test_removed_run(place: Edge) -> None:
    """A run that was removed is gone a moment later; of its past caches may keep what they have."""
    run = place.hosts[0].store.start(["sleep", "600"])
    path = f"/v1/stream/runs/{run.id}"
    mirror = place.hosts[1].get(run)  # the cache asks either host
    assert place.cache.ask("GET", f"{path}?offset=-1")[0] == 200
    run.kill()
    run.wait(timeout=PATIENCE)
    wait_until(lambda: mirror.outcome, timeout=PATIENCE)
    for host in place.hosts:
        with contextlib.suppress(RunNotFound):  # the other host may have heard of it by then
            host.store.remove(run.id)
    wait_until(lambda: place.cache.ask("GET", f"{path}?offset=-1")[0] == 404, timeout=LONG)

"""Clients of server-sent events, in two languages: all of them read of a run what the standard says.

Each reads the same hostile output, and must give the very events that a reader written from the
rules of the HTML standard finds in the bytes: types, data and ids. Chromium reads it in
tests/browser.
"""

import asyncio
import json
import shutil
import subprocess
import urllib.request
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import httpx
import httpx2
import httpx_sse
import ld_eventsource
import ld_eventsource.config
import pytest
import requests
import sseclient
from aiohttp_sse_client2 import client as aiohttp_sse

from runcast import Run, Store
from tests.helpers.children import PYTHON
from tests.helpers.hostile import HOSTILE
from tests.helpers.servers import Server
from tests.helpers.wait import MS, wait_until
from tests.unit.wire.eventsource import EventSource

pytestmark = pytest.mark.slow

Events = list[tuple[str, str, str]]
NODE = Path(__file__).parent / "node"
LONG = 30000 * MS


def by_httpx2(url: str) -> Events:
    with httpx2.Client(timeout=LONG) as http, http.stream("GET", url, headers=ACCEPT) as reply:
        return [(one.event, one.data, one.id) for one in httpx2.EventSource(reply)]


def by_httpx_sse(url: str) -> Events:
    with httpx.Client(timeout=LONG) as http, httpx_sse.connect_sse(http, "GET", url) as source:
        return [(one.event, one.data, one.id) for one in source.iter_sse()]


def by_sseclient(url: str) -> Events:
    with requests.get(url, headers=ACCEPT, stream=True, timeout=LONG) as reply:
        last, events = "", []
        for one in sseclient.SSEClient(reply).events():
            last = one.id or last
            events.append((one.event, one.data, last))
        return events


def by_aiohttp_sse_client(url: str) -> Events:
    async def main() -> Events:
        events = []
        async with aiohttp_sse.EventSource(url) as source:
            async for one in source:
                events.append((one.type or "message", one.data, one.last_event_id))
                if one.type == "exit":
                    break
        return events

    return asyncio.run(main())


def by_launchdarkly(url: str) -> Events:
    events = []
    source = ld_eventsource.SSEClient(ld_eventsource.config.ConnectStrategy.http(url, headers=ACCEPT))
    with source:
        for one in source.events:
            events.append((one.event, one.data, one.last_event_id or ""))
            if one.event == "exit":
                break
    return events


def by_hand(lines: Iterator[str]) -> Events:
    """Read events as people do who have lines: three fields, and a blank line ends an event."""
    events, event, last = [], {}, ""
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif "data" in event:
            last = event.get("id", last)
            events.append((event.get("event", "message"), event["data"], last))
            event = {}
        else:
            event = {}
    return events


def by_requests(url: str) -> Events:
    with requests.get(url, headers=ACCEPT, stream=True, timeout=LONG) as reply:
        return by_hand(line.decode() for line in reply.iter_lines())


def by_aiohttp(url: str) -> Events:
    async def main() -> Events:
        async with aiohttp.ClientSession() as session, session.get(url, headers=ACCEPT) as reply:
            return by_hand(iter([line.decode().removesuffix("\n") async for line in reply.content]))

    return asyncio.run(main())


def by_curl(url: str) -> Events:
    done = subprocess.run(
        ["curl", "-sN", "-H", "Accept: text/event-stream", url], capture_output=True, timeout=LONG, check=True
    )
    return by_hand(iter(done.stdout.decode().split("\n")))


def by_node(name: str) -> Callable[[str], Events]:
    def read(url: str) -> Events:
        command = ["node", str(NODE / "clients.mjs"), name, url]
        done = subprocess.run(command, capture_output=True, timeout=LONG, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [tuple(json.loads(line)) for line in done.stdout.split("\n")[:-1]]

    return read


ACCEPT = {"Accept": "text/event-stream"}
IN_NODE = ("eventsource", "undici", "eventsource-client")
CLIENTS: dict[str, Callable[[str], Events]] = {
    "httpx2": by_httpx2,
    "httpx-sse": by_httpx_sse,
    "requests and sseclient-py": by_sseclient,
    "requests, by hand": by_requests,
    "aiohttp-sse-client2": by_aiohttp_sse_client,
    "aiohttp, by hand": by_aiohttp,
    "launchdarkly-eventsource": by_launchdarkly,
    "curl": by_curl,
    **{f"npm {name}": by_node(name) for name in IN_NODE},
}
STRIPS = {"aiohttp-sse-client2"}
"""These take away all blanks at the start of a line, not just the one that the standard names."""


@pytest.fixture(scope="session", name="node_modules")
def node_modules_fixture() -> None:
    """Install the clients of Node, as their lock file has them."""
    if shutil.which("npm") is None:
        pytest.fail("expected npm for the clients of Node, it is not installed")
    marks = [NODE / "node_modules" / ".package-lock.json", NODE / "package-lock.json"]
    if marks[0].exists() and marks[0].stat().st_mtime >= marks[1].stat().st_mtime:
        return
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, timeout=90000 * MS, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(name="hostile")
def hostile_fixture(server: Server, store: Store, tmp_path: Path) -> Run:
    """A run whose output is hostile, and over."""
    (tmp_path / "output").write_bytes(HOSTILE)
    code = f"import os, shutil; shutil.copyfileobj(open({str(tmp_path / 'output')!r}, 'rb'), open(1, 'wb'))"
    run = store.start([*PYTHON, code])
    assert run.wait().ok
    wait_until(lambda: run.closed, what="the end of the log: how a run stands is part of what is compared")
    return run


def by_the_standard(url: str) -> Events:
    """Return the events that the rules of the standard find in the bytes."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=ACCEPT), timeout=LONG) as reply:
        return [tuple(event) for event in EventSource().read(reply.read())]


@pytest.mark.parametrize("query", ["", "?format=sse-json"], ids=["lines", "json"])
@pytest.mark.parametrize("client", CLIENTS)
def test_client(server: Server, hostile: Run, client: str, query: str, request: pytest.FixtureRequest):
    """A client finds the very events that the standard does: types, data, ids, in order."""
    if client.removeprefix("npm ") in IN_NODE:
        request.getfixturevalue("node_modules")
    url = f"{server.root}/runs/{hostile.id}/log{query}"
    expected = by_the_standard(url)
    if client in STRIPS:
        expected = [(kind, data.lstrip(" "), last) for kind, data, last in expected]

    assert CLIENTS[client](url) == expected


def test_lines_are_those_of_the_output(server: Server, hostile: Run):
    """What the standard finds is the output: each line an event, cut only where it has more than 64 KiB."""
    events = by_the_standard(f"{server.root}/runs/{hostile.id}/log")

    assert [events[0][0], events[-1][0]] == ["run", "exit"]
    assert {kind for kind, _, _ in events[1:-1]} == {"message"}
    lines = [data for _, data, _ in events[1:-1]]
    for line in (
        "plain",
        "",
        "data: evil",
        "id: 17",
        "event: exit",
        " a blank",
        "\tand a tab",
        "nul \0 and \0\0",
    ):
        assert line in lines
    text = HOSTILE.decode(errors="replace")
    assert "".join(lines) == text.replace("\r", "").replace("\n", "")


def test_json_is_the_output(server: Server, hostile: Run):
    """The chunks of the JSON form are the output, byte for byte."""
    events = by_the_standard(f"{server.root}/runs/{hostile.id}/log?format=sse-json")
    chunks = [chunk for kind, data, _ in events if kind == "message" for chunk in json.loads(data)["chunks"]]

    found = [chunk["text"].encode() if "text" in chunk else b64decode(chunk["base64"]) for chunk in chunks]
    assert b"".join(found) == HOSTILE

#!/bin/sh
# Two Python clients of event streams hand out half an event, when the connection ends within it.
#
# sseclient-py 1.9.0 with requests 2.34.2, aiohttp-sse-client 0.2.1 with aiohttp 3.14.5, httpx-sse 0.4.3 with httpx
# 0.28.1, Python 3.11, 2026-12-01. An event of text/event-stream ends with an empty line; what is left without one has
# to be discarded (HTML standard, section 9.2.6). So a cut does no harm: the client sends the id of the last whole
# event, and gets the cut one again. Where the body ends with the connection, as of servers that do not chunk,
# a cut looks like an end, without an exception. sseclient-py yields the rest like any event, and with its id as
# Last-Event-ID the whole never comes. aiohttp-sse-client, which reconnects by itself, keeps the rest and puts it
# before the next event's data. It also takes all blanks off the beginning of data, where the standard takes one:
# the indentation of code, YAML and tracebacks is gone.
#
# Output seen:
#   sseclient-py: 1 'first', 2 '  deleted: 1'
#   aiohttp-sse-client: 1 'first', 2 'deleted: 1\ndeleted: 1200', asked for what follows 1
#   httpx-sse: 1 'first'
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check sseclient-py==1.9.0 requests==2.34.2 \
    aiohttp-sse-client==0.2.1 aiohttp==3.14.5 httpx-sse==0.4.3 httpx==0.28.1
cat > cut.py <<'PYTHON'
import asyncio
import datetime
import re
import socket
import threading

import httpx
import httpx_sse
import requests
import sseclient
from aiohttp_sse_client.client import EventSource

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
FIRST, SECOND = b"id: 1\ndata: first\n\n", b"id: 2\ndata:   deleted: 1200\n\n"
CUT = SECOND[: SECOND.index(b"200")]


def serve(listener):
    """Cuts the second event, and sends it whole to a client that says what it has."""
    while True:
        connection = listener.accept()[0]
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(65536)
        known = re.search(rb"(?im)^last-event-id: *(\d+)", request)
        connection.sendall(HEAD + (SECOND if known else FIRST + CUT))
        connection.close()
        if known:
            resumed.append(known[1].decode())


def shown(events):
    return ", ".join(f"{event.id} {event.data!r}" for event in events)


async def two_events(url):
    pause = datetime.timedelta(milliseconds=10)
    async with EventSource(url, reconnection_time=pause) as source:
        first, second = await anext(source), await anext(source)
    return ", ".join(f"{event.last_event_id} {event.data!r}" for event in (first, second))


resumed = []
with socket.create_server(("127.0.0.1", 0)) as listener:
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with requests.get(url, stream=True, timeout=30) as reply:
        print("sseclient-py:", shown(sseclient.SSEClient(reply).events()))
    events = asyncio.run(asyncio.wait_for(two_events(url), 30))
    print(f"aiohttp-sse-client: {events}, asked for what follows {resumed[0]}")
    with httpx.Client(timeout=30) as client, httpx_sse.connect_sse(client, "GET", url) as source:
        print("httpx-sse:", shown(source.iter_sse()))
PYTHON
venv/bin/python cut.py | tee seen
cat > expected <<'TEXT'
sseclient-py: 1 'first', 2 '  deleted: 1'
aiohttp-sse-client: 1 'first', 2 'deleted: 1\ndeleted: 1200', asked for what follows 1
httpx-sse: 1 'first'
TEXT
diff expected seen

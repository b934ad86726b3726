#!/bin/sh
# Python's http.client, and so urllib and urllib3 with requests, takes a reply that is cut in its head for a whole one.
#
# CPython 3.11.7, requests 2.32.5 (urllib3 2.5.0), httpx 0.28.1, 2026-11-30. A server, or a proxy, that dies after
# the status line leaves half a header. `http.client.parse_headers` reads lines to an empty one, and readline()
# returns b"" at the end of the connection, which counts as one: the caller gets a 200 with an empty body, as of a
# reply without Content-Length. A sender of webhooks takes that for a delivery, and a watchdog that shuts the
# socket down when the time is up turns its own timeout into a success. httpx (h11) raises. To know, keep the fact
# that the deadline passed, or want a header that the whole reply must have.
#
# Output seen:
#   http.client: 200, body b''
#   urllib.request: 200, body b''
#   requests: 200, body b''
#   httpx: RemoteProtocolError
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check requests==2.32.5 urllib3==2.5.0 httpx==0.28.1
cat > cut.py <<'PYTHON'
import http.client, socket, threading, urllib.request
import httpx, requests

server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]


def serve():
    while True:
        client = server.accept()[0]
        client.recv(65536)
        client.sendall(b"HTTP/1.1 200 OK\r\nServer: on")
        client.shutdown(socket.SHUT_WR)
        client.recv(65536)
        client.close()


threading.Thread(target=serve, daemon=True).start()
url = f"http://127.0.0.1:{port}/"


def plain():
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/")
    reply = connection.getresponse()
    return reply.status, reply.read()


def by_urllib():
    with urllib.request.urlopen(url, timeout=5) as reply:
        return reply.status, reply.read()


def by_requests():
    reply = requests.get(url, timeout=5)
    return reply.status_code, reply.content


def by_httpx():
    reply = httpx.get(url, timeout=5)
    return reply.status_code, reply.content


for name, get in (("http.client", plain), ("urllib.request", by_urllib), ("requests", by_requests), ("httpx", by_httpx)):
    try:
        status, body = get()
        print(f"{name}: {status}, body {body!r}")
    except Exception as error:
        print(f"{name}: {type(error).__name__}")
PYTHON
venv/bin/python cut.py | tee seen
printf '%s\n' "http.client: 200, body b''" "urllib.request: 200, body b''" "requests: 200, body b''" \
    "httpx: RemoteProtocolError" | diff - seen

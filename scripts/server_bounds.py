"""Measure what each server does with heads and bodies that do not end (docs/howto/public-servers.md).

    .venv/bin/python scripts/server_bounds.py [NAME …]

Each server runs an application of five lines, without runcast, in its default settings; the last is
`runcast serve` itself. All are measured at the same time, from one process: about five minutes, most
of them spent waiting. At most 2 MiB of a head are sent, at most 200 connections opened, and nothing
is waited for longer than 90 s. Only loopback.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

MOST_HEAD = 2 * 1024 * 1024
MOST_SECONDS = 90.0
DRIP_SECONDS = 4.0  # between two bytes of a head that goes on
CROWD = (1, 4, 10, 20, 40, 80, 100, 120, 200)
ANSWER_SECONDS = 3.0
TOKEN = "0123456789abcdef"

BEGIN = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
WHOLE = BEGIN + b"Connection: close\r\n\r\n"
KNOWN = BEGIN.replace(b"/ ", b"/runs ", 1) + f"Authorization: Bearer {TOKEN}\r\n".encode()
BODY = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n0123456789"

WSGI = """
def app(environ, start_response):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Length", "3")])
    return [b"ok\\n"]
"""
ASGI = """
async def app(scope, receive, send):
    while scope["type"] == "http" and (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"ok\\n"})
"""
DJANGO = """
import sys
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import re_path
settings.configure(DEBUG=True, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__)
urlpatterns = [re_path("", lambda request: HttpResponse(b"ok %d" % len(request.body)))]
execute_from_command_line(["manage", "runserver", "--noreload", f"127.0.0.1:{sys.argv[1]}"])
"""

_GUNICORN = "-m gunicorn --bind 127.0.0.1:{port} -k"
SERVERS = {
    "werkzeug": "-c|from werkzeug.serving import *; from wsgi_app import app; "
    "run_simple('127.0.0.1', {port}, app, threaded=True)",
    "wsgiref": "-c|import bottle; from wsgi_app import app; bottle.run(app, port={port})",
    "runserver": "django_app.py {port}",
    "gunicorn sync": f"{_GUNICORN} sync wsgi_app:app",
    "gunicorn gthread": f"{_GUNICORN} gthread --threads 40 wsgi_app:app",
    "gunicorn gevent": f"{_GUNICORN} gevent wsgi_app:app",
    "gunicorn asgi": f"{_GUNICORN} asgi asgi_app:app",
    "waitress": "-m waitress --listen 127.0.0.1:{port} wsgi_app:app",
    "cheroot": "-m cheroot --bind 127.0.0.1:{port} wsgi_app:app",
    "cherrypy": "-c|import cherrypy; from wsgi_app import app; cherrypy.tree.graft(app, '/'); "
    "cherrypy.config.update({{'server.socket_port': {port}}}); "
    "cherrypy.engine.start(); cherrypy.engine.block()",
    "uvicorn httptools": "-m uvicorn --http httptools --port {port} asgi_app:app",
    "uvicorn h11": "-m uvicorn --http h11 --port {port} asgi_app:app",
    "hypercorn": "-m hypercorn --bind 127.0.0.1:{port} asgi_app:app",
    "daphne": "-m daphne -b 127.0.0.1 -p {port} asgi_app:app",
    "runcast serve": "-m runcast serve --port {port} --store {folder}/store --token " + TOKEN,
}


def connected(port: int) -> socket.socket:
    """Return a connection."""
    return socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS)


def ended(client: socket.socket, seconds: float) -> str | None:
    """Return how the server ended a connection within some time: a status, "closed", "reset"; or None."""
    if not select.select([client], [], [], seconds)[0]:
        return None
    try:
        data = client.recv(65536)
    except OSError:
        return "reset"
    return data.split()[1].decode() if data.startswith(b"HTTP/") else "closed" if not data else "other bytes"


def endless_head(port: int, more: bytes) -> str:
    """Return after how many bytes a head is refused."""
    with connected(port) as client:
        client.sendall(BEGIN)
        sent = len(BEGIN)
        while sent < MOST_HEAD:
            try:
                client.sendall(more)
            except TimeoutError:
                return f"{sent // 1024} KiB: takes no more"
            except OSError:
                return f"{sent // 1024} KiB: {ended(client, 0) or 'reset'}"
            sent += len(more)
            if how := ended(client, 0.002):
                return f"{sent // 1024} KiB: {how}"
    return f"not in {MOST_HEAD // 1024} KiB"


def kept(port: int, data: bytes, *, drip: bool = False) -> str:
    """Return how long a connection is kept that sent a part of a request."""
    with connected(port) as client:
        client.sendall(data)
        began = time.monotonic()
        while (now := time.monotonic() - began) < MOST_SECONDS:
            how = ended(client, DRIP_SECONDS if drip else MOST_SECONDS - now)
            if how:
                return f"{time.monotonic() - began:.0f} s: {how}"
            if drip:
                with contextlib.suppress(OSError):
                    client.sendall(b"x")
    return f"not in {MOST_SECONDS:.0f} s"


def crowded(port: int, whole: bytes) -> str:
    """Return among how many half heads a whole request is not answered, and what comes instead."""
    crowd: list[socket.socket] = []
    try:
        for count in CROWD:
            while len(crowd) < count:
                crowd.append(connected(port))
                crowd[-1].sendall(BEGIN)
            with connected(port) as client:
                client.sendall(whole)
                how = ended(client, ANSWER_SECONDS)
                if how != "200":
                    return f"{count}: {how or 'waits'}"
        return f"not with {len(crowd)}"
    except OSError as error:
        return f"{len(crowd)}: {type(error).__name__}"
    finally:
        for client in crowd:
            client.close()


def measure(name: str, folder: str) -> str:
    """Return a row of the table."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words, _, code = SERVERS[name].partition("|")
    arguments = [*words.format(port=port, folder=folder).split(), *([code.format(port=port)] if code else [])]
    with open(f"{folder}/{name}.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    try:
        whole = KNOWN + b"Connection: close\r\n\r\n" if name == "runcast serve" else WHOLE
        body = BODY.replace(b"\r\n\r\n", b"\r\n" + KNOWN.split(b"\r\n")[2] + b"\r\nX-Runcast: 1\r\n\r\n")
        began = time.monotonic()
        while time.monotonic() - began < 60:
            with contextlib.suppress(OSError), connected(port) as client:
                client.sendall(whole)
                if ended(client, ANSWER_SECONDS) == "200":
                    break
            time.sleep(0.2)
        else:
            return f"{name}: no answer"
        line = b"x-more: " + b"y" * 86 + b"\r\n"
        cells = {
            "endless line": endless_head(port, b"y" * 4096),
            "endless lines": endless_head(port, line * 40),
            "crowd": crowded(port, whole),
            "silent head": kept(port, BEGIN),
            "dripping head": kept(port, BEGIN + b"x-more: ", drip=True),
            "silent body": kept(port, body.replace(b"POST /", b"POST /runs", 1) if whole != WHOLE else BODY),
        }
        return f"{name}: " + " | ".join(f"{what} {cell}" for what, cell in cells.items())
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main() -> None:
    """Measure the servers that were named, or all."""
    names = sys.argv[1:] or list(SERVERS)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(names)) as pool:
        for file, text in (("wsgi_app", WSGI), ("asgi_app", ASGI), ("django_app", DJANGO)):
            with open(f"{folder}/{file}.py", "w") as out:
                out.write(text)
        for row in pool.map(lambda name: measure(name, folder), names):
            print(row, flush=True)


if __name__ == "__main__":
    main()

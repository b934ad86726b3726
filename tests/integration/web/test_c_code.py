"""A server whose view runs C code that keeps the GIL: others are answered all the same."""

import contextlib
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.wait import MS

SERVER = """
import ctypes, sys
from flask import Flask
from werkzeug.serving import make_server
from runcast.web.flask import Runcast

app = Flask(__name__)
cast = Runcast(app, store=sys.argv[1], authorize=lambda *_: True)
SIZE = 1_000_000

def work():
    data = b"x" * SIZE + b"\\n"
    print("before")
    for _ in range(3):
        ctypes.PyDLL(None).write(sys.stdout.fileno(), data, len(data))
    print("after")

@app.get("/work")
def view():
    return cast.stream(work)

@app.get("/ping")
def ping():
    return "pong"

server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""


@contextlib.contextmanager
def flask(folder: Path) -> Iterator[str]:
    """Serve, and give the address."""
    (folder / "server.py").write_text(SERVER)
    command = [sys.executable, str(folder / "server.py"), str(folder / "store")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.slow
def test_c_code_that_keeps_the_gil(tmp_path: Path):
    """A job whose C code writes megabytes at once keeps no other request waiting, and is seen whole."""
    with flask(tmp_path) as url:
        job = urllib.request.urlopen(f"{url}/work", timeout=30_000 * MS)
        for _ in range(20):
            with urllib.request.urlopen(f"{url}/ping", timeout=30_000 * MS) as reply:
                assert reply.read() == b"pong"
        with job:
            text = job.read().decode()

    assert text == "before\n" + ("x" * 1_000_000 + "\n") * 3 + "after\n"

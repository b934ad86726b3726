"""R13: who reads slowly, or not at all, slows nobody.

Counted here, not timed: while viewers take nothing, everything is written, and more of it than all
buffers on the way to a viewer hold together. What it costs in speed is measured by `make soak`.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Run, Store
from tests.helpers.children import PYTHON
from tests.helpers.cut_readers import READERS
from tests.helpers.servers import ASGI, Server
from tests.helpers.wait import MS

DEADLINE = 60000 * MS
BLOCKS = 400  # of 80 kB

pytestmark = pytest.mark.fault

CHILD = """
import os, sys, time
line = b'x' * 79 + b'\\n'
begun = time.monotonic()
for _ in range(int(sys.argv[1])):
    block = line * 1000
    while block: block = block[os.write(1, block):]
os.write(2, b'%f' % (time.monotonic() - begun))
"""

VIEWER = """
import sys
from runcast import Store
chunks = Store(sys.argv[1]).get(sys.argv[2]).follow()
print(len(next(chunks).data), flush=True)
sys.stdin.read()
"""


def begun(store: Store, blocks: int) -> Run:
    """Start a child that waits for a word, then writes so many blocks."""
    code = 'echo up; read go; exec "$@"'
    return store.start(["sh", "-c", code, "sh", *PYTHON, CHILD, str(blocks)], stdin="pipe")


@contextlib.contextmanager
def stopped_viewers(run: Run, store: Store, count: int) -> Iterator[None]:
    """Give as many viewers, each a process, that read once and no more."""
    command = [sys.executable, "-c", VIEWER, store.path, run.id]
    watching = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(count)
    ]
    try:
        for viewer in watching:
            assert viewer.stdout is not None
            assert viewer.stdout.readline() == b"3\n"
        yield
    finally:
        for viewer in watching:
            viewer.communicate(timeout=DEADLINE)


def test_viewers_that_stop_reading(store: Store):
    """R13: with viewers that read once and no more, a program writes 32 MB to its end, and ends."""
    run = begun(store, BLOCKS)
    with stopped_viewers(run, store, 3):
        run.send("go\n")

        assert run.wait(timeout=DEADLINE).ok
        assert run.tail_offset - len(run.output(channel="stderr")) == 3 + BLOCKS * 80_000


def test_clients_that_stop_reading(store: Store, tmp_path: Path):
    """R13: nor is it held up by clients of any transport whose connections are full."""
    run = begun(store, BLOCKS)
    with Server(tmp_path, "uvicorn", ASGI) as server, contextlib.ExitStack() as opened:
        for kind in READERS:
            client = opened.enter_context(kind(server.port, run.id).connect())
            assert client.recv(1)
        run.send("go\n")

        assert run.wait(timeout=DEADLINE).ok
        assert run.tail_offset - len(run.output(channel="stderr")) == 3 + BLOCKS * 80_000
        assert server.ask("GET", f"/runs/{run.id}")[0] == 200

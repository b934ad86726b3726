"""R13: who reads slowly, or not at all, slows nobody."""

import subprocess
import sys

import pytest

from runcast import Store
from tests.helpers.children import PYTHON
from tests.helpers.wait import MS

DEADLINE = 60000 * MS
ATTEMPTS = 5

pytestmark = pytest.mark.fault

CHILD = """
import os, time
line = b'x' * 79 + b'\\n'
begun = time.monotonic()
for _ in range(400):
    block = line * 1000
    while block: block = block[os.write(1, block):]
os.write(2, b'%f' % (time.monotonic() - begun))
"""

VIEWER = """
import sys, time
from runcast import Store
chunks = Store(sys.argv[1]).get(sys.argv[2]).follow()
print(len(next(chunks).data), flush=True)
sys.stdin.read()
"""


def seconds(store: Store, *, viewers: int) -> float:
    """Return how long the child takes to write 32 MB while so many viewers read once and no more."""
    run = store.start(["sh", "-c", 'echo up; read go; exec "$@"', "sh", *PYTHON, CHILD], stdin="pipe")
    command = [sys.executable, "-c", VIEWER, store.path, run.id]
    watching = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(viewers)
    ]
    for viewer in watching:
        assert viewer.stdout is not None
        assert viewer.stdout.readline() == b"3\n"
    run.send("go\n")
    assert run.wait(timeout=DEADLINE).ok
    for viewer in watching:
        viewer.communicate(timeout=DEADLINE)
    taken = float(run.output(channel="stderr"))
    store.remove(run)
    return taken


def test_viewer_that_stops_reading(store: Store):
    """R13: with viewers that stop reading, a program runs about as fast as without them."""
    ratios = []
    for _ in range(ATTEMPTS):  # the machine has other work: one fair attempt is enough
        ratios.append(seconds(store, viewers=0) / seconds(store, viewers=3))
        if ratios[-1] >= 0.5:
            break

    assert max(ratios) >= 0.5

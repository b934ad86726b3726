"""The processes of a run are found and killed by numbers that a kernel may list in two ways."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.test_stop import REFORKER
from tests.helpers.children import PYTHON
from tests.helpers.wait import MS

LISTED, NOT_LISTED = "/proc/thread-self/children", "/proc/absent"
ROOT = Path(__file__).parents[3]

# Becomes a subreaper, starts a command, waits for its word, kills it; prints what is left.
KILLER = """
import json, os, sys
from runcast.supervisor import tree
tree._CHILDREN = sys.argv[1]
tree.become_subreaper()
said, stdout = os.pipe()
argv = sys.argv[2:]
pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, stdout, 1)], setsid=True)
os.close(stdout)
assert os.read(said, 3) == b"up\\n"
killed = tree.Tree(pid).kill(20)
os.set_blocking(said, False)
while os.read(said, 4096):  # to its end: nobody holds the pipe
    pass
with open("/proc/thread-self/children") as file:
    print(json.dumps([killed, file.read()]))
"""

TREES = {
    "forks every millisecond": REFORKER.format(
        main="for _ in range(4): os.fork()\nif os.fork(): signal.pause()"
    ),
    "deep": """
import os, time
for level in range(30):
    if os.fork():
        time.sleep(60)
    os.setsid()
os.write(1, b"up\\n")
time.sleep(60)
""",
}


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("children", [LISTED, NOT_LISTED], ids=["listed", "not listed"])
def test_kill(children: str, name: str):
    """R7: all of a tree is dead when `kill` returns, whether or not the kernel lists children by parent."""
    command = [sys.executable, "-c", KILLER, children, *PYTHON, TREES[name]]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60000 * MS).stdout

    assert json.loads(found) == [True, ""]

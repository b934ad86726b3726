"""The folder of a store: its user's alone, and with any name that the system takes."""

import os
import subprocess
import sys
from pathlib import Path

from tests.helpers.cli import LONG, RUNCAST
from tests.helpers.stores import end_store

ALL = """
import os, sys
os.umask(0)
import runcast
store = runcast.Store.open(os.fsdecode(sys.argv[1]))
def function(): print("f")
def numbers(): yield 1
runs = [
    store.start("echo c", shell=True, input="x", key="k"),
    store.start(["sleep", "600"], stdin="pipe"),
    store.start(function),
    store.start(numbers),
]
print(*[next(runs[number].lines()) for number in (0, 2, 3)])
for folder, folders, files in os.walk(store.path):
    for name in (*folders, *files):
        try:
            mode = os.stat(f"{folder}/{name}").st_mode & 0o777
        except FileNotFoundError:  # a draft that has its name by now, the input of a run that has read it
            continue
        if mode != (0o700 if name in folders else 0o600):
            print(oct(mode), name)
"""


def test_whatever_the_umask(tmp_path: Path):
    """With umask 000 every folder is 0700 and every file and socket 0600, the folders above included."""
    path = tmp_path / "a" / "b" / "store"
    try:
        done = subprocess.run(
            [sys.executable, "-B", "-c", ALL, path], capture_output=True, timeout=LONG, check=False, cwd="/"
        )
        assert (done.stdout, done.stderr) == (b"c f 1\n", b"")
        assert [(tmp_path / one).stat().st_mode & 0o777 for one in ("a", "a/b", "a/b/store")] == [0o700] * 3
    finally:
        end_store(path)


def test_name_that_is_no_utf_8(tmp_path: Path):
    """A store whose path is not UTF-8 works as any other: runs start, are listed and reach their end."""
    path = Path(os.fsdecode(bytes(tmp_path) + b"/\xff\xe9"))
    runcast = [RUNCAST, "--store", os.fsencode(path)]
    try:
        for verb, out in (
            (["run", "echo", "hi"], b"hi\n"),
            (["log", "last"], b"hi\n"),
            (["wait", "last"], b""),
            (["rm", "last"], b""),
        ):
            done = subprocess.run([*runcast, *verb], capture_output=True, timeout=LONG, check=False)
            assert (done.returncode, done.stdout) == (0, out), (verb, done)
    finally:
        end_store(path)

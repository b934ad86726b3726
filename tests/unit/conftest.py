"""What unit tests may not do, their folders in memory, and settings of the property tests.

The properties have no deadlines, for a slow machine is not a failure, and few examples, often:
`RUNCAST_TEST_EXAMPLES=5000` searches longer. `make test` tries them twice: with a few examples
among the fast tests, and with many beside the slow ones.
"""

import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

MEMORY = "/dev/shm"
EXAMPLES = int(os.environ.get("RUNCAST_TEST_EXAMPLES", "10"))

settings.register_profile("unit", deadline=None, max_examples=EXAMPLES)
settings.load_profile("unit")

_numbers = itertools.count()
_FORBIDDEN = {"subprocess.Popen", "os.fork", "os.posix_spawn", "os.system", "socket.bind", "socket.connect"}
_inside = False


def _watch(event: str, _: object) -> None:
    if _inside and event in _FORBIDDEN:
        raise RuntimeError(f"a unit test starts no process and uses no network: {event}")


sys.addaudithook(_watch)  # which cannot be taken away, so it looks who is at it


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Let a unit test fail that starts a process or uses the network: it belongs to the integration."""
    global _inside
    _inside = True
    try:
        return (yield)
    finally:
        _inside = False


@pytest.fixture(scope="session")
def memory() -> Iterator[Path]:
    """Give a folder in memory, where the system has one."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as path:
        yield Path(path)


@pytest.fixture(scope="session")
def stores(memory: Path) -> Path:
    """Keep stores there, too."""
    return memory


@pytest.fixture
def tmp_path(memory: Path) -> Iterator[Path]:
    """Give each test a folder in memory: unit tests wait for no disk."""
    path = memory / str(next(_numbers))
    path.mkdir()
    yield path
    shutil.rmtree(path, ignore_errors=True)  # what is left, goes with `memory`

"""T13: a run whose group ran out of memory says so, and its supervisor outlives it."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Reason, Store
from runcast.supervisor.oom import memory_group
from tests.helpers.cli import LONG, RUNCAST
from tests.helpers.stores import end_store
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.root]

LIMIT = 96 * 1024 * 1024  # room for the client, a forkserver and its supervisors, and not for the program
ALLOCATES = f"b = bytearray({LIMIT}); print(len(b))"


@contextlib.contextmanager
def memory_limited(name: str) -> Iterator[Path]:
    """Give a cgroup of our own with little memory, which takes root."""
    folder, counter = memory_group(Path("/proc/self/cgroup").read_bytes(), "/sys/fs/cgroup")
    assert folder is not None, "expected a memory cgroup, there is none here"
    assert counter is not None, f"expected a count of kills in {folder}"
    os.close(counter)
    made = Path(folder) / name
    made.mkdir()
    try:
        limit = made / ("memory.max" if (made / "memory.max").exists() else "memory.limit_in_bytes")
        limit.write_text(str(LIMIT))
        yield made
    finally:
        wait_until(lambda: not (made / "cgroup.procs").read_text())
        made.rmdir()


@pytest.mark.parametrize(
    ("program", "code", "says"),
    [
        (f'exec {sys.executable} -S -c "{ALLOCATES}"', 137, "the group's limit is 96 MiB"),
        (f'{sys.executable} -S -c "{ALLOCATES}" | cat; true', 0, "killed for lack of memory during the run"),
    ],
    ids=["itself", "its child"],
)
def test_out_of_memory(tmp_path: Path, program: str, code: int, says: str):
    """The outcome says that the group's memory was used up, also where the run's exit code is 0."""
    path = tmp_path / "store"
    with memory_limited(f"runcast-test-{os.getpid()}") as group:
        try:
            join = f'echo $$ > {group}/cgroup.procs; exec "$@"'
            command = ["sh", "-c", join, "sh", RUNCAST, "--store", path, "run", "--shell", program]
            ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONG)
            outcome = next(Store(str(path)).list()).outcome
        finally:
            end_store(path)

    assert ended.returncode == code, ended
    assert outcome is not None
    assert outcome.reason is (Reason.OUT_OF_MEMORY if code else Reason.EXITED)
    assert says in outcome.message
    assert outcome.message in ended.stderr

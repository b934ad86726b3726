"""The agent is killed between any two system calls of an eviction or a restore: no byte of the log is lost.

strace kills it when it is about to make a certain call on the files of one segment, the first of its kind,
the second and so on, until it gets through without. Then a reader finds the segment here or away, another
agent finishes what was begun, and a segment that is dropped in the middle leaves nothing.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runcast.errors import SegmentAway
from runcast.log import FileLog
from runcast.log.eviction import evict, restore
from runcast.log.segments import segment_name
from runcast.model import Channel
from runcast.store.run_files import RunFiles
from tests.helpers.away import make_run
from tests.helpers.programs import program

pytestmark = [pytest.mark.fault, pytest.mark.slow]

CODE = """
import sys
from runcast.log.eviction import evict, restore
from runcast.store.run_files import RunFiles
run, draft = RunFiles(sys.argv[2]), sys.argv[3]
done = evict(run, 64) if sys.argv[1] == "evict" else restore(run, 64, draft)
print("done" if done else "not done")
"""
# Those that change something; between two others all is as between these.
CALLS = ("write", "fsync", "rename", "unlink")
MOST = 8  # of one call on these files, or the test goes on for ever
DATA = bytes(range(65, 65 + 64)) * 3


def killed(run: str, what: str, draft: Path, call: str, when: int) -> bool:
    """Have another process evict or restore; return whether it was killed at that call."""
    path = f"{run}/log/{segment_name(64)}"
    marks = Path(run).parent / f".away-{Path(run).name}"
    files = [path, f"{path}.away", f"{path}.index", f"{run}/log", str(draft), str(marks)]
    command = [program("strace"), "-qq", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={when}"]
    command += [word for file in files for word in ("-P", file)]
    done = subprocess.run(
        [*command, sys.executable, "-c", CODE, what, run, str(draft)], capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout == ("done\n" if done.returncode == 0 else "")
    return done.returncode != 0


def check(run: str, draft: Path) -> None:
    """Read the log, with the segment brought back if it is away; then drop it."""
    log, directory = FileLog(run), RunFiles(run)
    assert (log.tail_offset, log.lines) == (len(DATA), 0)
    try:
        assert log.read(64, 64, labelled=False).chunks[0].data == DATA[64:128]
    except SegmentAway:
        fresh = draft.with_name("fresh")
        fresh.write_bytes(DATA[64:128])
        fresh.chmod(0o600)
        assert restore(directory, 64, str(fresh))
    log.close()
    log = FileLog(run)
    read = b"".join(log.read(at, 64, labelled=False).chunks[0].data for at in (0, 64, 128))
    assert read == DATA
    assert evict(directory, 64)
    assert sorted(one for one in os.listdir(f"{run}/log") if one.startswith(segment_name(64))) == [
        f"{segment_name(64)}.away",
        f"{segment_name(64)}.index",
    ]


@pytest.mark.parametrize("what", ["evict", "restore"])
def test_killed_anywhere(tmp_path: Path, what: str):
    """Whatever it was about to do, the log is whole, and another agent finishes what was begun."""
    kills = 0
    for call in CALLS:
        for when in range(1, MOST):
            run = make_run(tmp_path, [(Channel.STDOUT, DATA[at : at + 64]) for at in (0, 64, 128)], 64)
            draft = tmp_path / "draft"
            draft.write_bytes(DATA[64:128])
            draft.chmod(0o600)
            if what == "restore":
                assert evict(RunFiles(run), 64)
            went_on = not killed(run, what, draft, call, when)
            check(run, draft)
            shutil.rmtree(run)
            if went_on:
                break
            kills += 1
        else:
            pytest.fail(f"expected fewer than {MOST} calls of {call}")

    assert kills == {"evict": 6, "restore": 4}[what]

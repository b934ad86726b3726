"""`runcast doctor` on this machine: its lines, its exit code, and that it changes nothing."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from runcast import Store
from runcast.doctor.report import CHECKS
from tests.helpers.cli import LONG, RUNCAST, Call


def found(out: bytes) -> dict[str, dict[str, str]]:
    """Return what `--json` printed, by check."""
    return {one["check"]: one for one in map(json.loads, out.splitlines())}


def test_lines(call: Call, own_store: Path):
    """There is a line for each check, on stdout, and the store is not made."""
    done = call("doctor")
    levels = [line.split()[0] for line in done.out.decode().splitlines()]

    assert len(levels) == len(CHECKS)
    assert set(levels) <= {"ok", "hint", "problem"}
    assert done.code == (1 if "problem" in levels else 0)
    assert done.err == ""
    assert not own_store.exists()


def test_store_is_looked_at(call: Call, store: Store):
    """A store that is there is written to, which leaves nothing behind."""
    store.start(["true"]).wait()
    before = sorted(os.listdir(store.path))
    done = call("doctor", "--json")

    assert found(done.out)["store"]["level"] == "ok"
    assert sorted(os.listdir(store.path)) == before


def test_store_is_a_file(call: Call, tmp_path: Path):
    """A store that cannot be used is a problem, whatever else is well."""
    (tmp_path / "file").write_text("")
    done = call("--store", str(tmp_path / "file"), "doctor", "--json")

    assert done.code == 1
    assert "is a file" in found(done.out)["store"]["text"]


def test_unit_is_named(call: Call):
    """A unit that is named is looked for; without systemd its settings are not known."""
    one = found(call("doctor", "--json", "--unit", "no-such-unit.service").out)["restart"]

    assert one["level"] in ("hint", "problem")
    assert "no-such-unit.service" in one["text"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor", "more"],
        ["doctor", "--user"],
        ["--server", "http://127.0.0.1:1", "doctor"],
        ["--store", "", "doctor"],
        ["doctor", "--unit"],
    ],
)
def test_bad_usage(call: Call, arguments: list[str]):
    """What cannot be meant is refused with 2, and prints nothing on stdout."""
    done = call(*arguments)

    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith("runcast: ")


def test_limits_are_those_of_the_process(call: Call):
    """A limit that this process has is found."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 40, hard))
    try:
        one = found(call("doctor", "--json").out)["limits"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert (one["level"], "file_size 1,099,511,627,776" in one["text"]) == ("hint", True)


ORPHAN = """
import os, subprocess, sys
from pathlib import Path

def waits():
    stats = (one.read_text().rpartition(")")[2].split() for one in Path("/proc").glob("[0-9]*/stat"))
    return any(fields[:2] == ["Z", "1"] for fields in stats)

subprocess.run([sys.argv[1], "run", "--", "sh", "-c", "sleep 0.5 >/dev/null 2>&1 & exit 0"], check=True)
while not waits():
    os.sched_yield()
subprocess.run([sys.argv[1], "doctor", "--json"])
"""


@pytest.mark.root
@pytest.mark.slow
def test_process_1_that_collects_nothing():
    """In a namespace whose process 1 is a program like any other, what a run left behind stays."""
    command = ["unshare", "-pf", "--kill-child", "--mount-proc", sys.executable, "-c", ORPHAN, RUNCAST]
    done = subprocess.run(command, check=True, capture_output=True, timeout=LONG)
    one = found(done.stdout)["init"]

    assert one["level"] == "hint"
    assert "process 1 is python" in one["text"]
    assert "1 ended process waits for it" in one["text"]


@pytest.mark.root
@pytest.mark.slow
def test_small_disk_in_memory(tmp_path: Path):
    """A store on a small tmpfs has little room, and is gone with the next boot."""
    script = (
        'mount -t tmpfs -o size=50M,nr_inodes=500 tmpfs "$0" && exec "$1" --store "$0/store" doctor --json'
    )
    command = ["unshare", "-m", "sh", "-c", script, str(tmp_path), RUNCAST]
    done = subprocess.run(command, check=False, capture_output=True, timeout=LONG)
    seen = found(done.stdout)

    assert done.returncode == 1
    assert {name: seen[name]["level"] for name in ("store", "file system", "disk", "inodes")} == {
        "store": "ok",
        "file system": "hint",
        "disk": "problem",
        "inodes": "problem",
    }
    assert "tmpfs" in seen["file system"]["text"]


@pytest.mark.root
@pytest.mark.slow
def test_read_only_disk(tmp_path: Path):
    """A store that cannot be written to is a problem, and the reason is the kernel's."""
    script = 'mount -t tmpfs -o ro tmpfs "$0" && exec "$1" --store "$0/store" doctor --json'
    command = ["unshare", "-m", "sh", "-c", script, str(tmp_path), RUNCAST]
    one = found(subprocess.run(command, check=False, capture_output=True, timeout=LONG).stdout)["store"]

    assert one["level"] == "problem"
    assert "read-only file system" in one["text"]

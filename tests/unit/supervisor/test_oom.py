"""What is read of memory cgroups, from folders that look like them."""

import os
import signal
from pathlib import Path

import pytest

from runcast.supervisor.oom import VARIABLE, OomWatch, memory_group

MIB = 1024 * 1024


def lay(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


@pytest.mark.parametrize(
    ("membership", "group", "counter"),
    [
        ("0::/user/a\n", "user/a", "memory.events.local"),
        ("0::/\n", "", "memory.events.local"),
        ("0::/of/another/namespace\n", "", "memory.events.local"),
        ("9:name=systemd:/\n4:memory:/b\n0::/\n", "memory/b", "memory.oom_control"),
        ("3:cpu,memory:/not/here\n0::/\n", "memory", "memory.oom_control"),
    ],
)
def test_memory_group(tmp_path: Path, membership: str, group: str, counter: str):
    """The group is the one that is named, or that of the mount where the name is the host's."""
    for name in ("", "user/a", "memory", "memory/b"):
        lay(tmp_path / name, **{"memory__oom_control" if "memory" in name else "memory__events__local": ""})

    folder, fd = memory_group(membership.encode(), str(tmp_path))
    assert fd is not None

    assert folder == str(tmp_path / group).rstrip("/")
    assert os.readlink(f"/proc/self/fd/{fd}") == str(tmp_path / group / counter)
    os.close(fd)


def test_no_memory_group(tmp_path: Path):
    """Where there is nothing to read, nothing is."""
    assert memory_group(b"0::/\n", str(tmp_path)) == (None, None)
    assert memory_group(b"", str(tmp_path)) == (None, None)


@pytest.mark.parametrize("version", [1, 2])
def test_story(tmp_path: Path, version: int):
    """A kill since the beginning is told, with the smallest limit of the group and those above it."""
    root, kills = tmp_path / "top", "oom_kill_disable 0\nunder_oom 0\noom_kill"
    if version == 2:
        lay(root, cgroup__procs="", memory__max=64 * MIB)
        lay(root / "a", cgroup__procs="", memory__max="max", memory__peak=63 * MIB, memory__events="")
        counter = root / "a" / "memory.events"
    else:
        lay(root, cgroup__procs="", memory__limit_in_bytes=64 * MIB)
        files = {"memory__max_usage_in_bytes": 63 * MIB, "memory__oom_control": ""}
        lay(root / "a", cgroup__procs="", memory__limit_in_bytes=9223372036854771712, **files)
        counter = root / "a" / "memory.oom_control"
    watch = OomWatch((str(root / "a"), os.open(counter, os.O_RDONLY)))

    counter.write_text(f"{kills} 3\n")
    watch.begin({VARIABLE: "0"})
    assert watch.story(signal.SIGKILL) == ""

    counter.write_text(f"{kills} 4\n")
    assert watch.story(signal.SIGKILL) == "out of memory: the group's limit is 64 MiB, its peak was 63 MiB"
    assert watch.story(137 << 8) == watch.story(signal.SIGKILL)
    assert watch.story(0) == "1 process of this group was killed for lack of memory during the run"
    counter.write_text(f"{kills} 6\n")
    assert watch.story(0) == "3 processes of this group were killed for lack of memory during the run"

"""What Linux says of itself in files: /proc (proc(5)), cgroups (cgroups(7)), and of a disk by statvfs(3).

Owns the reading. The functions that take text have no need of the files, and are tested by it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from runcast.doctor.facts import Amount

__all__ = [
    *("container", "disk_use", "file_system", "first_process", "group_amount", "inotify_use", "membership"),
    *("mounted_at", "tasks_of", "terminals", "zombies"),
]

_PROC, _CGROUPS = Path("/proc"), "/sys/fs/cgroup"
_NO_LIMIT = 1 << 60  # what cgroup v1 says for none is near 2**63


def _text(path: str | Path) -> str:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()
    return ""


def _number(path: str) -> int | None:
    with contextlib.suppress(ValueError):
        return int(_text(path))
    return None


def _processes() -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from (one for one in _PROC.iterdir() if one.name.isdigit())


def first_process() -> str | None:
    """Return the name of process 1."""
    return _text("/proc/1/comm").strip() or None


def zombies() -> set[str]:
    """Return the ids of processes that have ended, and that process 1 has not collected."""
    found = set()
    for process in _processes():
        fields = _text(process / "stat").rpartition(")")[2].split()
        if fields[:2] == ["Z", "1"]:
            found.add(process.name)
    return found


def tasks_of(uid: int) -> int:
    """Return how many processes and threads a user has."""
    total = 0
    for process in _processes():
        with contextlib.suppress(OSError, ValueError, IndexError):
            if process.stat().st_uid == uid:
                total += int(_text(process / "status").partition("\nThreads:")[2].split(maxsplit=1)[0])
    return total


def container(environ: Mapping[str, str]) -> str:
    """Return what kind of container this is in; empty for none that shows."""
    if "KUBERNETES_SERVICE_HOST" in environ:
        return "kubernetes"
    for mark, name in (("/run/.containerenv", "podman"), ("/.dockerenv", "docker")):
        if os.path.exists(mark):
            return name
    return environ.get("container", "") or _text("/run/systemd/container").strip()


def membership() -> str:
    """Return `/proc/self/cgroup`."""
    return _text("/proc/self/cgroup")


def group_amount(controller: str, used: tuple[str, ...], most: tuple[str, ...]) -> Amount | None:
    """Return what this process's cgroup uses and may use: of it and those above, the one with least left.

    Args:
        controller: of the group.
        used: the files that have what is used, of version 2 and of version 1.
        most: those that have the limit.
    """
    found = []
    for folder in group_folders(membership(), controller):
        use = next((one for name in used if (one := _number(f"{folder}/{name}")) is not None), None)
        limit = next((one for name in most if (one := _number(f"{folder}/{name}")) is not None), None)
        if use is not None and limit is not None and limit < _NO_LIMIT:
            found.append(Amount(use, limit))
    return min(found, key=lambda one: one.left or 0, default=None)


def group_folders(text: str, controller: str) -> list[str]:
    """Return the folders of a cgroup and of those above it, by `/proc/self/cgroup`.

    In a container the path may be the host's, and the mount begins at the container's own group.
    """
    for line in text.splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        top = f"{_CGROUPS}/{controller}" if controllers else _CGROUPS
        parts = [part for part in path.split("/") if part]
        folders = ["/".join([top, *parts[:length]]) for length in range(len(parts), -1, -1)]
        if controllers or os.path.exists(f"{_CGROUPS}/cgroup.controllers"):
            return folders
    return []


def inotify_use() -> tuple[Amount | None, Amount | None]:
    """Return the instances and the watches of this user, as far as its processes show."""
    instances = watches = 0
    for process in _processes():
        with contextlib.suppress(OSError):
            if process.stat().st_uid != os.geteuid():
                continue
            for fd in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if os.readlink(fd) == "anon_inode:inotify":
                        instances += 1
                        watches += _text(process / "fdinfo" / fd.name).count("inotify wd:")
    limits = (_number(f"/proc/sys/fs/inotify/max_user_{what}") for what in ("instances", "watches"))
    first, second = (None if most is None else most for most in limits)
    return (
        None if first is None else Amount(instances, first),
        None if second is None else Amount(watches, second),
    )


def terminals() -> Amount | None:
    """Return how many terminals of this kind are in use, and how many there may be."""
    used, most = (_number(f"/proc/sys/kernel/pty/{name}") for name in ("nr", "max"))
    return None if used is None or most is None else Amount(used, most)


def _nearest(path: str) -> str:
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return path


def disk_use(path: str) -> tuple[Amount | None, Amount | None]:
    """Return the bytes and the files of the disk that a path is on, or would be."""
    try:
        found = os.statvfs(_nearest(path))
    except OSError:
        return None, None
    size = Amount((found.f_blocks - found.f_bavail) * found.f_frsize, found.f_blocks * found.f_frsize)
    return size, Amount(found.f_files - found.f_favail, found.f_files) if found.f_files else None


def file_system(path: str) -> str:
    """Return the type of the file system that a path is on, or would be."""
    return mounted_at(_text("/proc/self/mountinfo"), os.path.realpath(_nearest(path)))


def mounted_at(mounts: str, path: str) -> str:
    """Return the type of the file system at a path, by `/proc/self/mountinfo`; of several mounts the last."""
    best, kind = "", ""
    for line in mounts.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if not dash or len(fields) < 5:
            continue
        place = fields[4].encode().decode("unicode_escape")  # blanks are \040
        if (path == place or path.startswith(f"{place.rstrip('/')}/")) and len(place) >= len(best):
            best, kind = place, after.split(" ")[0]
    return kind

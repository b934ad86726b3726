"""The machine: what it is, and what it has to spare at the moment."""

from __future__ import annotations

import os
import platform
import time

import runcast

__all__ = ["available_bytes", "busy_share", "facts", "file_system"]


def _lines(path: str) -> list[str]:
    try:
        with open(path) as file:
            return file.read().splitlines()
    except OSError:
        return []


def _value(path: str, key: str) -> str:
    return next((line.partition(":")[2].strip() for line in _lines(path) if line.startswith(key)), "")


def facts() -> dict[str, str]:
    """Return what a reader of the figures must know of the machine."""
    memory = int(_value("/proc/meminfo", "MemTotal").split()[0] or 0) / 1024**2
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "cpu": _value("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "runcast": runcast.__version__,
        "others": f"kept {busy_share():.0%} of all cores busy just before",
    }


def busy_share(seconds: float = 0.5) -> float:
    """Return how much of all cores is used now, by whomever, from 0 to 1."""

    def used() -> tuple[int, int]:
        times = [int(value) for value in _lines("/proc/stat")[0].split()[1:9]]
        return sum(times) - times[3] - times[4], sum(times)  # all but idle and waiting for the disk

    busy, total = used()
    time.sleep(seconds)
    busy_now, total_now = used()
    return (busy_now - busy) / max(total_now - total, 1)


def file_system(path: str) -> str:
    """Return the kind of file system that a path is on."""
    path = os.path.realpath(path)
    best, kind = "", "unknown"
    for line in _lines("/proc/mounts"):
        _device, place, its_kind = line.split()[:3]
        inside = path == place or path.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best):
            best, kind = place, its_kind
    return kind


def available_bytes(path: str) -> int:
    """Return how much can be written to a folder; no more than the free memory if that is what it uses."""
    status = os.statvfs(path)
    free = status.f_bavail * status.f_frsize
    if file_system(path) in ("tmpfs", "ramfs"):
        free = min(free, int(_value("/proc/meminfo", "MemAvailable").split()[0]) * 1024)
    return free

"""Where a run comes from: machine, boot, pid namespace and folder, and whether that is here.

The starter of a run records its origin in `run.json`; the supervisor has the same, since a
forkserver is found only from within its namespaces (supervisor/launch.py). A process that finds the
run without a writer compares: that decides whether processes of the run may be killed (they are ours),
can only be left alone (another pid namespace, a copy of the folder), cannot exist any more (another boot),
or are another machine's. docs/explanation/supervisor.md has the reasons. Knows no processes, only paths.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import socket
import struct
import sys
import time
from collections.abc import Mapping
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any

from runcast.json_objects import read_json
from runcast.sysio.files import read_kernel

__all__ = ["Relation", "origin_of", "relation_to", "seconds_since"]

_AT_FDCWD, _STATX_BTIME = -100, 0x800
_STATX = struct.Struct("=I76xqI164x")  # statx(2): mask, time of birth
_STORES = 64  # in which one process starts runs, and of which it remembers what is recorded
# Looked up once, before supervisors are forked. C libraries that lack them give no birth times; a client may
# be where none can be loaded.
_libc: ctypes.CDLL | None = None
with contextlib.suppress(OSError, TypeError):
    _libc = ctypes.CDLL(None, use_errno=True)
_statx = getattr(_libc, "statx", None)
_statfs = getattr(_libc, "statfs", None)
_LOCAL = frozenset(  # file systems that one kernel alone has mounted (statfs(2), magic.h)
    {
        0xEF53,  # ext2 to ext4
        0x58465342,  # xfs
        0x9123683E,  # btrfs
        0x01021994,  # tmpfs
        0x858458F6,  # ramfs
        0x794C7630,  # overlayfs
        0xF2F52010,  # f2fs
        0x2FC12FC1,  # zfs
        0xCA451A4E,  # bcachefs
        0x3153464A,  # jfs
        0x52654973,  # reiserfs
    }
)


class Relation(StrEnum):
    """What the origin of a run is to this process and the folder that it found."""

    OWN = "own"
    """The same boot, pid namespace and folder: the recorded processes are the run's, or are gone."""
    NAMESPACE = "another pid namespace"
    """The same boot and folder; the processes have other numbers here, or none."""
    REBOOTED = "an earlier boot"
    """The same machine: no process of that time exists."""
    COPY = "a copy of the folder"
    """The same machine; the run's own folder is elsewhere, and so may be the run."""
    HOST = "another host"
    UNKNOWN = "not recorded"
    """An earlier version started it."""


def origin_of(path: str) -> dict[str, Any]:
    """Return the origin of a run that this process starts in the folder at `path`."""
    store = os.path.dirname(path)
    folder, mark = os.stat(path), os.stat(f"{store}/store.json")
    own = _own_store(store, mark.st_ino, mark.st_ctime_ns)
    return {**_here(os.getpid()), **own, "device": folder.st_dev, "inode": folder.st_ino}


def relation_to(path: str, origin: Mapping[str, Any]) -> Relation:
    """Return what a recorded origin is, to a process of here that found the run at `path`."""
    if not origin:
        return Relation.UNKNOWN
    here = _here(os.getpid())
    folder, store = os.stat(path), _store(os.path.dirname(path))
    same = origin.get("inode") == folder.st_ino and _is_same_store(origin, store)
    if here["boot"] and origin.get("boot") == here["boot"]:
        if not same or origin.get("device") != folder.st_dev:
            return Relation.COPY
        if origin.get("pidns") != here["pidns"] or not _sees_own_namespace():
            return Relation.NAMESPACE
        return Relation.OWN
    # One kernel alone writes to such a file system: where the very same folder is seen is its machine.
    local = origin.get("local") is True and store["local"]
    if same and local:
        return Relation.REBOOTED
    if all(origin.get(name) == here[name] for name in ("machine", "host")):
        return Relation.REBOOTED if same else Relation.COPY
    return Relation.HOST


def seconds_since(birth: object, origin: Mapping[str, Any]) -> float:
    """Return how long ago a run began at most, by a clock that nobody sets; infinite where that is not known.

    Args:
        birth: two times since the boot, as its state has them.
        origin: of the run.
    """
    here = _here(os.getpid())
    if isinstance(birth, list) and birth and isinstance(birth[0], float | int):
        seconds = time.clock_gettime(time.CLOCK_BOOTTIME) - birth[0]
        if here["boot"] and origin.get("boot") == here["boot"] and seconds >= 0:  # else other time
            return seconds
    return math.inf


def _is_same_store(origin: Mapping[str, Any], store: Mapping[str, Any]) -> bool:
    """Whether a store is the recorded one, which a copy is not: its random id is copied, its birth is not."""
    if origin.get("born") is not None and store["born"] is not None:
        return bool(origin["born"] == store["born"])
    return bool(origin.get("store")) and origin.get("store") == store["store"]


@cache
def _here(pid: int) -> dict[str, Any]:
    """Return the origin that all runs of a process have; `pid` since a fork may enter a new namespace."""
    try:
        namespace: int | None = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        namespace = None
    return {
        "boot": _text("/proc/sys/kernel/random/boot_id").replace("-", ""),
        "machine": _text("/etc/machine-id")[:32],
        "host": socket.gethostname(),
        "pidns": namespace,
    }


def _text(path: str) -> str:
    with contextlib.suppress(OSError):
        return read_kernel(path).decode(errors="replace").strip()
    return ""


def _sees_own_namespace() -> bool:
    """Whether /proc shows the processes of this pid namespace, and not those of one around it."""
    for line in _text("/proc/self/status").splitlines():
        if line.startswith("NSpid:"):
            return line.split()[1:] == [str(os.getpid())]
    return False


@lru_cache(_STORES)
def _own_store(store: str, mark: int, changed: int) -> dict[str, Any]:
    """Return what is recorded of a store where this process starts runs, without a look at each start.

    `mark` and `changed`, the inode of its store.json and the time of its last change in nanoseconds, are
    others when the store was removed and made anew in the same place.
    """
    return _store(store)


def _store(store: str) -> dict[str, Any]:
    """Return what tells a store from every other: its id, its folder's birth, and if one kernel alone has it.

    Births are in nanoseconds since the epoch, and None where the file system or the C library has none.
    """
    found: dict[str, Any] = {"store": "", "born": None, "local": False}
    with contextlib.suppress(OSError):
        found["store"] = str(read_json(f"{store}/store.json").get("id", ""))
    space = (ctypes.c_char * _STATX.size)()  # also for statfs(2), which fills less than half of it
    if _statx is not None and not _statx(_AT_FDCWD, os.fsencode(store), 0, _STATX_BTIME, space):
        mask, seconds, nanoseconds = _STATX.unpack(space)
        found["born"] = seconds * 1_000_000_000 + nanoseconds if mask & _STATX_BTIME else None
    if _statfs is not None and not _statfs(os.fsencode(store), space):
        kind = int.from_bytes(space.raw[: ctypes.sizeof(ctypes.c_long)], sys.byteorder) & 0xFFFFFFFF
        found["local"] = kind in _LOCAL
    return found

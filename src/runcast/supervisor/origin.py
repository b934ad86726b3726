"""Where a run comes from: machine, boot, pid namespace and folder, and whether that is here.

Whoever starts a run records its origin in `run.json`; the supervisor has the same, since a
forkserver is found only from within its namespaces (launch.py). Whoever finds the run without a
writer compares: that decides whether processes of the run may be killed (they are ours), can only
be left alone (another pid namespace, a copy of the folder), cannot exist any more (another boot),
or are another machine's. docs/explanation/supervisor.md has the reasons. Knows no runs, only paths.

A number that stands for a process is of use only as long as it can be told from the next process
with the same number: by the time of its birth.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Any

from runcast.sysio import read_json, read_kernel

__all__ = ["Relation", "clock", "origin_of", "relation_to", "was_born"]

_TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds: so exactly the kernel tells when a process was born
_AT_FDCWD, _STATX_INO_BTIME, _STATX_BTIME = -100, 0x900, 0x800
_STATX = struct.Struct("=I28xQ40xqI44xII112x")  # statx(2): mask, inode, time of birth, device
# Looked up once, before supervisors are forked. C libraries that lack them give no birth times.
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
    return {**_here(os.getpid()), "store": _own_store_id(os.path.dirname(path)), **_folder(path)}


def relation_to(path: str, origin: Mapping[str, Any]) -> Relation:
    """Return what a recorded origin is, to a process of here that found the run at `path`."""
    if not origin:
        return Relation.UNKNOWN
    here = _here(os.getpid())
    found = _folder(path)
    if here["boot"] and origin.get("boot") == here["boot"]:
        if not _is_same(path, origin, found) or origin.get("device") != found["device"]:
            return Relation.COPY
        if origin.get("pidns") != here["pidns"] or not _sees_own_namespace():
            return Relation.NAMESPACE
        return Relation.OWN
    same = _is_same(path, origin, found)
    # One kernel alone writes to such a file system: whoever sees the very same folder is its machine.
    local = origin.get("local") is True and found["local"]
    if same and local:
        return Relation.REBOOTED
    if all(origin.get(name) == here[name] for name in ("machine", "host")):
        return Relation.REBOOTED if same else Relation.COPY
    return Relation.HOST


def _is_same(path: str, origin: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether a folder is the recorded one. An inode alone is not: it is given again to the next one."""
    if origin.get("inode") != found["inode"]:
        return False
    if origin.get("born") is not None and found["born"] is not None:
        return bool(origin["born"] == found["born"])
    return bool(origin.get("store")) and origin.get("store") == _store_id(os.path.dirname(path))


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


def _store_id(store: str) -> str:
    with contextlib.suppress(OSError):
        return str(read_json(f"{store}/store.json").get("id", ""))
    return ""


_own_store_id = cache(_store_id)  # of whoever starts runs in it, which a store that is made anew has not


def _folder(path: str) -> dict[str, Any]:
    """Return what tells this folder from every other: device, inode, and time of birth where there is one."""
    if _statx is not None:
        space = ctypes.create_string_buffer(_STATX.size)
        if not _statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_INO_BTIME, space):
            mask, inode, seconds, nanoseconds, major, minor = _STATX.unpack(space)
            born = seconds * 1_000_000_000 + nanoseconds if mask & _STATX_BTIME else None
            device = os.makedev(major, minor)
            return {"device": device, "inode": inode, "born": born, "local": _is_local(path, device)}
    status = os.stat(path)
    return {"device": status.st_dev, "inode": status.st_ino, "born": None, "local": False}


def _is_local(path: str, device: int) -> bool:
    return _type_of(os.path.dirname(path), device) in _LOCAL


@cache
def _type_of(store: str, device: int) -> int:
    """Return the type of a file system, as statfs(2) names it; 0 where it does not."""
    space = ctypes.create_string_buffer(256)
    if _statfs is None or _statfs(os.fsencode(store), space):
        return 0
    return int.from_bytes(space.raw[: ctypes.sizeof(ctypes.c_long)], sys.byteorder) & 0xFFFFFFFF


def clock() -> float:
    """Return the time since the boot, in seconds, by the clock that dates the births of processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def was_born(pid: int, birth: Sequence[float]) -> bool:
    """Whether a process was started between two times of `clock`: a later one with its number was not.

    To have the same number so soon again, all others would have to be given out within milliseconds.
    """
    try:
        ticks = int(read_kernel(f"/proc/{pid}/stat").rpartition(b")")[2].split()[19])
        before, after = birth
        return before - _TICK <= ticks * _TICK <= after
    except (OSError, ValueError, IndexError, TypeError):
        return False

"""A control group (cgroup v2) of one run: bounds of all its processes together.

Owns where such a group may be made, its files, and its removal. Nothing here is imported for a run
without such bounds. Rules: cgroup-v2.rst of the kernel (a group with processes cannot give controllers on),
and systemd's "Control Group APIs and Delegation": in a group that was not delegated others rule.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from typing import Any

from runcast.supervisor.oom import Group, memory_group

__all__ = ["GROUP_LIMITS", "CannotBound", "RunGroup", "make_group"]

GROUP_LIMITS = {"run_memory": "memory", "run_cpus": "cpu", "run_processes": "pids"}
"""The limits that need a group, with their controllers."""

_ROOT = "/sys/fs/cgroup"
_PREFIX = "runcast-"
_OURS = "runcast"  # the leaf for what was in a delegated group itself
_ROUNDS = 100  # of moving processes out of a group
_PERIOD = 100_000  # microseconds, the kernel's own default
_ADVICE = (
    "start runcast in a group that is delegated to it: Delegate=yes and DelegateSubgroup=server in its unit, "
    "or systemd-run --user --scope -p Delegate=yes"
)


class CannotBound(Exception):
    """There is no group in which the run could be bounded; the text is for people."""


class RunGroup:
    """The group of one run.

    Args:
        path: of its folder.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def memory(self) -> Group:
        """Its folder, and its counter of kills, for an `OomWatch`."""
        return memory_group(b"0::/", self._path)

    @property
    def joining(self) -> str:
        """The file that a process writes 0 to in order to become a member."""
        return f"{self._path}/cgroup.procs"

    def kill(self) -> None:
        """Kill all of its processes at once, also while they fork; nothing on a kernel before 5.14."""
        with contextlib.suppress(OSError):
            _write(f"{self._path}/cgroup.kill", "1")

    def used(self) -> tuple[float | None, int | None]:
        """Return the seconds of processor and the most bytes of memory that all took so far."""
        seconds = peak = None
        with contextlib.suppress(OSError, ValueError, KeyError):
            seconds = int(_fields(f"{self._path}/cpu.stat")["usage_usec"]) / 1e6
        with contextlib.suppress(OSError, ValueError):
            peak = int(_read(f"{self._path}/memory.peak"))
        return seconds, peak

    def remove(self) -> None:
        """Remove it; where processes are left in it, a later start does."""
        with contextlib.suppress(OSError):
            os.rmdir(self._path)


def make_group(run_id: str, limits: Mapping[str, Any], root: str = _ROOT) -> RunGroup:
    """Make the group of a run, with its bounds.

    Args:
        run_id: names it.
        limits: those of `GROUP_LIMITS` that there are: bytes, processors, processes.
        root: where cgroup v2 is mounted.

    Raises:
        CannotBound: no group is ours to divide, or the kernel refuses a bound.
    """
    wanted = {GROUP_LIMITS[name] for name in limits}
    parent = _parent(wanted, root)
    _sweep(parent)
    group = f"{parent}/{_PREFIX}{run_id}"
    try:
        os.mkdir(group)
        for name, value in limits.items():
            _write(*_setting(group, name, value))
    except OSError as error:
        with contextlib.suppress(OSError):
            os.rmdir(group)
        raise CannotBound(f"{(error.strerror or str(error)).lower()} ({error.filename})") from None
    return RunGroup(group)


def _setting(group: str, name: str, value: Any) -> tuple[str, str]:
    if name == "run_cpus":
        return f"{group}/cpu.max", f"{max(round(value * _PERIOD), 1000)} {_PERIOD}"
    return f"{group}/{'memory' if name == 'run_memory' else 'pids'}.max", str(value)


def _parent(wanted: set[str], root: str) -> str:
    """Return a group with these controllers in which ours may be made."""
    if not os.path.exists(f"{root}/cgroup.controllers"):
        raise CannotBound("cgroup v2 is not mounted at /sys/fs/cgroup")
    own = next((line[3:] for line in _read("/proc/self/cgroup").splitlines() if line.startswith("0::")), "/")
    own = f"{root}{own}".rstrip("/")
    # A sibling of our own group first: that is what DelegateSubgroup is for.
    for place in dict.fromkeys([os.path.dirname(own) if own != root else own, own]):
        if not place.startswith(root) or not _is_ours(place, own, root):
            continue
        missing = wanted - set(_read(f"{place}/cgroup.controllers").split())
        if missing:
            raise CannotBound(f"the controller {min(missing)} is not available in {place}")
        if _gives_on(place, wanted, alone=place == own != root):
            return place
    raise CannotBound(f"no group of cgroup v2 is delegated to this process: {_ADVICE}")


def _is_ours(place: str, own: str, root: str) -> bool:
    """Whether a group was left to us to divide: we are in the root, we own it, or systemd marked it."""
    if not os.access(f"{place}/cgroup.subtree_control", os.W_OK) or not os.access(place, os.W_OK):
        return False
    # The root is ours where we are in it: from a group in it, it belongs to those who made that group.
    if own == root or os.geteuid() != 0:
        return True
    for name in ("trusted.delegate", "user.delegate"):  # by systemd
        with contextlib.suppress(OSError):
            if os.getxattr(place, name) == b"1":
                return True
    return False


def _gives_on(place: str, wanted: set[str], *, alone: bool) -> bool:
    """Have a group give these controllers to the groups in it; return whether it does."""
    try:
        if wanted <= set(_read(f"{place}/cgroup.subtree_control").split()):
            return True
        enabled = " ".join(f"+{name}" for name in sorted(wanted))
        try:
            _write(f"{place}/cgroup.subtree_control", enabled)
        except OSError as error:
            if error.errno != errno.EBUSY or not alone:
                raise
            _empty(place)
            _write(f"{place}/cgroup.subtree_control", enabled)
    except OSError:
        return False
    return True


def _empty(place: str) -> None:
    """Move the processes of our own group, this one among them, into a group in it."""
    leaf = f"{place}/{_OURS}"
    with contextlib.suppress(FileExistsError):
        os.mkdir(leaf)
    for _ in range(_ROUNDS):  # they may fork meanwhile
        pids = _read(f"{place}/cgroup.procs").split()
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                _write(f"{leaf}/cgroup.procs", pid)


def _sweep(parent: str) -> None:
    """Remove the groups of runs whose processes outlived their supervisor, and are gone now."""
    with os.scandir(parent) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):  # EBUSY: it has some
                    os.rmdir(entry.path)


def _fields(path: str) -> dict[str, str]:
    return dict(line.split() for line in _read(path).splitlines())


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), path) from None
    finally:
        os.close(fd)

"""What the kernel's OOM killer does to a run: whom it takes first, and whether it took one.

Owns `/proc/self/oom_score_adj` of a supervisor and the counter of kills of its memory cgroup,
both opened before there is a run, so that a start pays for three small writes and reads only.
A command begins with a higher score than its supervisor, and what it starts inherits that: so the
command is killed for lack of memory, and its supervisor is left to report it. Everything is best
effort: where a file is missing, nothing happens.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping

__all__ = ["OUT_OF_MEMORY", "VARIABLE", "Group", "OomWatch", "memory_group", "own_group"]

OUT_OF_MEMORY = "out of memory"  # how the story of a run begins that was killed for that
VARIABLE = "RUNCAST_OOM_SCORE_ADJ"  # how much is added; 0 for nothing
_RAISE = 300  # per mille of the memory there is: more than a supervisor and a client ever have
_HIGHEST = 1000  # proc_pid_oom_score_adj(5)
_NO_LIMIT = 1 << 60  # what cgroup v1 says for none is near 2**63


Group = tuple[str | None, int | None]
"""The folder of a memory cgroup, and a descriptor of its counter of kills; None for what there is not."""


class OomWatch:
    """What a supervisor knows of memory running out. For the process that makes it.

    Args:
        group: of this process, as `own_group` returned it here or in the process that forked this one:
            what each supervisor finds out for itself costs it memory that it would share otherwise.
    """

    def __init__(self, group: Group) -> None:
        self._score: int | None = None
        self._own = self._now = 0
        try:
            self._score = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
            self._own = self._now = int(os.read(self._score, 32))
        except (OSError, ValueError):
            pass
        self._group = self._folder, self._counter = group
        self._before = 0

    def begin(self, env: Mapping[str, str]) -> None:
        """Remember how many were killed so far, and have what is started until `begun` be killed before us.

        The score is inherited, and raising it needs no privilege. Nor does lowering it again as far
        as it was: the kernel refuses only what is below the last value that a privileged process set.
        """
        self._look_at(self._group)
        self._before = self._kills()
        self._set(min(self._own + _added(env), _HIGHEST))

    def follow(self, group: Group) -> None:
        """Look at a group that was made for this run, whose counter becomes ours to close, until the next."""
        self._look_at(group)
        self._before = 0

    def _look_at(self, group: Group) -> None:
        if self._counter is not None and self._counter not in (self._group[1], group[1]):
            os.close(self._counter)
        self._folder, self._counter = group

    def begun(self) -> None:
        """Have this process's own score again."""
        self._set(self._own)

    def _set(self, value: int) -> None:
        if self._score is not None and value != self._now:
            try:
                os.pwrite(self._score, b"%d" % value, 0)
                self._now = value
            except OSError:
                pass

    def _kills(self) -> int:
        if self._counter is not None:
            try:
                return _count(os.pread(self._counter, 512, 0))
            except OSError:  # ENODEV: the group was removed
                pass
        return 0

    def story(self, status: int) -> str:
        """Return what to say of a run that ended so (waitpid(2)); empty if memory sufficed.

        Other runs may be in the same group, so it says `during` and not `of`.
        """
        killed = self._kills() - self._before
        if killed <= 0 or self._folder is None:
            return ""
        if os.waitstatus_to_exitcode(status) not in (-signal.SIGKILL, 128 + signal.SIGKILL):
            what = "1 process of this group was" if killed == 1 else f"{killed} processes of this group were"
            return f"{what} killed for lack of memory during the run"
        limit = min((one for one in map(_limit, _upwards(self._folder)) if one is not None), default=None)
        peak = _number(f"{self._folder}/memory.peak", f"{self._folder}/memory.max_usage_in_bytes")
        said = [] if limit is None else [f"the group's limit is {_size(limit)}"]
        said += [] if peak is None else [f"its peak was {_size(peak)}"]
        return OUT_OF_MEMORY + (f": {', '.join(said)}" if said else "")


def own_group() -> Group:
    """Return the memory cgroup of this process."""
    return memory_group(_read("/proc/self/cgroup"), "/sys/fs/cgroup")


def memory_group(membership: bytes, cgroups: str) -> Group:
    """Return the folder of the memory cgroup that `/proc/self/cgroup` names, and its open counter.

    Inside a container the path that is named may be the host's, and the mount begins at the
    container's own group: so the mount itself is looked at, too.
    """
    for line in membership.decode("utf-8", "surrogateescape").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "memory" in controllers.split(","):
            places = [f"{cgroups}/memory{path}", f"{cgroups}/memory"]
        elif not controllers:
            places = [f"{cgroups}{path}", cgroups]
        else:
            continue
        for place in places:
            for name in ("memory.events.local", "memory.events", "memory.oom_control"):
                with contextlib.suppress(OSError):
                    return place.rstrip("/"), os.open(f"{place}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    return None, None


def _added(env: Mapping[str, str]) -> int:
    try:
        return int(env.get(VARIABLE, _RAISE))
    except ValueError:
        return _RAISE


def _count(text: bytes) -> int:
    _, found, count = text.rpartition(b"oom_kill ")
    return int(count.split(maxsplit=1)[0]) if found else 0


def _upwards(folder: str) -> Iterator[str]:
    """Yield a group and those that it is in: the smallest limit of them counts."""
    while os.path.exists(f"{folder}/cgroup.procs"):
        yield folder
        folder = os.path.dirname(folder)


def _limit(folder: str) -> int | None:
    limit = _number(f"{folder}/memory.max", f"{folder}/memory.limit_in_bytes")
    return None if limit is None or limit > _NO_LIMIT else limit


def _number(*paths: str) -> int | None:
    """Return the number in the first of these files that there is; None for `max`."""
    for path in paths:
        with contextlib.suppress(ValueError):
            if text := _read(path):
                return int(text)
    return None


def _read(path: str) -> bytes:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return file.read()
    return b""


def _size(count: int) -> str:
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << power:
            return f"{count / (1 << power):.4g} {unit}"
    return f"{count} bytes"

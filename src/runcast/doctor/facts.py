"""What is known of a host, as plain values. None stands for what could not be found out.

Owns the values, and what a check returns. Must not touch the system.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

__all__ = [
    *("Amount", "Facts", "Finding", "Level", "Limit", "LinkFacts", "StoreFacts", "UnitFacts"),
    *("hint", "ok", "problem"),
]


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    HINT = "hint"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """The result of one check.

    Attributes:
        check: which one.
        level: how much it matters.
        text: what was found, a lower-case fragment.
        advice: what to do; empty where nothing is.
    """

    check: str
    level: Level
    text: str
    advice: str = ""

    def to_json(self) -> dict[str, str]:
        """Return it as JSON values."""
        return {"check": self.check, "level": self.level.value, "text": self.text, "advice": self.advice}

    def __str__(self) -> str:
        return f"{self.level.value:<8}{self.check}: {self.text}" + (f": {self.advice}" if self.advice else "")


def ok(check: str, text: str) -> Finding:
    """Return that all is well."""
    return Finding(check, Level.OK, text)


def hint(check: str, text: str, advice: str) -> Finding:
    """Return what may be as it should be, or may not."""
    return Finding(check, Level.HINT, text, advice)


def problem(check: str, text: str, advice: str) -> Finding:
    """Return what is wrong."""
    return Finding(check, Level.PROBLEM, text, advice)


class Amount(NamedTuple):
    """How much of something is used, and how much there may be; None for any amount."""

    used: int
    most: int | None

    @property
    def left(self) -> int | None:
        """How much is left."""
        return None if self.most is None else max(self.most - self.used, 0)


class Limit(NamedTuple):
    """A limit of setrlimit(2); None for no limit."""

    soft: int | None
    hard: int | None


class UnitFacts(NamedTuple):
    """A unit of systemd, as `systemctl show` has it.

    Attributes:
        name: of the unit.
        of_user: whether it is one of the user's own manager.
        kill_mode: `KillMode`; see systemd.kill(5). Empty where it could not be had.
        oom_policy: `OOMPolicy`; see systemd.service(5). Empty likewise.
        private_tmp: `PrivateTmp`; see systemd.exec(5).
        found: whether there is such a unit.
        user: `User`; empty for that of its manager.
        store: the store that its `Environment` names; empty for none.
    """

    name: str
    of_user: bool = False
    kill_mode: str = ""
    oom_policy: str = ""
    private_tmp: bool = False
    found: bool = True
    user: str = ""
    store: str = ""

    @property
    def is_service(self) -> bool:
        """Whether systemd ends its processes when it is stopped or restarted, as it says."""
        return self.name.endswith(".service")


class StoreFacts(NamedTuple):
    """The folder of a store.

    Attributes:
        path: of the folder.
        there: whether it is there; else the others are those of the folder in which it would be made.
        fault: why it cannot be used, in one sentence; empty where it can.
        write_error: why no file can be made in it; empty where one can.
        lock_error: why no file can be locked there; empty where one can.
        file_system: its type, as in /proc/mounts.
        bytes: of its disk.
        files: of its disk; None where its file system counts none.
        newest: when its newest run was made, in seconds since the epoch.
    """

    path: str
    there: bool = True
    fault: str = ""
    write_error: str = ""
    lock_error: str = ""
    file_system: str = "ext4"
    bytes: Amount | None = None
    files: Amount | None = None
    newest: float | None = None


class LinkFacts(NamedTuple):
    """The link of a store that is shared with other hosts.

    Attributes:
        engine: where it is, without user and password.
        host: the name of this host there.
        error: why the engine cannot be reached, or refuses us, in one sentence; empty where it answers.
        server: what it is, such as `Valkey 9.1.2`.
        hosts: the others, each with the seconds that it has been silent; 0 where it is not.
        notes: what the store's agent says is wrong, by what it is about.
        shelf: where finished runs are kept; empty for nowhere.
        shelf_error: why that cannot be used; empty where it can.
    """

    engine: str
    host: str
    error: str = ""
    server: str = ""
    hosts: Mapping[str, float] = MappingProxyType({})
    notes: Mapping[str, str] = MappingProxyType({})
    shelf: str = ""
    shelf_error: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that the checks look at.

    Attributes:
        python: the version.
        system: of the operating system and its kernel, such as `Linux 6.1.0`.
        extras: whether the packages of each extra are installed.
        uid: of this user.
        init: the name of process 1.
        container: what this is inside of, such as `docker`; empty for none that shows.
        zombies: how many processes have ended and were not collected by process 1.
        unit: of this process, or the one that was named.
        session: whether this process is in a login session, and no unit of its own.
        kill_user_processes: whether logind ends what a user has started at logout.
        lingers: whether the user's manager goes on after logout.
        open_files: RLIMIT_NOFILE.
        processes: those of this user and RLIMIT_NPROC, which does not hold for root.
        group_processes: those of the cgroup and pids.max.
        group_memory: bytes of the cgroup and its limit.
        bounds: other limits of setrlimit(2) that there are, by name, in their units.
        now: the time, in seconds since the epoch.
        installed: when this program was installed, likewise.
        clock_drift: how much further the wall clock went than the monotonic one, in seconds, while we looked.
        synchronized: whether the kernel says that the clock is synchronized.
        inotify_error: why no folder can be watched; empty where one can.
        inotify_instances: those of this user, and fs.inotify.max_user_instances.
        inotify_watches: those of this user, and fs.inotify.max_user_watches.
        terminals: those in use, and kernel.pty.max.
        terminal_error: why no terminal can be had; empty where one can.
        store: the store.
        link: of the store, to other hosts; None where it is shared with none.
    """

    python: tuple[int, int, int] = (3, 11, 0)
    system: str = "Linux 6.1.0"
    extras: Mapping[str, bool] = field(default_factory=dict)
    uid: int = 1000
    init: str | None = "systemd"
    container: str = ""
    zombies: int = 0
    unit: UnitFacts | None = None
    session: bool = False
    kill_user_processes: bool | None = None
    lingers: bool | None = None
    open_files: Limit | None = None
    processes: Amount | None = None
    group_processes: Amount | None = None
    group_memory: Amount | None = None
    bounds: Mapping[str, int] = field(default_factory=dict)
    now: float = 0.0
    installed: float = 0.0
    clock_drift: float = 0.0
    synchronized: bool | None = None
    inotify_error: str = ""
    inotify_instances: Amount | None = None
    inotify_watches: Amount | None = None
    terminals: Amount | None = None
    terminal_error: str = ""
    store: StoreFacts = field(default_factory=lambda: StoreFacts("/var/lib/runcast"))
    link: LinkFacts | None = None

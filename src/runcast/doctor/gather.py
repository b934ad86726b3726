"""Finding out what the checks look at. Everything is best effort: what cannot be read is not known.

Owns the order, and what Python and its libraries know. What files of /proc and of cgroups say is in
`kernel.py`, what systemd says in `systemd.py`. Changes nothing, and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import pwd
import resource
import sys
import time

from runcast._version import __file__ as installed
from runcast.doctor import kernel, systemd
from runcast.doctor.facts import Amount, Facts, Limit, StoreFacts
from runcast.doctor.sharing import link_facts
from runcast.errors import RuncastError
from runcast.ids import time_of
from runcast.installed import is_installed
from runcast.readers.inotify import Inotify
from runcast.runs import store_path
from runcast.store.files import StoreFiles
from runcast.store.folder import check_store
from runcast.store.probe import probe

__all__ = ["EXTRAS", "gather"]

EXTRAS = {  # by extra: a package of each, which says that it is installed
    "server": ("uvicorn", "starlette", "prometheus_client", "websockets", "httptools", "uvloop"),
    "client": ("httpx2",),
    "mcp": ("mcp",),
    "flask": ("flask",),
    "django": ("django",),
    "bottle": ("bottle",),
    "cherrypy": ("cherrypy",),
    "starlette": ("starlette",),
    "otel": ("opentelemetry",),
    "postgres": ("psycopg",),
    "s3": ("botocore",),
}
_BOUNDS = {"memory": resource.RLIMIT_AS, "cpu_time": resource.RLIMIT_CPU, "file_size": resource.RLIMIT_FSIZE}
_LOOK_SECONDS = 0.2  # at the clock
_TIMEX_BYTES, _TIME_ERROR = 512, 5  # more than struct timex has; adjtimex(2)


def gather(store: str | None, unit: str | None = None, *, of_user: bool = False) -> Facts:
    """Return what is known of this host. Takes some tenths of a second.

    Args:
        store: what names the store; None for that of a named unit, where it has one, else the default.
        unit: of systemd, in place of the one that this process is in.
        of_user: whether that unit is one of the user's own manager.
    """
    wall, steady, zombies = time.time(), time.monotonic(), kernel.zombies()
    own = systemd.unit_of(kernel.membership())
    named = systemd.described(unit, of_user=of_user) if unit is not None else None
    path = store_path(store if store is not None or named is None else named.store or None)
    time.sleep(max(0.0, steady + _LOOK_SECONDS - time.monotonic()))
    return Facts(
        python=sys.version_info[:3],
        system=f"{platform.system()} {platform.release()}",
        extras={name: all(map(is_installed, packages)) for name, packages in EXTRAS.items()},
        uid=os.geteuid(),
        init=kernel.first_process(),
        container=kernel.container(os.environ),
        zombies=len(zombies & kernel.zombies()),
        unit=named or (own and systemd.described(own.name, of_user=own.of_user)),
        session=named is None and own is not None and own.name.startswith("session-"),
        kill_user_processes=systemd.kills_user_processes(),
        lingers=systemd.lingers(os.geteuid()),
        open_files=_limit(resource.RLIMIT_NOFILE),
        processes=_processes(),
        group_processes=kernel.group_amount("pids", ("pids.current",), ("pids.max",)),
        group_memory=kernel.group_amount(
            "memory", ("memory.current", "memory.usage_in_bytes"), ("memory.max", "memory.limit_in_bytes")
        ),
        bounds={name: soft for name, one in _BOUNDS.items() if (soft := _limit(one).soft) is not None},
        now=time.time(),
        installed=os.stat(installed).st_mtime,
        clock_drift=(time.time() - wall) - (time.monotonic() - steady),
        synchronized=_synchronized(),
        inotify_error=_inotify_error(path),
        inotify_instances=kernel.inotify_use()[0],
        inotify_watches=kernel.inotify_use()[1],
        terminals=kernel.terminals(),
        terminal_error=_terminal_error(),
        store=_store(path, named.user if named else ""),
        link=link_facts(path),
    )


def _owner(path: str) -> str | None:
    try:
        return pwd.getpwuid(os.stat(path).st_uid).pw_name
    except (OSError, KeyError):
        return None


def _limit(which: int) -> Limit:
    soft, hard = (None if one == resource.RLIM_INFINITY else one for one in resource.getrlimit(which))
    return Limit(soft, hard)


def _processes() -> Amount | None:
    most = _limit(resource.RLIMIT_NPROC).soft
    return None if most is None else Amount(kernel.tasks_of(os.geteuid()), most)


def _synchronized() -> bool | None:
    """Return whether something synchronizes the clock, as the kernel has it; see adjtimex(2)."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def _inotify_error(store: str) -> str:
    try:
        watching = Inotify()
        try:
            watching.add_changes(store if os.path.isdir(store) else "/")
        finally:
            os.close(watching.fd)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


def _terminal_error() -> str:
    try:
        for fd in os.openpty():
            os.close(fd)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


def _store(path: str, user: str) -> StoreFacts:
    """Return what is known of a store, which may be that of a unit's user where root looks at it."""
    fault = ""
    try:
        check_store(path)
    except RuncastError as error:
        fault = "" if os.geteuid() == 0 and _owner(path) == user else str(error)
    write_error, lock_error = ("", "") if fault else probe(path)
    newest = None
    with contextlib.suppress(OSError):
        newest = max(map(time_of, StoreFiles(path).ids()), default=None)
    size, files = kernel.disk_use(path)
    return StoreFacts(
        path,
        os.path.isdir(path),
        fault,
        write_error,
        lock_error,
        kernel.file_system(path),
        size,
        files,
        newest,
    )

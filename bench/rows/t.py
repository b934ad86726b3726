"""T: the end of 50 processes that fork again each millisecond, and what a control group would change.

`cgroup.kill` ends what is in a group in one write. So beside our kill stand that write and what comes
before it: who is in the group as well, as a supervisor whose command was born there is, has to leave
it. And what it costs to have each run in a group of its own: commands are moved there by their
supervisor, are born there (clone3(2), which posix_spawn of most C libraries does not have), or their
supervisors are moved in advance, while others start commands. Needs a cgroup2 that is writable.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from bench.bench import Bench
from bench.measure import OURS, alternate, quantiles
from bench.row import Figure, Row
from runcast.supervisor.tree import Tree, become_subreaper

_REFORKERS = 50
_KILLS = 10
_STARTS = 60
_BETWEEN_SECONDS = 0.03  # between two starts: a move behind another one is cheap
_SYS_CLONE3, _CLONE_INTO_CGROUP = 435, 0x200000000
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the time that a kill takes, then that of a start."""
    mount = _mount()
    ways: dict[str, Callable[[], dict[str, float]]] = {OURS: partial(_kills, bench, "")}
    if mount:
        ways["cgroup.kill"] = partial(_kills, bench, mount)
    found = alternate(bench, "T: kill", ways)
    for share in ("p50", "max"):
        yield found.figure(share, f"{_REFORKERS} that fork each ms: all are gone, {share}", "ms")
    if not mount:
        yield Figure("starts in a group", note="expected a cgroup2 that is writable")
        return
    ways = {OURS: partial(_starts, "spawn", mount)}
    ways |= {how: partial(_starts, how, mount) for how in ("moved", "born there", "beside a move")}
    found = alternate(bench, "T: start", ways)
    for share in ("p50", "p99"):
        yield found.figure(share, f"start of a program, {share}", "us")


def _mount() -> str:
    """Return where the cgroup2 is mounted, if groups can be made there and killed; else nothing."""
    with open("/proc/self/mounts") as file:
        mounts = [line.split()[1] for line in file if line.split()[2] == "cgroup2"]
    for mount in mounts:
        with contextlib.suppress(OSError), _group(mount, "probe") as group:
            if os.access(f"{group}/cgroup.kill", os.W_OK):
                return mount
    return ""


@contextlib.contextmanager
def _group(mount: str, name: str) -> Iterator[str]:
    path = f"{mount}/runcast-bench-{name}-{os.getpid()}"
    os.mkdir(path)
    try:
        yield path
    finally:
        os.rmdir(path)


def _move(group: str, pid: int = 0) -> None:
    fd = os.open(f"{group}/cgroup.procs", os.O_WRONLY)
    try:
        os.write(fd, str(pid).encode())
    finally:
        os.close(fd)


def _kills(bench: Bench, mount: str) -> dict[str, float]:
    """Kill again and again, each time from a process of its own: a subreaper with nothing else below it."""
    code = "import sys; from bench.rows.t import kill_once; kill_once(*sys.argv[1:])"
    command = [sys.executable, "-c", code, bench.program("refork"), mount]
    taken = [
        float(subprocess.run(command, cwd=_ROOT, capture_output=True, check=True).stdout)
        for _ in range(bench.pick(_KILLS, 4))
    ]
    return {"p50": quantiles(taken)["p50"], "max": max(taken)}


def kill_once(program: str, mount: str) -> None:
    """Start what forks again and again, kill it, and print how many milliseconds that took."""
    become_subreaper()
    exits, bell = os.pipe2(os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
    with _group(mount, "kill") if mount else contextlib.nullcontext("") as group:
        if group:
            _move(group)
        out, stdout = os.pipe()
        argv = [program, str(_REFORKERS)]
        tree = Tree(
            os.posix_spawn(
                program, argv, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, stdout, 1)], setsid=True
            )
        )
        os.close(stdout)
        missing = 3 * _REFORKERS
        while missing:  # reaping, as a supervisor does
            for fd in select.select([out, exits], [], [])[0]:
                if fd == out:
                    missing -= len(os.read(out, 4096))
                else:
                    os.read(exits, 4096)
                    tree.collect()
        begun = time.perf_counter()
        if group:
            _move(mount)
            with open(f"{group}/cgroup.kill", "w") as file:
                file.write("1")
            while not tree.collect():
                time.sleep(0.0002)
        elif not tree.kill(30):
            sys.exit("expected that all of them die")
        print(1000 * (time.perf_counter() - begun))


def _starts(how: str, mount: str) -> dict[str, float]:
    taken = []
    with _group(mount, "start") as group, _moves(mount, group, how == "beside a move"):
        for _ in range(_STARTS):
            begun = time.perf_counter()
            pid = _born_in(group) if how == "born there" else os.posix_spawn("/bin/true", ["true"], {})
            if how == "moved":
                _move(group, pid)
            taken.append(1e6 * (time.perf_counter() - begun))
            os.waitpid(pid, 0)
            time.sleep(_BETWEEN_SECONDS)
    return quantiles(taken)


@contextlib.contextmanager
def _moves(mount: str, group: str, really: bool) -> Iterator[None]:
    """Have another process be moved there and back, each time as soon as it can be."""
    if not really:
        yield
        return
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        while True:
            _move(group)
            _move(mount)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _born_in(group: str) -> int:
    """Start /bin/true in a group from its birth; return its pid when it has begun."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = os.open(group, os.O_PATH | os.O_DIRECTORY)
    begun, pipe = os.pipe2(os.O_CLOEXEC)
    # struct clone_args: flags, three pointers, the signal at the end, stack and TLS, set_tid, cgroup
    space = ctypes.create_string_buffer(
        struct.pack("=11Q", _CLONE_INTO_CGROUP, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, folder)
    )
    pid: int = libc.syscall(_SYS_CLONE3, space, 88)
    if pid == 0:
        try:
            os.execve("/bin/true", ["true"], {})
        finally:
            os._exit(127)
    os.close(pipe)
    os.read(begun, 1)
    os.close(begun)
    os.close(folder)
    if pid < 0:
        raise OSError(ctypes.get_errno(), "clone3")
    return pid


ROW = Row("T", "the end of what forks again and again; control groups", measure)

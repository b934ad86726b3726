"""Have a run started: find or start the forkserver that fits, and hand the request over.

Owns the side of the client. A forkserver gives its children what it has itself: limits,
umask, niceness, processors, cgroup, groups, score for the OOM killer. So its socket's name is made
of them, and a caller in another context finds another forkserver. Where none can be had (a file
system without sockets), a fresh interpreter supervises this one run: the same code, 10 to 40 ms
later.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import sys
import time
from typing import TYPE_CHECKING, Any
from zlib import crc32

from runcast._version import __version__
from runcast.errors import SupervisorLost
from runcast.shortages import TOO_MANY_FILES, TOO_MANY_PROCESSES, Shortage, shortage
from runcast.supervisor import descriptors
from runcast.supervisor.control import connect_path, pack_request

if TYPE_CHECKING:
    import subprocess

__all__ = ["PACKAGE_ROOT", "begin_python", "environment", "interpreter", "launch", "python_command"]

# The folder to import runcast from.
PACKAGE_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

_ANSWER_SECONDS = 30.0
_START_SECONDS = 20.0
_MOST_HUNG_UP = 5
_FEW_FILES = 32  # at once; a forkserver or a supervisor that has a run needs about half of that
_TEMPORARY = 75  # what an interpreter of ours exits with that cannot fork; EX_TEMPFAIL of sysexits(3)
_LEAST_BYTES, _LEAST_FILES = 64 * 1024, 16  # for the files of a run, its outcome above all
# What a supervisor needs of the environment; some builds of Python do not start without the second.
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "RUNCAST_RUN_ID")
_CREDENTIALS = "AWS_"  # a shelf at s3:// finds them there as any program with botocore
_PROC_BYTES = 16 * 1024  # more than any of these files has
_NAMESPACES = ("mnt", "pid", "net", "user", "ipc", "uts")
_NAMED = {getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}
_named_last: tuple[object, str] = (None, "")  # a context, and its name: mostly that of the next start, too
_LIMITS = sorted(_NAMED - {resource.RLIMIT_NOFILE})  # which a server raises for itself


def _read(path: str) -> bytes:
    """Return what a file of /proc says, in one read: three of them are part of each start."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, _PROC_BYTES)
        finally:
            os.close(fd)
    except OSError:
        return b""


def _namespaces() -> list[str]:
    try:
        return [os.readlink(f"/proc/self/ns/{name}") for name in _NAMESPACES]
    except OSError:
        return []


def _context() -> str:
    """Return a name for everything that a child of a forkserver inherits from it."""
    status = _read("/proc/self/status")
    at = status.find(b"Umask:")
    root = os.stat("/")
    context = (
        __version__,
        sys.executable,
        os.getresuid(),
        os.getresgid(),
        os.getgroups(),
        os.getpriority(os.PRIO_PROCESS, 0),
        sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        [*map(resource.getrlimit, _LIMITS)],
        descriptors.before() or resource.getrlimit(resource.RLIMIT_NOFILE),  # as what is started has it
        status[at : at + 12],
        _read("/proc/self/cgroup"),
        _read("/proc/self/oom_score_adj"),
        _namespaces(),  # two containers may share a store
        (root.st_dev, root.st_ino),
        os.environ.get("RUNCAST_RUN_ID"),  # a run inside a run belongs to it, and dies with it
    )
    global _named_last
    if _named_last[0] != context:
        text = repr(context).encode()
        _named_last = context, f"{crc32(text):08x}{crc32(text[::-1]):08x}"
    return _named_last[1]


def interpreter() -> str:
    """Return the interpreter: an application server that embeds it has another `sys.executable`."""
    if "python" in os.path.basename(sys.executable or ""):
        return sys.executable
    return f"{sys.exec_prefix}/bin/python3"


def environment(*, site: bool = False) -> dict[str, str]:
    """Return the environment that an interpreter of ours runs in.

    Args:
        site: whether it uses packages that are installed: then it has the credentials of a shelf, too.
    """
    return {"PATH": os.defpath} | {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_ON or (site and name.startswith(_CREDENTIALS))
    }


def _run_python(code: str, keep: tuple[int, ...] = ()) -> int:
    """Run a few lines of ours in a fresh, minimal interpreter; return its exit code at its end.

    Raises:
        OSError: there is too little of something, processes for instance.
    """
    # The reason matters where a fork fails: `os._exit`, since a traceback would have nowhere to go.
    if (files := descriptors.before()) is not None:
        code = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, {files}); {code}"
    if (status := begin_python(code, keep).wait()) == _TEMPORARY:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return status


def begin_python(code: str, keep: tuple[int, ...] = (), *, site: bool = False) -> subprocess.Popen[bytes]:
    """Begin to run a few lines of ours in a fresh interpreter, which the caller reaps.

    Args:
        code: statements in one line.
        keep: descriptors that it gets.
        site: whether it needs packages that are installed.

    Raises:
        OSError: there is too little of something, processes for instance.
    """
    import subprocess

    null = subprocess.DEVNULL
    return subprocess.Popen(
        python_command(code, site=site),
        stdin=null,
        stdout=null,
        stderr=null,
        cwd="/",
        env=environment(site=site),
        pass_fds=keep,
        start_new_session=True,
    )


def python_command(code: str, *, site: bool = False) -> list[str]:
    """Return the arguments of a fresh interpreter for a few lines of ours.

    What its parent does with signals is none of it: threads of servers block them all (uWSGI), and some
    programs ignore SIGCHLD, both of which outlive an execve(2). Without SIGCHLD no run would end.
    """
    code = (
        "import _signal, os, sys; _signal.pthread_sigmask(_signal.SIG_SETMASK, ()); "
        "_signal.signal(_signal.SIGCHLD, _signal.SIG_DFL); "
        f"sys.path.insert(0, {PACKAGE_ROOT!r})\n"
        f"try: {code}\n"
        f"except BlockingIOError: os._exit({_TEMPORARY})"
    )
    return [interpreter(), "-I", *([] if site else ["-S"]), "-X", "utf8", "-c", code]


def _check_room(store: str) -> None:
    """Refuse a full disk, where the outcome may find no room in the end."""
    room = os.statvfs(store)
    free, files = room.f_bavail, room.f_favail
    if os.geteuid() == 0:  # root may also use the reserved blocks
        free, files = room.f_bfree, room.f_ffree
    if (room.f_blocks and free * room.f_frsize < _LEAST_BYTES) or (room.f_files and files < _LEAST_FILES):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def launch(store: str, request: dict[str, Any], fds: dict[str, int]) -> dict[str, Any]:
    """Have the run in the folder `request["new"]` started; it is at `request["path"]` afterwards.

    Args:
        store: path of the store.
        request: see `Supervision`; besides `new` and `path`, and `cap` in bytes. With `answer_state` it is
            waited for until the command is spawned, or for a slot.
        fds: descriptors that go with it: `stdin`, which the command gets, and `lifeline`, a pipe
            whose end ends the run.

    Returns:
        Its first state, if it was requested and there was one.

    Raises:
        SupervisorLost: no supervisor could be had for it; nothing was started.
        OSError: the disk is full.
    """
    _check_room(store)
    try:
        return _launch(store, request, fds)
    except OSError as error:
        short = shortage(error)
        if short is None or error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _lost(request, short) from None


def _lost(request: dict[str, Any], short: Shortage) -> SupervisorLost:
    return SupervisorLost(
        f"expected a supervisor for run {request['id']}, none can be started: {short.what}: {short.advice}"
    )


def _launch(store: str, request: dict[str, Any], fds: dict[str, int]) -> dict[str, Any]:
    message = pack_request(request | {"fds": list(fds)})
    name = f".supervisors/{_context()}"
    path = f"{store}/{name}"
    deadline = time.monotonic() + _START_SECONDS
    hung_up = 0  # forkservers that left us without an answer: the next may die of the same
    while time.monotonic() < deadline and hung_up < _MOST_HUNG_UP:
        try:
            connection = connect_path(path, _ANSWER_SECONDS)
        except (FileNotFoundError, ConnectionRefusedError):
            if _run_python(f"from runcast.supervisor.forkserver import main; main({store!r}, {name!r})"):
                break
            continue
        except OSError:
            break
        with connection:
            if (answer := _hand_over(connection, message, list(fds.values()), request)) is not None:
                return answer
        hung_up += 1
        if not os.path.isdir(request["new"]):  # taken; its supervisor has died since, and the run is lost
            return {}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        _run_python(
            f"from runcast.supervisor.detached import main; main({theirs.fileno()})",
            (theirs.fileno(),),
        )
        theirs.close()
        ours.settimeout(_ANSWER_SECONDS)
        if (answer := _hand_over(ours, message, list(fds.values()), request)) is not None:
            return answer
        if not os.path.isdir(request["new"]):
            return {}
    errors = f"{store}/.supervisors/errors.log"
    why = f": {errors} may say why" if os.path.exists(errors) else _files_hint()
    raise SupervisorLost(
        f"expected a supervisor for run {request['id']}, none could be started with {interpreter()!r}{why}"
    )


def _files_hint() -> str:
    """Return what keeps an interpreter from starting where it may open too few files to say so itself."""
    files = (descriptors.before() or resource.getrlimit(resource.RLIMIT_NOFILE))[0]
    return f": {TOO_MANY_FILES.what}: {TOO_MANY_FILES.advice}" if files < _FEW_FILES else ""


def _hand_over(
    connection: socket.socket, message: bytes, fds: list[int], request: dict[str, Any]
) -> dict[str, Any] | None:
    """Send the request; return the state in the answer, None if it was not acted upon."""
    try:
        sent = socket.send_fds(connection, [message], fds) if fds else 0
        connection.sendall(message[sent:])
        answer = connection.recv(4096)
    except TimeoutError:
        if request.get("answer_state") and not os.path.isdir(request["new"]):
            return {}  # it was taken, and its command is spawned no sooner
        raise SupervisorLost(
            f"expected an answer within {_ANSWER_SECONDS:.0f} s, no supervisor gave one: perhaps there are "
            f"{TOO_MANY_PROCESSES.what}: {TOO_MANY_PROCESSES.advice}"
        ) from None
    except OSError:
        return None
    if not answer.startswith(b'{"ok"'):
        return None
    state: dict[str, Any] = json.loads(answer).get("state") or {}
    return state

"""A detached supervisor: takes requests to start runs, one after the other, and supervises each.

Owns what only a process of its own can do: being a subreaper, taking SIGCHLD, holding the lock.
When a run is over and nothing of it is left, the process is as good as new and takes the next
one: forking another would cost more than the rest of a short run. Ends when the forkserver says
so or is gone. Also runs once, without a forkserver, where there can be none (`main`).
"""

from __future__ import annotations

import _thread
import array
import contextlib
import errno
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from runcast.log import CAP_BYTES, FileLogWriter, RunDirectory
from runcast.shortages import shortage
from runcast.supervisor.control import REQUEST_LENGTH, listen_path
from runcast.supervisor.oom import OomWatch
from runcast.supervisor.supervise import Supervision
from runcast.supervisor.tree import become_subreaper
from runcast.sysio import create

__all__ = ["ASKS_ROOM", "GO", "IDLE", "NO_ROOM", "ROOM", "main", "serve"]

# What a supervisor and its forkserver tell each other; anything else is the folder of a run.
IDLE, ASKS_ROOM = "idle", "full"
GO, ROOM, NO_ROOM = b"go", b"room", b"none"
_ROOM_SECONDS = 2.0  # for the forkserver to give up one of its others
_REQUEST_BYTES = 32 * 1024  # most requests at once: an environment is some KiB
_ERRORS_BYTES = 256 * 1024
_FDS = 2  # a request brings at most its stdin and a lifeline


class _Removed(Exception):
    """Somebody removed the folder of a run that went on, which was stopped therefore."""


def _receive(connection: socket.socket) -> tuple[dict[str, Any], dict[str, int]]:
    """Return a request and the descriptors that came with it, by the names it gives them.

    Raises:
        EOFError: the other side left in the middle.
    """
    space = socket.CMSG_LEN(_FDS * array.array("i").itemsize)
    data, ancillary, _flags, _address = connection.recvmsg(_REQUEST_BYTES, space)
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    for fd in fds:
        os.set_inheritable(fd, False)
    while (
        len(data) < REQUEST_LENGTH.size
        or len(data) < REQUEST_LENGTH.size + REQUEST_LENGTH.unpack_from(data)[0]
    ):
        more = connection.recv(1024 * 1024)
        if not more:
            for fd in fds:
                os.close(fd)
            raise EOFError("the request is not whole")
        data += more
    try:
        value: dict[str, Any] = json.loads(data[REQUEST_LENGTH.size :])
        return value, dict(zip(value["fds"], fds, strict=True))
    except (ValueError, KeyError, TypeError) as error:
        for fd in fds:
            os.close(fd)
        raise EOFError(f"expected a request, got {data[:80]!r}") from error


def _supervise(
    connection: socket.socket,
    request: dict[str, Any],
    fds: dict[str, int],
    exits: int,
    oom: OomWatch,
    taken: Callable[[str], object] = lambda path: None,
    orphaned: tuple[int, Callable[[], object]] | None = None,
    make_room: Callable[[], bool] = lambda: False,
) -> None:
    """Take the run that a connection asks for, answer, start it and stay with it until it is over.

    The answer goes out as soon as the run is there for everybody: who asked can begin to follow
    while the command is started, and a command that cannot be is a run all the same. `orphaned`
    is a descriptor to hear while the run goes on, and what to do then.
    """
    lifeline = fds.get("lifeline")
    directory = RunDirectory(request["new"])
    try:
        if not directory.acquire():
            connection.sendall(b'{"error": "its lock is held by another process"}\n')
            return
        os.rename(request["new"], request["path"])
        directory = directory.moved(request["path"])
        with contextlib.suppress(OSError):  # who asked may be dead by now; the run is not
            connection.sendall(b'{"ok": true}\n')
            connection.close()
        log = FileLogWriter(directory, cap_bytes=request.get("cap", CAP_BYTES))

        def sync() -> None:
            try:
                _thread.start_new_thread(log.sync, ())  # the disk may take its time, the pipes may not
            except RuntimeError:  # the run met its limit of processes: then the pipes wait
                log.sync()

        run = Supervision(
            request,
            log,
            directory.write_state,
            exits,
            sync,
            directory.watched,
            lambda: directory.removed,
            oom,
            make_room,
        )
        pid = run.start(fds.pop("stdin", None))
        if pid is None:
            return
        taken(request["path"])
        with contextlib.suppress(OSError):  # a file system without sockets: the run cannot be stopped by us
            run.listen(listen_path(directory.supervisor_path))
        if lifeline is not None:
            run.depend_on(lifeline)
        if orphaned is not None:
            run.hear(*orphaned)
        directory.reserve_outcome()
        try:
            run.run()
        except FileNotFoundError:
            if os.path.isdir(directory.path):
                raise
            # There is no place for an outcome, and who follows the run sees that it is gone.
            raise _Removed(f"run {request['id']}: its folder was removed while it went on: stopped") from None
        with contextlib.suppress(OSError):
            os.unlink(directory.supervisor_path)
    except _Removed:
        raise
    except OSError as error:
        directory.leave_word(error)
        raise
    finally:
        for fd in fds.values():
            os.close(fd)


def prepare() -> int:
    """Make this process a supervisor; return a descriptor that is readable when a child may have ended."""
    os.setsid()
    become_subreaper()
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(
            number, signal.SIG_IGN
        )  # it ends with its run; nothing less than SIGKILL ends it before
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _fresh() -> bool:
    """Whether nothing of the last run is left and another may be taken."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
        return False
    return resource.getrlimit(resource.RLIMIT_CPU)[0] == resource.RLIM_INFINITY


def serve(listener: socket.socket, parent: socket.socket, log_path: str) -> None:
    """Take runs from a listening socket, as other supervisors do, until the parent has enough of us."""
    exits, oom = prepare(), OomWatch()
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)  # one connection wakes one of us
    poll.register(parent, select.EPOLLIN)

    def tell(path: str) -> None:
        with contextlib.suppress(OSError):  # the parent is dead; the run is not
            parent.send(os.fsencode(path))

    def make_room() -> bool:
        with contextlib.suppress(OSError):
            parent.send(ASKS_ROOM.encode())
            asked = select.poll()
            asked.register(parent, select.POLLIN)
            if asked.poll(_ROOM_SECONDS * 1000) and parent.recv(16, socket.MSG_PEEK) != GO:  # heeded later
                return parent.recv(16) == ROOM
        return False

    while True:
        ready = {fd for fd, _ in poll.poll()}
        if parent.fileno() in ready:
            return
        try:
            connection = listener.accept()[0]
        except OSError as error:
            if shortage(error) is not None and error.errno != errno.EAGAIN:
                return  # no descriptor for it: to look again would be a loop without end
            continue  # another one was faster, or who asked is gone
        with connection:
            connection.setblocking(True)
            connection.settimeout(10.0)
            try:
                request, fds = _receive(connection)
            except (EOFError, TimeoutError, ConnectionError):  # who asked is gone, or no client of ours
                continue
            # A socket that we alone still listen at would keep who connects waiting for our run's end.
            orphaned = parent.fileno(), listener.close
            with _noting_errors(log_path):
                _supervise(connection, request, fds, exits, oom, tell, orphaned, make_room)
        os.chdir("/")  # the run's folder is not ours to keep busy
        if not _fresh():
            return
        try:
            parent.send(IDLE.encode())
        except OSError:
            return


@contextlib.contextmanager
def _noting_errors(path: str) -> Iterator[None]:
    """Write down what went wrong with a supervisor, which has no terminal to say it on."""
    try:
        yield
    except _Removed as error:
        with contextlib.suppress(OSError):  # the store may be removed as well
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            os.write(fd, f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {error}\n".encode())
            os.close(fd)
    except Exception:
        fd = create(path, os.O_WRONLY | os.O_APPEND)
        with open(fd, "w") as file:
            if file.tell() < _ERRORS_BYTES:
                import traceback  # a tenth of a supervisor's memory, for what never happens

                traceback.print_exc(file=file)
        raise


def main(fd: int) -> None:
    """Supervise the one run that is asked for on a connected socket, and end."""
    if os.fork():
        os._exit(0)  # who started us waits for this, and never has a zombie of us
    with socket.socket(fileno=fd) as connection:
        connection.settimeout(10.0)
        with contextlib.suppress(_Removed):
            _supervise(connection, *_receive(connection), prepare(), OomWatch())
    sys.exit(0)

"""A detached supervisor: takes requests to start runs, one after the other, and supervises each.

Owns what only a process of its own can do: being a subreaper, taking SIGCHLD, holding the lock.
When a run is over and nothing of it is left, the process is as good as new and takes the next
one: forking another would cost more than the rest of a short run. Ends when the forkserver says
so or is gone. Also runs once, without a forkserver, where there can be none (`main`).
"""

from __future__ import annotations

import _socket
import array
import contextlib
import errno
import json
import os
import resource
import select
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from runcast.shortages import shortage
from runcast.store.run_files import RunFiles
from runcast.supervisor.control import REQUEST_LENGTH, UnixSocket, accept
from runcast.supervisor.end_hooks import begin_hooks, hooks_of
from runcast.supervisor.masked import masks_in
from runcast.supervisor.oom import Group, own_group
from runcast.supervisor.prepared import Prepared
from runcast.supervisor.supervise import Supervision
from runcast.sysio.files import DIR_MODE, create

__all__ = ["GO", "IDLE", "LEAVES", "LET_GO", "NEEDS_ROOM", "NO_ROOM", "ROOM", "main", "serve"]

# The messages between a supervisor and its forkserver; anything else is the folder of a run.
IDLE, NEEDS_ROOM, LEAVES = "idle", "full", "leaves"
GO, ROOM, NO_ROOM, LET_GO = b"go", b"room", b"none", b"bye"
_ANSWER_SECONDS = 2.0  # for the forkserver: to give up one of its others, to let one go
_REQUEST_BYTES = 32 * 1024  # most requests at once: an environment is some KiB
_ERRORS_BYTES = 256 * 1024
_FD_BYTES = array.array("i").itemsize
_FDS_BYTES = _socket.CMSG_LEN(2 * _FD_BYTES)  # a request brings at most `stdin` and `lifeline`


class _Removed(Exception):
    """The folder of a run was removed while it went on, and so the run was stopped."""


def _receive(connection: UnixSocket) -> tuple[dict[str, Any], dict[str, int]]:
    """Return a request and the descriptors that came with it, by the names it gives them.

    Raises:
        EOFError: the other side left in the middle.
    """
    data, ancillary, _flags, _address = connection.recvmsg(_REQUEST_BYTES, _FDS_BYTES)
    fds: list[int] = []
    for level, kind, payload in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            fds += array.array("i", payload[: len(payload) - len(payload) % _FD_BYTES])
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
        value: dict[str, Any] = json.loads(data[REQUEST_LENGTH.size :].decode())
        return value, dict(zip(value["fds"], fds, strict=True))
    except (ValueError, KeyError, TypeError) as error:
        for fd in fds:
            os.close(fd)
        raise EOFError(f"expected a request, got {data[:80]!r}") from error


def _supervise(
    connection: UnixSocket,
    request: dict[str, Any],
    fds: dict[str, int],
    prepared: Prepared,
    taken: Callable[[str], object] = lambda path: None,
    orphaned: tuple[int, Callable[[], object]] | None = None,
) -> None:
    """Take the run of a request, answer, and supervise it until it is over.

    The reply is sent as soon as the run is visible to all: the client can begin to follow while the
    command is spawned, and a command that cannot be spawned is a run all the same. A client that waits for
    its first state (`answer_state`) gets it in the reply, and need not look for it. `orphaned` is a
    descriptor to watch while the run goes on, and what to call when it is readable or hung up.
    """

    waits = True  # the client, for its answer

    def answer(**more: Any) -> None:
        nonlocal waits
        if waits:
            waits = False
            try:
                connection.sendall(json.dumps({"ok": True, **more}).encode() + b"\n")
                connection.close()
            except OSError:  # the client may be dead by now; the run is not
                pass

    directory = RunFiles(request["new"])
    try:
        if not directory.acquire():
            connection.sendall(b'{"error": "its lock is held by another process"}\n')
            return
        directory = directory.publish(request["path"])
        if not request.get("answer_state"):
            answer()
        run = Supervision(request, directory, fds, prepared)
        run.on_state = lambda state: answer(state=state)
        if orphaned is not None:
            run.hear_once(*orphaned)
        try:
            run.run(lambda: taken(request["path"]))
            answer()  # if it had no state
            if hooks := hooks_of(request):
                begin_hooks(directory.locate().path, hooks)
        except FileNotFoundError:
            if directory.locate().exists:
                raise
            # There is no place for an outcome, and followers see that the run is gone.
            raise _Removed(f"run {request['id']}: its folder was removed while it went on: stopped") from None
    except _Removed as error:
        _note(directory, f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {error}\n")
        raise
    except Exception as error:
        if isinstance(error, OSError):
            directory.note_write_error(error)  # which needs no descriptor, as what follows does
        with contextlib.suppress(OSError, ImportError):
            import traceback  # a tenth of a supervisor's memory, for what never happens

            text = traceback.format_exc()
            masks = masks_in(request)
            _note(directory, text if masks is None else masks.text(text))
        raise
    finally:
        for fd in fds.values():
            os.close(fd)


def _note(directory: RunFiles, text: str) -> None:
    """Append to errors.log what went wrong: a supervisor has no terminal to print it to."""
    with contextlib.suppress(OSError):  # the store may be removed as well
        folder = f"{os.path.dirname(directory.locate().path)}/.supervisors"
        with contextlib.suppress(FileExistsError):  # there may never have been a forkserver
            os.mkdir(folder, DIR_MODE)
        with open(create(f"{folder}/errors.log", os.O_WRONLY | os.O_APPEND), "a") as file:
            if file.tell() < _ERRORS_BYTES:
                file.write(text)


def _fresh() -> bool:
    """Whether nothing of the last run is left and another may be taken."""
    try:
        os.waitpid(-1, os.WNOHANG)
        return False
    except ChildProcessError:
        pass
    return resource.getrlimit(resource.RLIMIT_CPU)[0] == resource.RLIM_INFINITY


def _sign_off(parent: socket.socket) -> None:
    """Keep the forkserver from killing what the run has left, a daemon perhaps, as that of a lost run."""
    with contextlib.suppress(OSError):
        parent.settimeout(_ANSWER_SECONDS)
        parent.send(LEAVES.encode())
        while parent.recv(16) not in (LET_GO, b""):
            continue  # an earlier message that was not waited for


def serve(listener: UnixSocket, parent: socket.socket, group: Group) -> None:
    """Take runs from a listening socket, beside other supervisors, until the parent ends this one."""
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)  # one connection wakes one of us
    poll.register(parent, select.EPOLLIN)

    def publish(path: str) -> None:
        try:
            parent.send(os.fsencode(path))
        except OSError:  # the parent is dead; the run is not
            pass

    def make_room() -> bool:
        with contextlib.suppress(OSError):
            parent.send(NEEDS_ROOM.encode())
            answered = select.poll()
            answered.register(parent, select.POLLIN)
            # GO is left for the main loop.
            if answered.poll(_ANSWER_SECONDS * 1000) and parent.recv(16, socket.MSG_PEEK) != GO:
                return parent.recv(16) == ROOM
        return False

    prepared = Prepared(group, make_room)
    prepared.refill()
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if parent.fileno() in ready:
            return
        try:
            connection = accept(listener)
        except OSError as error:
            if shortage(error) is not None and error.errno != errno.EAGAIN:
                return  # no descriptor for it: to look again would be a loop without end
            continue  # another supervisor was faster, or the client is gone
        try:
            connection.settimeout(10.0)
            try:
                request, fds = _receive(connection)
            except (EOFError, TimeoutError, ConnectionError):  # the client is gone, or not runcast
                continue
            # If this process alone still listened, a connection would wait for the end of this run.
            orphaned = parent.fileno(), listener.close
            _supervise(connection, request, fds, prepared, publish, orphaned)
        finally:
            connection.close()
        prepared.refill()
        os.chdir("/")  # the run's file system must not stay busy because of us
        if not _fresh():
            _sign_off(parent)
            return
        try:
            parent.send(IDLE.encode())
        except OSError:
            return


def main(fd: int) -> None:
    """Supervise the one run that a connected socket requests, and end."""
    if os.fork():
        os._exit(0)  # the client waits for this one, so the supervisor never becomes its zombie
    with socket.socket(fileno=fd) as connection:
        connection.settimeout(10.0)
        with contextlib.suppress(_Removed):
            _supervise(connection, *_receive(connection), Prepared(own_group()))
    sys.exit(0)

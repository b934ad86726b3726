"""What is wanted of runs elsewhere, by processes of this host; and of this host's runs, by others.

Owns the agent's socket. Readers say which runs they want. What is meant for a mirror's run (stop, signal,
stdin, …) is passed to its host, at most once, and answered when that has answered; there the agent passes
it to the run's own socket. Nothing here starts a run. An answer that takes long, since a program
does not read its stdin, comes as a request of the other host.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from runcast.agent.claims import Claims
from runcast.agent.connection import Connection
from runcast.agent.hosts import Hosts
from runcast.agent.mirrors import Mirrors
from runcast.errors import Late, LinkDown, LinkError, NoHost
from runcast.ids import is_run_id
from runcast.json_objects import parse_object
from runcast.link import Ask, Reply
from runcast.store.mirrors import agent_socket
from runcast.store.run_files import RunFiles
from runcast.supervisor.control import ControlConnection, accept, connect_path, listen_path

__all__ = ["Control"]

_ASK_SECONDS = 4.0  # for another host to answer: those who ask wait for 5
_PENDING_SECONDS = 3.0  # … after which it says that the answer comes later
_PART_BYTES = 32 * 1024  # of stdin: what is sent has a head
_CONNECT_SECONDS = 0.2
_OPERATIONS: Final = frozenset({"stop", "signal", "stdin", "resize", "want", "watched"})
_EARLY = 64
_WATCHED_SECONDS = 2.0
_LOOK_THERE: Final = "look there whether it was done"


class _Client:
    """A connection of a process of this host."""

    def __init__(self, connection: ControlConnection) -> None:
        self.connection = connection
        self.queue: deque[tuple[dict[str, Any], bytes]] = deque()
        self.waits = False


class _Later(NamedTuple):
    """A request whose answer comes later, and what of its data is still to be sent."""

    client: _Client
    host: str
    request: dict[str, Any]
    rest: bytes


class _Passed:
    """What another host wants of a run, on its way to the run."""

    def __init__(self, connection: socket.socket, ask: Ask, host: str, mark: str) -> None:
        self.connection, self.ask, self.host, self.mark = connection, ask, host, mark
        self.data = b""
        self.pending_at: float | None = time.monotonic() + _PENDING_SECONDS


class Control:
    """Serves the agent's socket.

    Args:
        connection: the link.
        store: the folder.
        hosts: those of the link.
        mirrors: what is wanted goes there.
        claims: of keys.

    Attributes:
        heard: when somebody wanted something last, in monotonic seconds.
        on_want: called with the run and the segment that a reader wants.
    """

    def __init__(
        self, connection: Connection, store: str, hosts: Hosts, mirrors: Mirrors, claims: Claims
    ) -> None:
        self._connection, self._store, self._hosts, self._mirrors = connection, store, hosts, mirrors
        self._claims = claims
        self.heard = time.monotonic()
        self.on_want: Callable[[str, object], object] = lambda run_id, start: None
        self._path = agent_socket(store)
        with contextlib.suppress(FileNotFoundError):  # of one that was killed
            os.unlink(self._path)
        self._listener = listen_path(self._path, backlog=128)
        self._clients: dict[int, _Client] = {}
        self._passed: dict[int, _Passed] = {}
        self._later: dict[str, _Later] = {}  # what the answers that come later are to
        self._early: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_EARLY)  # that came sooner than that
        self._marks = 0
        self._watched: dict[str, int] = {}  # when viewers of mirrors were there last
        self._look_at = 0.0
        self._list_waits: list[_Client] = []
        mirrors.on_listed = self._answer_listed

    @property
    def busy(self) -> bool:
        """Whether an answer is to come."""
        return bool(self._passed or self._later)

    def descriptors(self) -> dict[int, int]:
        """Return what to poll."""
        return dict.fromkeys([self._listener.fileno(), *self._clients, *self._passed], select.POLLIN)

    def due(self) -> float | None:
        """Return when the next turn is due, in monotonic seconds."""
        times = [one.pending_at for one in self._passed.values() if one.pending_at is not None]
        return min(times, default=None)

    def close(self) -> None:
        """Close all of it."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        self._listener.close()
        for client in self._clients.values():
            client.connection.socket.close()
        for passed in self._passed.values():
            passed.connection.close()

    def ready(self, fd: int) -> None:
        """Take what has come at a descriptor."""
        if fd == self._listener.fileno():
            with contextlib.suppress(OSError):
                accepted = ControlConnection(accept(self._listener))
                self._clients[accepted.socket.fileno()] = _Client(accepted)
        elif fd in self._clients:
            self._receive(self._clients[fd])
        elif fd in self._passed:
            self._answered(self._passed[fd])

    def turn(self, now: float) -> None:
        """Say which answers come later; end waiting for those of hosts that are gone."""
        for passed in list(self._passed.values()):
            if passed.pending_at is not None and now >= passed.pending_at:
                passed.pending_at = None
                self._answer(passed.ask, {"later": passed.mark})
        for mark, later in list(self._later.items()):
            if later.host in self._hosts.silent:
                del self._later[mark]
                self._reply(later.client, _unreachable(f"host {later.host} is silent: {_LOOK_THERE}"))
        if now >= self._look_at and self._connection.up:
            self._look_at = now + _WATCHED_SECONDS
            self._look_at_mirrors()

    def _look_at_mirrors(self) -> None:
        """Have the hosts of mirrors know that viewers are here, and people here which hosts are silent."""
        watched = {one.id: one.watched() for one in self._mirrors.runs.values() if one.active}
        for run_id, when in watched.items():
            if when != self._watched.get(run_id, 0):
                self._pass_on(self._mirrors.runs[run_id].host, {"op": "watched", "run": run_id}, b"")
        self._watched = watched
        self._hosts.note_silent(one.host for one in self._mirrors.runs.values() if not one.ended)

    def rejoin(self) -> None:
        """Take what others wanted while the link was down."""
        self.take_asks()

    # Processes of this host

    def _receive(self, client: _Client) -> None:
        requests = client.connection.receive()
        if requests is None:
            self._clients.pop(client.connection.socket.fileno(), None)
            client.connection.socket.close()
            return
        self.heard = time.monotonic()
        client.queue += requests
        self._next(client)

    def _next(self, client: _Client) -> None:
        while client.queue and not client.waits:
            request, data = client.queue.popleft()
            answer = self._handle(client, request, data)
            if request.get("answer", True) and answer is not None:
                client.connection.answer(**answer)

    def _handle(self, client: _Client, request: dict[str, Any], data: bytes) -> dict[str, Any] | None:
        """Carry out a request; return the answer, or None if it comes later."""
        operation, run_id = request.get("op"), str(request.get("run"))
        if operation == "look":
            self._mirrors.looked = self.heard
            if not request.get("answer", True) or self._mirrors.listed:
                return {"ok": True}
            client.waits = True
            self._list_waits.append(client)
            return None
        if operation == "claim" and is_run_id(run_id):
            client.waits = True
            self._claims.claim(run_id, str(request.get("key")), partial(self._reply, client))
            return None
        mirror = self._mirrors.runs.get(run_id)
        if operation == "want":
            self._mirrors.want(run_id, self.heard)
            self.on_want(run_id, request.get("offset"))
            if mirror is not None and not mirror.ended:
                self._pass_on(mirror.host, request | {"answer": False}, b"")
            return {"ok": True}
        if mirror is None or mirror.ended:
            return {"error": "it has ended"}
        if operation not in _OPERATIONS:
            return {"error": f"expected op {', '.join(sorted(_OPERATIONS))}, got {operation!r}"}
        if not self._connection.up:
            return _unreachable(f"its host {mirror.host} cannot be reached: the link is down")
        client.waits = True
        self._send(client, mirror.host, request, data)
        return None

    def _answer_listed(self) -> None:
        waiting, self._list_waits = self._list_waits, []
        for client in waiting:
            self._reply(client, {"ok": True})

    def _send(self, client: _Client, host: str, request: dict[str, Any], data: bytes) -> None:
        """Send a request, of stdin a part, and the next one when that is done."""
        part, rest = data[:_PART_BYTES], data[_PART_BYTES:]
        sent = request
        if request.get("op") == "stdin":
            sent = request | {"bytes": len(part), "eof": bool(request.get("eof")) and not rest}
        reply = self._pass_on(host, sent, part)
        reply.then(partial(self._was_sent, client, host, request, rest))

    def _pass_on(self, host: str, request: dict[str, Any], data: bytes) -> Reply[bytes]:
        head = json.dumps(request | {"host": self._hosts.name}).encode()
        return self._connection.link.ask(host, head + b"\n" + data, _ASK_SECONDS)

    def _was_sent(
        self, client: _Client, host: str, request: dict[str, Any], rest: bytes, reply: Reply[bytes]
    ) -> None:
        try:
            answer = parse_object(reply.result())
        except (NoHost, Late):
            answer = _unreachable(f"host {host} does not answer: {_LOOK_THERE}")
        except LinkError as error:
            if isinstance(error, LinkDown):
                self._connection.lost(error)
            answer = _unreachable(f"host {host} cannot be reached: {error}")
        except ValueError as error:
            answer = {"error": str(error)}
        later = _Later(client, host, request, rest)
        if "later" not in answer:
            return self._finish(later, answer)
        mark = str(answer["later"])
        self._later[mark] = later
        for known, early in list(self._early):
            if known == mark:
                self._finish(self._later.pop(mark), early)

    def _finish(self, later: _Later, answer: dict[str, Any]) -> None:
        if later.rest and "error" not in answer:
            self._send(later.client, later.host, later.request, later.rest)
        else:
            self._reply(later.client, answer)

    def _reply(self, client: _Client, answer: dict[str, Any]) -> None:
        client.waits = False
        client.connection.answer(**answer)
        self._next(client)  # or none: it may have left

    # Other hosts

    def take_asks(self) -> None:
        """Take what other hosts want of this one."""
        self._connection.link.asks().then(self._take)

    def _take(self, reply: Reply[Any]) -> None:
        try:
            asks = reply.result()
        except LinkError as error:
            if isinstance(error, LinkDown):
                self._connection.lost(error)
            return
        for ask in asks:
            head, _, data = ask.request.partition(b"\n")
            try:
                request = parse_object(head)
                self._do(ask, request, data)
            except (OSError, ValueError) as error:
                self._answer(ask, {"error": f"it cannot be done: {error}"})
        if asks:
            self.take_asks()

    def _do(self, ask: Ask, request: dict[str, Any], data: bytes) -> None:
        host = str(request.pop("host", ""))
        if request.get("op") == "answered":
            self._answer(ask, {"ok": True})
            mark, reply = str(request.get("mark")), request.get("reply")
            answer = reply if isinstance(reply, dict) else {}
            if (later := self._later.pop(mark, None)) is not None:
                self._finish(later, answer)
            else:
                self._early.append((mark, answer))
            return
        run_id = str(request.get("run"))
        files = RunFiles(f"{self._store}/{run_id}")
        if not is_run_id(run_id) or not files.exists or files.mirror_of is not None:
            return self._answer(ask, {"error": "it is not there any more"})
        if request.get("op") not in _OPERATIONS:
            return self._answer(ask, {"error": f"expected an operation on a run, got {request.get('op')!r}"})
        if request["op"] == "watched":
            files.touch_watched()
            return self._answer(ask, {"ok": True})
        if files.ended:
            return self._answer(ask, {"error": "it has ended"})
        connection = connect_path(files.control_path, _CONNECT_SECONDS)
        try:
            connection.sendall(json.dumps(request).encode() + b"\n" + data)
        except BaseException:
            connection.close()
            raise
        if request.get("answer", True) is False:
            connection.close()
            return self._answer(ask, {"ok": True})
        connection.setblocking(False)
        self._marks += 1
        mark = f"{self._hosts.name} {time.time_ns()} {self._marks}"
        self._passed[connection.fileno()] = _Passed(connection, ask, host, mark)

    def _answered(self, passed: _Passed) -> None:
        """Take the answer of one of this host's runs."""
        try:
            data = passed.connection.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        passed.data += data
        if data and b"\n" not in passed.data:
            return
        del self._passed[passed.connection.fileno()]
        passed.connection.close()
        answer: dict[str, Any] = {"error": "it has ended"}
        with contextlib.suppress(ValueError):
            answer = parse_object(passed.data)
        if passed.pending_at is not None:
            self._answer(passed.ask, answer)
        elif self._connection.up:
            self._pass_on(passed.host, {"op": "answered", "mark": passed.mark, "reply": answer}, b"")

    def _answer(self, ask: Ask, answer: dict[str, Any]) -> None:
        if self._connection.up:
            self._connection.link.answer(ask, json.dumps(answer).encode())


def _unreachable(message: str) -> dict[str, Any]:
    return {"error": message, "unreachable": True}

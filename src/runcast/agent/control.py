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
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from runcast.agent.claims import Claims
from runcast.agent.clients import (
    FULL_SECONDS,
    LOOK_THERE,
    NO_DESCRIPTOR,
    Client,
    Later,
    Passed,
    ask_seconds,
    unreachable,
)
from runcast.agent.connection import Connection
from runcast.agent.hosts import Hosts
from runcast.agent.kept_files import piece_of
from runcast.agent.later import UNDER_WAY, LaterAnswers
from runcast.agent.mirrors import Mirrors
from runcast.agent.names import HERE, ON_HOST, Names
from runcast.agent.rounds import Rounds
from runcast.errors import Late, LinkDown, LinkError, NoHost
from runcast.ids import is_run_id
from runcast.json_objects import parse_object
from runcast.link import Ask, Reply
from runcast.store.mirrors import agent_socket
from runcast.store.run_files import RunFiles
from runcast.supervisor.control import ControlConnection, accept, connect_path, listen_path

__all__ = ["Control"]

_PART_BYTES = 32 * 1024  # of stdin: what is sent has a head
_CONNECT_SECONDS = 0.2
_DOWN_SECONDS = 1.0  # for an engine that neither takes nor refuses a connection
_BACKLOG = 256  # connections that wait: a reader of many runs has one for each that it wants
_OPERATIONS: Final = frozenset({"stop", "signal", "stdin", "resize", "want", "watched"})
_WATCHED_SECONDS = 2.0


class Control:
    """Serves the agent's socket.

    Args:
        connection: the link.
        store: the folder.
        hosts: those of the link.
        mirrors: what is wanted goes there.
        claims: of keys.
        names: what is shared beside runs.

    Attributes:
        heard: when somebody wanted something last, in monotonic seconds.
        on_want: called with the run and the segment that a reader wants.
        on_file: called with the run and the number of the file that one wants; returns the answer.
    """

    def __init__(
        self,
        connection: Connection,
        store: str,
        hosts: Hosts,
        mirrors: Mirrors,
        claims: Claims,
        names: Names,
    ) -> None:
        self._connection, self._store, self._hosts, self._mirrors = connection, store, hosts, mirrors
        self._claims, self.names = claims, names
        names.pass_on = lambda host, request: self._pass_on(host, request, b"")
        self.heard = time.monotonic()
        self.unshipped: Callable[[], int] = int  # returns the bytes that the link has not acknowledged
        self.on_want: Callable[[str, object], object] = lambda run_id, start: None
        self.on_file: Callable[[str, object], dict[str, Any]] = lambda run_id, number: {}
        self._path = agent_socket(store)
        with contextlib.suppress(FileNotFoundError):  # of one that was killed
            os.unlink(self._path)
        self._listener = listen_path(self._path, backlog=_BACKLOG)
        self._listener.setblocking(False)
        self._full_until = 0.0
        self._clients: dict[int, Client] = {}
        self._passed: dict[int, Passed] = {}
        self._later = LaterAnswers(self.ask, self._finish)
        self._marks = 0
        self._rounds = Rounds(_WATCHED_SECONDS)
        self._look_at = 0.0
        self._silent: set[str] = set()  # hosts, at the last look
        self._list_waits: dict[Client, tuple[int, float]] = {}  # failures of the link before; until when
        mirrors.on_listed = self._answer_listed

    @property
    def busy(self) -> bool:
        """Whether an answer is to come."""
        return bool(self._passed) or self._later.busy

    def descriptors(self) -> dict[int, int]:
        """Return what to poll."""
        listener = [self._listener.fileno()] if time.monotonic() >= self._full_until else []
        return dict.fromkeys([*listener, *self._clients, *self._passed], select.POLLIN)

    def due(self) -> float | None:
        """Return when the next turn is due, in monotonic seconds."""
        times = [one.pending_at for one in self._passed.values() if one.pending_at is not None]
        if not self._connection.up:
            times += [until for _, until in self._list_waits.values()]
        return min(times, default=None)

    def stop_listening(self) -> None:
        """Take no more connections. What is under way goes on."""
        if self._listener.fileno() >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            self._listener.close()

    def close(self) -> None:
        """Close all of it."""
        self.stop_listening()
        for client in self._clients.values():
            client.connection.socket.close()
        for passed in self._passed.values():
            passed.connection.close()

    def ready(self, fd: int) -> None:
        """Take what has come at a descriptor."""
        if fd == self._listener.fileno():
            try:
                for _ in range(_BACKLOG):
                    accepted = ControlConnection(accept(self._listener))
                    self._clients[accepted.socket.fileno()] = Client(accepted)
            except OSError as error:  # no more of them, or none can be had
                if error.errno in NO_DESCRIPTOR:
                    self._full_until = time.monotonic() + FULL_SECONDS
        elif fd in self._clients:
            self._receive(self._clients[fd])
        elif fd in self._passed:
            self._answered(self._passed[fd])

    def turn(self, now: float) -> None:
        """Say which answers come later; end waiting for those of hosts that are gone."""
        self._give_up_lists(now)
        for passed in list(self._passed.values()):
            if passed.pending_at is not None and now >= passed.pending_at:
                passed.pending_at = None
                self._answer(passed.ask, {"later": passed.mark})
        self._later.turn(now, self._hosts.silent, up=self._connection.up)
        silent = set(self._hosts.silent)
        if (now >= self._look_at or silent != self._silent) and self._connection.up:
            self._silent, self._look_at = silent, now + _WATCHED_SECONDS
            self._hosts.note_silent(one.host for one in self._mirrors.runs.values() if not one.ended)
        if self._connection.up:
            self._look_at_mirrors(now)

    def _look_at_mirrors(self, now: float) -> None:
        """Have the hosts of mirrors know that viewers are here."""
        for run_id in self._rounds.take(now, self._mirrors.runs):
            one = self._mirrors.runs.get(run_id)
            if one is not None and one.active and one.is_watched_anew():
                self._pass_on(one.host, {"op": "watched", "run": run_id}, b"")

    def rejoin(self) -> None:
        """Take what others wanted while the link was down."""
        self.take_asks()

    # Processes of this host

    def _receive(self, client: Client) -> None:
        requests = client.connection.receive()
        if requests is None:
            self._clients.pop(client.connection.socket.fileno(), None)
            client.connection.socket.close()
            self._later.left(client)
            return
        self.heard = time.monotonic()
        client.queue += requests
        self._next(client)

    def _next(self, client: Client) -> None:
        while client.queue and not client.waits:
            request, data = client.queue.popleft()
            answer = self._handle(client, request, data)
            if request.get("answer", True) and answer is not None:
                client.connection.answer(**answer)

    def _handle(self, client: Client, request: dict[str, Any], data: bytes) -> dict[str, Any] | None:
        """Carry out a request; return the answer, or None if it comes later."""
        operation, run_id = request.get("op"), str(request.get("run"))
        if operation == "look":
            self._mirrors.look(self.heard, anew=bool(request.get("answer", True)))
            if not request.get("answer", True):
                return {"ok": True}
            self._connection.try_soon()
            client.waits = True
            self._list_waits[client] = self._connection.failures, self.heard + _DOWN_SECONDS
            return None
        if operation == "status":
            up, soon = self._connection.up, self._connection.soon
            return {"ok": True, "up": up, "again": soon and not up, "unshipped": self.unshipped()}
        if operation in HERE:
            client.waits = True
            self.names.wanted(request, partial(self._reply, client))
            return None
        if operation == "claim" and is_run_id(run_id):
            client.waits = True
            self._claims.claim(run_id, str(request.get("key")), partial(self._reply, client))
            return None
        mirror = self._mirrors.runs.get(run_id)
        if operation == "want":
            self._mirrors.want(run_id, self.heard)
            self.on_want(run_id, request.get("offset"))
            if mirror is not None and not mirror.ended and mirror.lazy:
                self._pass_on(mirror.host, request | {"answer": False}, b"")
            return {"ok": True}
        if operation == "file":
            return self.on_file(run_id, request.get("number"))
        if mirror is None or mirror.ended:
            return {"error": "it has ended"}
        if operation not in _OPERATIONS:
            return {"error": f"expected op {', '.join(sorted(_OPERATIONS))}, got {operation!r}"}
        if not self._connection.up:
            return unreachable(f"its host {mirror.host} cannot be reached, the link is down")
        client.waits = True
        self._send(client, mirror.host, request, data)
        return None

    def _answer_listed(self) -> None:
        waiting, self._list_waits = self._list_waits, {}
        for client in waiting:
            self._reply(client, {"ok": True})

    def _give_up_lists(self, now: float) -> None:
        """Answer those who wait for a list of an engine that is away, as was seen since they came."""
        if not self._connection.up:
            for client, (failures, until) in list(self._list_waits.items()):
                if self._connection.failures > failures or now >= until:
                    del self._list_waits[client]
                    self._reply(client, {"ok": True, "down": True})

    def _send(self, client: Client, host: str, request: dict[str, Any], data: bytes) -> None:
        """Send a request, of stdin a part, and the next one when that is done."""
        part, rest = data[:_PART_BYTES], data[_PART_BYTES:]
        sent = {name: value for name, value in request.items() if name != "until"}
        if request.get("op") == "stdin":
            sent |= {"bytes": len(part), "eof": bool(request.get("eof")) and not rest}
        reply = self._pass_on(host, sent, part, ask_seconds(request.get("until")))
        reply.then(partial(self._was_sent, client, host, request, rest))

    def ask(self, host: str, request: dict[str, Any]) -> Reply[bytes]:
        """Ask another host."""
        return self._pass_on(host, request, b"")

    def _pass_on(
        self, host: str, request: dict[str, Any], data: bytes, seconds: float | None = None
    ) -> Reply[bytes]:
        head = json.dumps(request | {"host": self._hosts.name}).encode()
        return self._connection.link.ask(host, head + b"\n" + data, seconds or ask_seconds())

    def _was_sent(
        self, client: Client, host: str, request: dict[str, Any], rest: bytes, reply: Reply[bytes]
    ) -> None:
        try:
            answer = parse_object(reply.result())
        except (NoHost, Late):
            answer = unreachable(f"host {host} does not answer: {LOOK_THERE}")
        except LinkError as error:
            why = "the engine refuses it"
            if isinstance(error, LinkDown):
                why = "the link is down"
                self._connection.lost(error)
            answer = unreachable(f"its host {host} cannot be reached, {why}: {LOOK_THERE}")
        except ValueError as error:
            answer = {"error": str(error)}
        later = Later(client, host, request, rest)
        if "later" not in answer:
            return self._finish(later, answer)
        if not client.gone:
            self._later.wait(str(answer["later"]), later)

    def _finish(self, later: Later, answer: dict[str, Any]) -> None:
        if later.rest and "error" not in answer:
            self._send(later.client, later.host, later.request, later.rest)
        else:
            self._reply(later.client, answer)

    def _reply(self, client: Client, answer: dict[str, Any]) -> None:
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
            reply = request.get("reply")
            self._later.came(str(request.get("mark")), reply if isinstance(reply, dict) else {})
            return
        if request.get("op") == UNDER_WAY:
            marks = {passed.mark for passed in self._passed.values()}
            return self._answer(ask, self._later.state(str(request.get("mark")), marks))
        run_id = str(request.get("run"))
        files = RunFiles(f"{self._store}/{run_id}")
        if not is_run_id(run_id) or not files.exists or files.mirror_of is not None:
            return self._answer(ask, {"error": "it is not there any more"})
        if request.get("op") == "file":
            return self._send_answer(ask, piece_of(files, request))
        if request.get("op") in ON_HOST:
            return self._answer(ask, self.names.on_host(request))
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
        self._passed[connection.fileno()] = Passed(connection, ask, host, mark)

    def _answered(self, passed: Passed) -> None:
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
            return self._answer(passed.ask, answer)
        self._later.given(passed.mark, answer)
        if self._connection.up:
            self._pass_on(passed.host, {"op": "answered", "mark": passed.mark, "reply": answer}, b"")

    def _answer(self, ask: Ask, answer: dict[str, Any]) -> None:
        self._send_answer(ask, json.dumps(answer).encode())

    def _send_answer(self, ask: Ask, answer: bytes) -> None:
        if self._connection.up:
            self._connection.link.answer(ask, answer)

"""The agent of a store that has a shelf and no engine: it keeps what is over, and brings back what is wanted.

Owns its loop, and its end of the agent's socket, where readers say what they want. It has the face of `Agent`
for the process (process.py). Nothing is shared, so there is no link, and no lease: the lock is enough.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from typing import Any

from runcast.agent.clients import FULL_SECONDS, NO_DESCRIPTOR
from runcast.agent.shelf_threads import DOWN, FINE, ShelfThreads
from runcast.shelf.opening import open_shelf, parse_shelf
from runcast.store.files import StoreFiles
from runcast.store.links import LinkStatus
from runcast.store.mirrors import agent_lock, agent_socket
from runcast.supervisor.control import ControlConnection, accept, listen_path
from runcast.sysio.files import is_at

__all__ = ["ShelfAgent"]

_LONGEST_TURN = 1.0


class ShelfAgent:
    """The agent of a store, whose lock the caller holds.

    Args:
        store: the folder.
        shelf: its URL.
        lock_fd: the lock.

    Raises:
        StoreUnusable: the URL names no shelf.
        OSError: nobody can be heard.
    """

    def __init__(self, store: str, shelf: str, lock_fd: int) -> None:
        opened, rules = open_shelf(shelf), parse_shelf(shelf)[1]
        self._store, self._lock_fd = store, lock_fd
        self._path = agent_socket(store)
        with contextlib.suppress(FileNotFoundError):  # of one that was killed
            os.unlink(self._path)
        self._listener = listen_path(self._path, backlog=128)
        self._threads = ShelfThreads(opened, rules, StoreFiles(store))
        self._clients: dict[int, ControlConnection] = {}
        self._full_until = 0.0
        self._poll = select.poll()
        for fd in (self._listener.fileno(), self._threads.fd):
            self._poll.register(fd, select.POLLIN)
        self._heard = time.monotonic()
        self._notes: dict[bool, str] = {}  # what is wrong: with keeping, or with what is brought
        self._status = LinkStatus(True, time.time(), None)
        self._status.write(store)

    @property
    def here(self) -> bool:
        """Whether the store is still where it was."""
        return is_at(agent_lock(self._store), self._lock_fd)

    @property
    def all_shipped(self) -> bool:
        """Whether nothing has to be sent to anybody."""
        return True

    @property
    def unshared(self) -> bool:
        """Whether there are runs that go on, which are to be kept when they are over."""
        return self._threads.active

    def idle_for(self, now: float) -> float:
        """Return for how many seconds there has been nothing to do, and nobody has wanted anything."""
        if self._threads.busy or self._threads.active:
            self._heard = now
        return now - self._heard

    def turn(self, most: float = _LONGEST_TURN) -> None:
        """Wait for something to do, at most so many seconds, and do it."""
        if self._full_until and time.monotonic() >= self._full_until:
            self._full_until = 0.0
            self._poll.modify(self._listener.fileno(), select.POLLIN)
        for fd, _ in self._poll.poll(most * 1000):
            if fd == self._listener.fileno():
                self._accept()
            elif fd in self._clients:
                self._receive(fd)
        for event in self._threads.take():
            if event.what in (DOWN, FINE):
                self._say(bool(event.run_id), event.message)

    def _accept(self) -> None:
        try:
            client = ControlConnection(accept(self._listener))
        except OSError as error:
            if error.errno in NO_DESCRIPTOR:
                self._full_until = time.monotonic() + FULL_SECONDS
                self._poll.modify(self._listener.fileno(), 0)
            return
        self._clients[client.socket.fileno()] = client
        self._poll.register(client.socket.fileno(), select.POLLIN)

    def stop_listening(self) -> None:
        """Hear nobody any more."""
        if self._listener.fileno() >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            self._poll.unregister(self._listener.fileno())
            self._listener.close()

    def close(self) -> None:
        """End. What is under way is done again by the next agent."""
        self.stop_listening()
        for client in self._clients.values():
            client.socket.close()
        self._threads.close()

    def _receive(self, fd: int) -> None:
        client = self._clients[fd]
        requests = client.receive()
        if requests is None:
            self._poll.unregister(fd)
            self._clients.pop(fd).socket.close()
            return
        self._heard = time.monotonic()
        for request, _ in requests:
            answer = self._handle(request)
            if request.get("answer", True):
                client.answer(**answer)

    def _handle(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("op") == "want":
            self._threads.want_segment(str(request.get("run")), request.get("offset"))
        elif request.get("op") != "look":
            return {"error": "the store is shared with no other host"}
        return {"ok": True}

    def _say(self, of_output: bool, message: str) -> None:
        self._notes.pop(of_output, None)
        if message:
            self._notes[of_output] = message
        said = self._status._replace(message="; ".join(self._notes.values()) or None)
        if said != self._status:
            self._status = said
            said.write(self._store)

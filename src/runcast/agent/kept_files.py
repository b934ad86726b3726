"""Files that are kept with runs, between hosts: brought whole when somebody reads one, and held to a bound.

A file stays on the host of its run. Another host asks that one for it in pieces, a few at once and those of
different files in turns, so that logs on the same link never wait for one: `ask` is the verb of the link, the
engine keeps nothing. Each piece comes with its SHA-256 and with what the file was when it was read; all of
them must be of one file that has the length of the list. A file has its name here when all of it is here.

Owns both ends of that, and which files make room. Must not know who reads them.
"""

from __future__ import annotations

import json
import os
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Container
from functools import partial
from typing import Any, Final

from runcast.agent.connection import Connection
from runcast.errors import Late, LinkDown, LinkError, NoHost
from runcast.json_objects import parse_object
from runcast.link import Reply
from runcast.store.artifacts import ArtifactFiles
from runcast.store.files import StoreFiles
from runcast.store.run_files import RunFiles

__all__ = ["ROOM_BYTES", "KeptFiles", "piece_of"]

PIECE_BYTES: Final = 48 * 1024
"""Of a file, in one answer, which has at most 64 KiB with its head."""
ROOM_BYTES: Final = 1024**3
"""How much of other hosts' files stays in a store; of more, those that were read longest ago make room."""
_FLYING = 8  # pieces under way, of all files together: 384 KiB
_OF_ONE = 4  # … of one file
_WANTED_SECONDS = 10.0  # since a reader wanted it last
_SAID_SECONDS = 3.0  # for which readers get the reason why a file cannot be had
_NEW_SECONDS = 60.0  # in which a file that was read stays, whatever the bound is

Ask = Callable[[str, dict[str, Any]], Reply[bytes]]
Key = tuple[str, int]


class _File:
    """A file that is being brought."""

    def __init__(self, files: RunFiles, number: int, size: int, host: str) -> None:
        self.files, self.number, self.size, self.host = files.artifact_files, number, size, host
        self.fd = self.files.begin_part(number)
        self.wanted = time.monotonic()
        self.next = 0
        self.again: deque[int] = deque()  # offsets to ask for once more
        self.come = 0
        self.flying = 0
        self.of: object = None  # the file at its host that all pieces must be of

    def offset(self) -> int | None:
        """Return where the next piece to ask for begins; None if all are under way, or here."""
        if self.again:
            return self.again.popleft()
        if self.next >= max(self.size, 1):
            return None
        offset, self.next = self.next, self.next + PIECE_BYTES
        return offset

    def take(self, offset: int, head: dict[str, Any], data: bytes) -> bool:
        """Take a piece; return whether all of the file is here.

        Raises:
            ValueError: it is not what was kept.
            OSError: there is no room.
        """
        if "error" in head:
            raise ValueError(str(head["error"]))
        if head.get("sum") != _sum(data):
            raise ValueError("expected a piece with its checksum, got another one")
        expected = min(PIECE_BYTES, self.size - offset)
        if head.get("size") != self.size or len(data) != expected:
            raise ValueError(f"expected a file of {self.size} bytes, it has {head.get('size')}")
        self.of = self.of or head.get("of")
        if head.get("of") != self.of:
            raise ValueError("expected the file that was there, it was changed meanwhile")
        while data:
            written = os.pwrite(self.fd, data, offset)
            offset, data, self.come = offset + written, data[written:], self.come + written
        return self.come == self.size

    def end(self, *, whole: bool) -> None:
        """Close it, whole or not at all."""
        os.close(self.fd)
        self.files.end_part(self.number, whole=whole)


class KeptFiles:
    """Brings files.

    Args:
        connection: the link.
        files: of the store.
        ask: asks another host.
        silent: returns the hosts of which nothing is heard.
    """

    def __init__(
        self, connection: Connection, files: StoreFiles, ask: Ask, silent: Callable[[], Container[str]]
    ) -> None:
        self._connection, self._files, self._ask, self._silent = connection, files, ask, silent
        self._bringing: OrderedDict[Key, _File] = OrderedDict()
        self._said: dict[Key, tuple[float, str]] = {}  # why, and until when that is the answer
        self._flying = 0
        self._runs: set[str] | None = None  # mirrors that have files here; None before anybody looked

    @property
    def busy(self) -> bool:
        """Whether a file is being brought."""
        return bool(self._bringing)

    def want(self, run_id: str, number: object) -> dict[str, Any]:
        """Bring a file that somebody reads; return how far that is, or why it cannot be had."""
        files = self._files.run(run_id)
        if not isinstance(number, int) or (host := files.mirror_of) is None:
            return {"error": "it is no file of another host's run"}
        key, now = (run_id, number), time.monotonic()
        until, why = self._said.get(key, (0.0, ""))
        if now < until:
            return {"error": why}
        if (file := self._bringing.get(key)) is not None:
            file.wanted = now
            return {"bytes": file.come}
        kept = (files.artifacts() or ([], []))[0]
        if not 0 <= number < len(kept):
            return {"error": "it is not in the list of what is kept"}
        if files.artifact_files.has(number):  # since the reader looked
            return {"bytes": kept[number].bytes}
        if why := self._reason(host):
            return {"error": why}
        try:
            self._bringing[key] = _File(files, number, kept[number].bytes, host)
        except OSError as error:
            return {"error": f"it cannot be written here: {(error.strerror or str(error)).lower()}"}
        self.turn(now)
        return {"bytes": 0}

    def _reason(self, host: str) -> str:
        """Return why nothing can be had of a host; empty if it can."""
        if not self._connection.up:
            return f"it is on host {host}, and the link is down"
        return f"it is on host {host}, which is silent" if host in self._silent() else ""

    def turn(self, now: float) -> None:
        """Ask for what is next; end what nobody wants any more."""
        for key, file in list(self._bringing.items()):
            if now - file.wanted > _WANTED_SECONDS:
                self._end(key, None)
        if not self._connection.up:
            return
        turns = len(self._bringing)
        while turns and self._flying < _FLYING:
            turns -= 1
            key, file = next(iter(self._bringing.items()))
            self._bringing.move_to_end(key)
            if file.flying >= _OF_ONE or (offset := file.offset()) is None:
                continue
            turns = len(self._bringing)
            self._request(key, file, offset)

    def due(self) -> float | None:
        """Return when the next turn is due, in monotonic seconds."""
        return min((file.wanted + _WANTED_SECONDS for file in self._bringing.values()), default=None)

    def rejoin(self) -> None:
        """Ask again for what was under way: after each connection."""
        self._flying = 0
        for file in self._bringing.values():
            file.flying, file.come, file.next = 0, 0, 0
            file.again.clear()

    def close(self) -> None:
        """End all of it."""
        for key in list(self._bringing):
            self._end(key, None)

    def _request(self, key: Key, file: _File, offset: int) -> None:
        file.flying += 1
        self._flying += 1
        request = {"op": "file", "run": key[0], "number": key[1], "offset": offset}
        self._ask(file.host, request).then(partial(self._came, self._connection.number, key, file, offset))

    def _came(self, number: int, key: Key, file: _File, offset: int, reply: Reply[bytes]) -> None:
        if number != self._connection.number:
            return
        self._flying -= 1
        if self._bringing.get(key) is not file:
            return
        file.flying -= 1
        try:
            head, _, data = reply.result().partition(b"\n")
            if file.take(offset, parse_object(head), data):
                self._end(key, None, whole=True)
        except (NoHost, Late):
            self._end(key, f"it is on host {file.host}, which does not answer")
        except LinkError as error:
            file.again.append(offset)
            if isinstance(error, LinkDown):
                self._connection.lost(error)
            else:
                self._end(key, str(error))
        except ValueError as error:
            self._end(key, f"host {file.host} says: {error}")
        except OSError as error:
            self._end(key, f"it cannot be written here: {(error.strerror or str(error)).lower()}")
        self.turn(time.monotonic())

    def _end(self, key: Key, why: str | None, *, whole: bool = False) -> None:
        file = self._bringing.pop(key)
        file.end(whole=whole)
        now = time.monotonic()
        self._said = {one: said for one, said in self._said.items() if now < said[0]}
        if why is not None:
            self._said[key] = now + _SAID_SECONDS, why
        if whole:
            self.make_room(key[0], ROOM_BYTES, _NEW_SECONDS)

    def make_room(self, run_id: str, room: int, new: float) -> None:
        """Let the files go that were read longest ago, beyond a bound.

        Args:
            run_id: of a mirror that has files here now.
            room: the bound, in bytes.
            new: for how many seconds a file that was read stays, whatever the bound is.
        """
        if self._runs is None:
            self._runs = {one for one in self._files.ids() if self._files.run(one).is_mirror}
        self._runs.add(run_id)
        here: list[tuple[float, int, int, ArtifactFiles]] = []
        for one in list(self._runs):
            files = self._files.run(one).artifact_files
            found = files.brought()
            if not found:
                self._runs.discard(one)
            here += [(*file, files) for file in found]
        total, now = 0, time.time()
        for read, size, number, files in sorted(here, key=lambda one: one[0], reverse=True):
            total += size
            if total > room and now - read > new:
                files.let_go(number)


def piece_of(files: RunFiles, request: dict[str, Any]) -> bytes:
    """Return a piece of a file that is kept with a run of this host, as another one gets it.

    Raises:
        OSError: it cannot be read.
        ValueError: there is no such file, or it is not whole.
    """
    number, offset = request.get("number"), request.get("offset")
    kept = (files.artifacts() or ([], []))[0]
    if (
        not isinstance(number, int)
        or not isinstance(offset, int)
        or not 0 <= number < len(kept)
        or offset < 0
    ):
        raise ValueError("it is not in the list of what is kept")
    fd = files.artifact_files.open(number, kept[number].bytes)
    try:
        status = os.fstat(fd)
        data = os.pread(fd, PIECE_BYTES, offset)
    finally:
        os.close(fd)
    head = {
        "size": status.st_size,
        "sum": _sum(data),
        "of": [status.st_ino, status.st_mtime_ns],
    }
    return json.dumps(head).encode() + b"\n" + data


def _sum(data: bytes) -> str:
    import hashlib  # few agents bring files

    return hashlib.sha256(data).hexdigest()

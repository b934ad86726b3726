"""The control socket of a run: stop, signal, stdin, resize.

Owns the protocol, both ends of it. A request is one line of JSON, `{"op": "stop", "signal": 15,
"grace": 5}`, for `stdin` followed by as many bytes as its `"bytes"` says; the answer is one line,
`{"ok": true}` or `{"error": "…"}`. Requests of one connection are answered in order, and stdin
only when the program has read it, which slows the sender to the program's speed. The
protocol is part of the format of a store: supervisors of an older version keep working.
"""

from __future__ import annotations

import _socket
import json
import os
import struct
from typing import Any

from runcast.sysio.unix_sockets import connect_path, short_name

__all__ = [
    "REQUEST_LENGTH",
    "ControlConnection",
    "PartTaken",
    "UnixSocket",
    "accept",
    "ask",
    "connect_path",
    "listen_at",
    "listen_path",
    "pack_request",
    "unnamed_listener",
]

UnixSocket = _socket.socket
"""What a supervisor has for its sockets: `socket.socket` makes enums of its constants at each use, which
takes time, and touches pages of memory that all supervisors would share otherwise."""

REQUEST_LENGTH = struct.Struct("<I")  # before the JSON of a request to start a run
_LINE_BYTES = 64 * 1024
_STDIN_BYTES = 64 * 1024  # of one request; a sender splits


def unnamed_listener() -> UnixSocket:
    """Return a socket for `listen_at`."""
    listener = UnixSocket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    os.fchmod(listener.fileno(), 0o600)  # before it has a name: whatever the umask is
    listener.setblocking(False)
    return listener


def listen_at(listener: UnixSocket, path: str, backlog: int = 16) -> None:
    """Have a socket listen at a path, which may be of any length."""
    name, folder = short_name(path)
    try:
        listener.bind(name)
        listener.listen(backlog)
    finally:
        if folder is not None:
            os.close(folder)


def listen_path(path: str, backlog: int = 16) -> UnixSocket:
    """Return a socket that listens at a path, which may be of any length."""
    listener = unnamed_listener()
    try:
        listen_at(listener, path, backlog)
    except BaseException:
        listener.close()
        raise
    return listener


def accept(listener: UnixSocket) -> UnixSocket:
    """Return the next connection of a listening socket; it blocks.

    Raises:
        OSError: there is none, or no descriptor for it.
    """
    return UnixSocket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, listener._accept()[0])  # type: ignore[attr-defined]


def pack_request(request: dict[str, Any]) -> bytes:
    """Return a request as a supervisor reads it: its length, then JSON."""
    body = json.dumps(request).encode()
    return REQUEST_LENGTH.pack(len(body)) + body


class PartTaken(OSError):
    """The supervisor is gone after it took some of the data."""


def ask(
    path: str, request: dict[str, Any], data: bytes = b"", *, timeout: float | None = 10.0
) -> dict[str, Any]:
    """Send one request (`data` in parts, if it is long) and return the last answer.

    Raises:
        PartTaken: the supervisor is gone after it took some of the data: to send it again would double that.
        OSError: the supervisor is gone, or did not answer in time (seconds).
    """
    with connect_path(path, 10.0) as connection, connection.makefile("rb") as answers:
        connection.settimeout(timeout)
        parts = [data[at : at + _STDIN_BYTES] for at in range(0, len(data), _STDIN_BYTES)] or [b""]
        answer: dict[str, Any] = {}
        for number, part in enumerate(parts):
            sent = dict(request)
            if request["op"] == "stdin":
                sent |= {
                    "bytes": len(part),
                    "eof": bool(request.get("eof")) and number == len(parts) - 1,
                }
            try:
                connection.sendall(json.dumps(sent).encode() + b"\n" + part)
                line = answers.readline()
                if not line:
                    raise ConnectionResetError("the supervisor hung up")
            except OSError as error:
                if number:
                    raise PartTaken(f"{error}, after it took {number * _STDIN_BYTES} bytes") from None
                raise
            answer = json.loads(line)
            if "error" in answer:
                break
        return answer


class ControlConnection:
    """The supervisor's side of one connection, fed with what comes. Not blocking."""

    def __init__(self, connection: UnixSocket) -> None:
        connection.setblocking(False)
        self.socket = connection
        self._buffer = b""

    def receive(self) -> list[tuple[dict[str, Any], bytes]] | None:
        """Return the requests that have come whole, with their data; None when the other side left."""
        try:
            data = self.socket.recv(_STDIN_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        self._buffer += data
        requests = []
        while b"\n" in self._buffer:
            line, _, rest = self._buffer.partition(b"\n")
            try:
                request = json.loads(line)
                count = int(request.get("bytes", 0))
            except (ValueError, AttributeError, TypeError):
                return None
            if not 0 <= count <= _STDIN_BYTES:
                return None
            if len(rest) < count:
                break
            requests.append((request, rest[:count]))
            self._buffer = rest[count:]
        return None if len(self._buffer) > _LINE_BYTES + _STDIN_BYTES else requests

    def answer(self, **values: Any) -> None:
        """Send one answer; somebody who does not read it is no concern of ours."""
        try:
            self.socket.send(json.dumps(values or {"ok": True}).encode() + b"\n")
        except OSError:
            pass

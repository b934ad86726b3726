"""The wire of Redis and Valkey, RESP2: requests as bytes, and replies as they come in.

Knows bytes only: no sockets. Replies are parsed piece by piece, so that a reply that is not whole
yet costs nobody a wait. https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

__all__ = ["Parser", "ServerError", "pack"]

_BULK, _ARRAY, _NUMBER, _TEXT, _ERROR = b"$*:+-"


class ServerError:
    """A reply that is an error; `code` is its first word."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.code = text.partition(" ")[0]


def pack(arguments: tuple[bytes | str | int, ...]) -> bytes:
    """Return a request as bytes. What is bytes may be a view of some."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        if isinstance(argument, str):
            argument = argument.encode()
        elif isinstance(argument, int):
            argument = b"%d" % argument
        parts.append(b"$%d\r\n" % len(argument))
        parts.append(argument)
        parts.append(b"\r\n")
    return b"".join(parts)


class Parser:
    """Takes bytes as they come, gives replies as they are whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._open: list[tuple[list[object], int]] = []  # arrays that lack elements, the outer ones first
        self._need = 0  # bytes in the buffer before there is anything to do

    def feed(self, data: bytes) -> list[object]:
        """Take bytes, and return the replies that they complete.

        Raises:
            ValueError: this is no RESP.
        """
        buffer = self._buffer
        buffer += data
        if len(buffer) < self._need:
            return []
        at, self._need = 0, 0
        done: list[object] = []
        while (end := buffer.find(b"\r\n", at)) >= 0:
            kind = buffer[at]
            value: object = None
            if kind == _BULK:
                size = int(buffer[at + 1 : end])
                if size >= 0:
                    stop = end + 2 + size
                    if len(buffer) < stop + 2:
                        self._need = stop + 2 - at
                        break
                    with memoryview(buffer) as view:
                        value = bytes(view[end + 2 : stop])
                    end = stop
            else:
                value = self._plain(kind, bytes(buffer[at + 1 : end]))
                if value is _BEGUN:
                    at = end + 2
                    continue
            at = end + 2
            self._add(value, done)
        del buffer[:at]
        return done

    def _plain(self, kind: int, line: bytes) -> object:
        """Return what a line is: a value, or the beginning of an array with elements."""
        if kind == _ARRAY:
            size = int(line)
            if size <= 0:
                return [] if size == 0 else None
            self._open.append(([], size))
            return _BEGUN
        if kind == _NUMBER:
            return int(line)
        if kind == _TEXT:
            return line
        if kind == _ERROR:
            return ServerError(line.decode("utf-8", "replace"))
        raise ValueError(f"expected a reply of Redis, got a line that begins with {chr(kind)!r}")

    def _add(self, value: object, done: list[object]) -> None:
        """Add a value to the array that it belongs to; whole arrays to theirs."""
        while self._open:
            items, size = self._open[-1]
            items.append(value)
            if len(items) < size:
                return
            self._open.pop()
            value = items
        done.append(value)


_BEGUN = object()

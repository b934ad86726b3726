"""The wire of Redis and Valkey, RESP2: requests as bytes, and replies as they come in.

Knows bytes only: no sockets. Replies are parsed piece by piece, so that a reply that is not whole
yet costs nobody a wait. https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

__all__ = ["Parser", "ServerError", "pack", "pieces"]

_LONG = 4096  # bytes: fewer take less time to copy than to send by themselves
_USUAL = 256  # bytes: the sizes of most arguments, which are written once
_SIZES = [b"$%d" % size for size in range(_USUAL)]
_BULK, _ARRAY, _NUMBER, _TEXT, _ERROR = b"$*:+-"


class ServerError:
    """A reply that is an error; `code` is its first word."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.code = text.partition(" ")[0]


def pack(arguments: tuple[bytes | str | int, ...]) -> bytes:
    """Return a request as bytes."""
    return b"".join(pieces(arguments))


def pieces(arguments: tuple[bytes | str | int, ...]) -> list[bytes]:
    """Return a request as buffers to be sent one after the other, in which what is long is not copied."""
    parts, done = [b"*%d" % len(arguments)], list[bytes]()
    for argument in arguments:
        if isinstance(argument, bytes):  # most are
            pass
        elif isinstance(argument, str):
            argument = argument.encode()
        elif isinstance(argument, int):
            argument = b"%d" % argument
        size = len(argument)
        parts.append(_SIZES[size] if size < _USUAL else b"$%d" % size)
        if size < _LONG:
            parts.append(argument)
        else:
            done += b"\r\n".join([*parts, b""]), argument
            parts = [b""]
    parts.append(b"")
    return [*done, b"\r\n".join(parts)]


class Parser:
    """Takes bytes as they come, gives replies as they are whole."""

    def __init__(self) -> None:
        self._held = bytearray()  # the beginning of what is not whole yet
        self._open: list[tuple[list[object], int]] = []  # arrays that lack elements, the outer ones first
        self._need = 0  # bytes in all before there is anything to do

    def feed(self, data: bytes | memoryview) -> list[object]:
        """Take bytes, and return the replies that they complete.

        Raises:
            ValueError: this is no RESP.
        """
        if self._held:
            self._held += data
            if len(self._held) < self._need:
                return []
            buffer, self._held = bytes(self._held), bytearray()
        else:
            buffer = bytes(data)
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
                    value = buffer[end + 2 : stop]
                    end = stop
            elif kind == _ARRAY:
                size = int(buffer[at + 1 : end])
                if size > 0:
                    self._open.append(([], size))
                    at = end + 2
                    continue
                value = [] if size == 0 else None
            else:
                value = _plain(kind, buffer[at + 1 : end])
            at = end + 2
            if self._open:
                self._add(value, done)
            else:
                done.append(value)
        if at < len(buffer):
            self._held += memoryview(buffer)[at:]
        return done

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


def _plain(kind: int, line: bytes) -> object:
    """Return what a line is that is no beginning of anything."""
    if kind == _NUMBER:
        return int(line)
    if kind == _TEXT:
        return line
    if kind == _ERROR:
        return ServerError(line.decode("utf-8", "replace"))
    raise ValueError(f"expected a reply of Redis, got a line that begins with {chr(kind)!r}")

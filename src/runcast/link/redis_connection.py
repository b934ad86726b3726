"""One connection to a server of Redis or Valkey, for a loop that polls.

Owns the socket, the queue of requests and the heartbeat. It is opened in a thread of its own
(redis_opening.py), since that blocks; from then on the socket is the loop's. Must not know what the
requests are about.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from runcast.errors import LinkDown, LinkError
from runcast.link.background import Opening
from runcast.link.redis_opening import PORT, open_socket, place_of, would_block
from runcast.link.resp import Parser, pieces

__all__ = ["RedisConnection"]

_CONNECT = 3.0  # seconds for each step of connecting
_IDLE = 1.0  # seconds without a request, after which there is a PING
_SILENCE = 3.5  # seconds without an answer, after which the connection is down: with the above less than 5
_RECEIVE = 1 << 16  # bytes at once, into one buffer: to make one for each took longer than to receive
_PONGS = ([b"pong", b""], b"PONG")  # of a connection with subscriptions, and of one that has none left
_PIECES = 64  # buffers in one sendmsg(2)


class RedisConnection:
    """A connection that is opened in the background.

    Args:
        options: as `redis_opening.parse_url` returns them.
        poller: where its socket is registered.
        wake: called from another thread when it is open, or failed to be.

    Attributes:
        host: the server's name, for redirections without one.
        where: the server is, for people.
    """

    def __init__(self, options: Mapping[str, Any], poller: select.epoll, wake: Callable[[], None]) -> None:
        self.host, self.port, self.where = (
            options.get("host", ""),
            options.get("port", PORT),
            place_of(options),
        )
        self._tls, self._again = options["tls"], would_block(tls=options["tls"])
        self._poller = poller
        self._out: deque[bytes | memoryview] = deque()
        self._calls: deque[Callable[[object], None]] = deque()
        self._parser = Parser()
        self._buffer = memoryview(bytearray(_RECEIVE))
        self._socket: socket.socket | None = None
        self._blocked = False
        self._since = time.monotonic()
        self._opening = Opening(partial(self._open, options), socket.socket.close, wake)

    @property
    def descriptor(self) -> int:
        """Its descriptor, -1 while there is none."""
        return -1 if self._socket is None else self._socket.fileno()

    @property
    def unsent(self) -> bool:
        """Whether there is something that could be sent now."""
        return bool(self._out) and self._socket is not None and not self._blocked

    def _open(self, options: Mapping[str, Any]) -> socket.socket | LinkError:
        try:
            return open_socket(options, _CONNECT, _SILENCE)
        except LinkError as error:
            return error

    def send(self, arguments: tuple[bytes | str | int, ...], call: Callable[[object], None] | None) -> None:
        """Queue a request; `call` gets its reply. Without `call` there is no reply of its own."""
        if call is not None:
            if not self._calls:
                self._since = time.monotonic()
            self._calls.append(call)
        self._out += pieces(arguments)

    def flush(self) -> None:
        """Send what can be sent now.

        Raises:
            LinkError: the connection is down, or could not be opened.
        """
        if self._socket is None and not self._take():
            return
        assert self._socket is not None
        try:
            while self._out and not self._blocked:
                sent = self._send(self._socket)
                while sent and sent >= len(self._out[0]):
                    sent -= len(self._out.popleft())
                if sent:
                    self._out[0] = memoryview(self._out[0])[sent:]
        except self._again:
            self._blocked = True
            self._poller.modify(self._socket, select.EPOLLIN | select.EPOLLOUT)
        except OSError as error:
            raise self._down(error) from None

    def _send(self, target: socket.socket) -> int:
        if self._tls:  # has no sendmsg
            return target.send(self._out[0])
        return target.sendmsg([self._out[n] for n in range(min(len(self._out), _PIECES))])

    def _take(self) -> bool:
        """Take over the socket once it is open."""
        opened = self._opening.take()
        if opened is None:
            return False
        self._socket = opened
        self._since = time.monotonic()
        self._poller.register(opened, select.EPOLLIN)
        return True

    def receive(self, push: Callable[[object], None] | None = None) -> None:
        """Receive what has come, and give the replies to those who wait for them.

        Args:
            push: gets what is no reply to a request; with it, only a PING has replies of its own.

        Raises:
            LinkDown: the connection is down.
        """
        assert self._socket is not None
        if self._blocked:
            self._blocked = False
            self._poller.modify(self._socket, select.EPOLLIN)
        while self._socket is not None:
            try:
                size = self._socket.recv_into(self._buffer)
            except self._again:
                return
            except OSError as error:
                raise self._down(error) from None
            if not size:
                raise LinkDown(f"expected {self.where} to go on, it has closed the connection: connect again")
            self._since = time.monotonic()
            try:
                values = self._parser.feed(self._buffer[:size])
            except ValueError:
                raise LinkDown(f"expected replies of Redis, {self.where} sends others: what is it?") from None
            for value in values:
                if self._socket is None:  # closed by what a reply led to
                    return
                if push is None or value in _PONGS:
                    self._calls.popleft()(value)
                else:
                    push(value)
            if size < _RECEIVE and not self._tls:
                return

    def beat(self, now: float) -> None:
        """Notice that there is no answer any more, and see to it that there is one from time to time.

        Raises:
            LinkDown: there is none.
        """
        if self._socket is None:
            return
        if self._calls and now - self._since > _SILENCE:
            raise LinkDown(f"expected an answer of {self.where} within {_SILENCE:g} s, none came: is it up?")
        if not self._calls and now - self._since >= _IDLE:
            self.send(("PING",), lambda value: None)

    def due(self) -> float:
        """Return when `beat` has something to do, on the monotonic clock."""
        if self._socket is None:
            return float("inf")
        return self._since + (_SILENCE + 0.01 if self._calls else _IDLE)

    def close(self) -> None:
        """End it. Those who wait for replies are the owner's to tell."""
        if self._socket is not None:
            with contextlib.suppress(OSError, ValueError):
                self._poller.unregister(self._socket)
        self._opening.close()
        self._socket = None
        self._out.clear()
        self._calls.clear()

    def _down(self, error: OSError) -> LinkDown:
        return LinkDown(f"expected {self.where} to answer, it does not ({error.strerror}): connect again")

"""One connection to a server of Redis or Valkey, for a loop that polls.

Owns the socket, the queue of requests and the heartbeat. redis-py knows how to connect (names, TLS,
users, databases) and does so in a thread of its own, since all of that blocks; from then on the
socket is the loop's. Must not know what the requests are about.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from runcast.errors import LinkDown, LinkError, LinkRefused
from runcast.link.resp import Parser, pack

__all__ = ["RedisConnection"]

_CONNECT = 3.0  # seconds for each step of connecting
_IDLE = 1.0  # seconds without a request, after which there is a PING
_SILENCE = 3.5  # seconds without an answer, after which the connection is down: with the above less than 5
_RECEIVE = 1 << 18  # bytes at once
_PONGS = ([b"pong", b""], b"PONG")  # of a connection with subscriptions, and of one that has none left
_PIECES = 64  # buffers in one sendmsg(2)


class _Plain(redis.Connection):
    """Gives its socket away."""

    def take(self) -> socket.socket:
        """Return the socket, which the connection then knows nothing of."""
        taken: socket.socket = self._sock  # type: ignore[assignment]
        self._sock = None
        return taken


class _Encrypted(redis.SSLConnection, _Plain):
    """The same over TLS."""


class RedisConnection:
    """A connection that is opened in the background.

    Args:
        options: as `redis.connection.parse_url` returns them.
        poller: where its socket is registered.
        wake: called from another thread when it is open, or failed to be.

    Attributes:
        host: the server's name, for people and for redirections without one.
    """

    def __init__(self, options: Mapping[str, Any], poller: select.epoll, wake: Callable[[], None]) -> None:
        self.host, self.port = str(options.get("host", "localhost")), int(options.get("port", 6379))
        self._poller = poller
        self._out: deque[bytes] = deque()
        self._calls: deque[Callable[[object], None]] = deque()
        self._parser = Parser()
        self._socket: socket.socket | None = None
        self._opened: socket.socket | LinkError | None = None
        self._blocked = self._closed = False
        self._since = time.monotonic()
        self._lock = threading.Lock()
        threading.Thread(target=self._open, args=(dict(options), wake), daemon=True).start()

    @property
    def where(self) -> str:
        """Where the server is."""
        return f"{self.host}:{self.port}"

    @property
    def descriptor(self) -> int:
        """Its descriptor, -1 while there is none."""
        return -1 if self._socket is None else self._socket.fileno()

    @property
    def unsent(self) -> bool:
        """Whether there is something that could be sent now."""
        return bool(self._out) and self._socket is not None and not self._blocked

    def _open(self, options: dict[str, Any], wake: Callable[[], None]) -> None:
        kind = _Encrypted if options.pop("connection_class", None) is redis.SSLConnection else _Plain
        options |= {
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_connect_timeout": _CONNECT,
            "socket_timeout": _CONNECT,
            "socket_keepalive": True,
            "socket_keepalive_options": {socket.TCP_USER_TIMEOUT: int(1000 * _SILENCE)},
        }
        opened: socket.socket | LinkError
        try:
            connection = kind(**options)
            connection.connect()  # type: ignore[no-untyped-call]
            opened = connection.take()
            opened.setblocking(False)
        except Exception as error:
            opened = self._failure(error)
        with self._lock:
            if self._closed and isinstance(opened, socket.socket):
                opened.close()
            self._opened = opened
        wake()

    def _failure(self, error: Exception) -> LinkError:
        """Return why there is no connection, without the text of the error: it may have the password."""
        causes = [error, error.__cause__, error.__context__]
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            return LinkRefused(
                f"expected a certificate for {self.where} that is valid here, it is not: name the authority "
                "that signed it (rediss://…?ssl_ca_certs=FILE), or renew it"
            )
        if isinstance(error, redis.exceptions.AuthenticationError | redis.exceptions.NoPermissionError):
            return LinkRefused(
                f"expected {self.where} to let this user in, it does not: see user and password in the URL"
            )
        if isinstance(error, redis.exceptions.ResponseError | TypeError):
            return LinkRefused(
                f"expected {self.where} to take the options of the URL, it does not: look at its database "
                "(0 in a cluster) and its parameters"
            )
        return LinkDown(
            f"expected a server at {self.where}, none answers ({type(error).__name__}): is it up?"
        )

    def send(self, arguments: tuple[bytes | str | int, ...], call: Callable[[object], None] | None) -> None:
        """Queue a request; `call` gets its reply. Without `call` there is no reply of its own."""
        if call is not None:
            if not self._calls:
                self._since = time.monotonic()
            self._calls.append(call)
        self._out.append(pack(arguments))

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
                    self._out[0] = self._out[0][sent:]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            self._blocked = True
            self._poller.modify(self._socket, select.EPOLLIN | select.EPOLLOUT)
        except OSError as error:
            raise self._down(error) from None

    def _send(self, target: socket.socket) -> int:
        if isinstance(target, ssl.SSLSocket):
            return target.send(self._out[0])
        return target.sendmsg([self._out[n] for n in range(min(len(self._out), _PIECES))])

    def _take(self) -> bool:
        """Take over the socket once it is open."""
        with self._lock:
            opened = self._opened
        if isinstance(opened, LinkError):
            raise opened
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
                data = self._socket.recv(_RECEIVE)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                raise self._down(error) from None
            if not data:
                raise LinkDown(f"expected {self.where} to go on, it has closed the connection: connect again")
            self._since = time.monotonic()
            try:
                values = self._parser.feed(data)
            except ValueError:
                raise LinkDown(f"expected replies of Redis, {self.where} sends others: what is it?") from None
            for value in values:
                if self._socket is None:  # closed by what a reply led to
                    return
                if push is None or value in _PONGS:
                    self._calls.popleft()(value)
                else:
                    push(value)
            if len(data) < _RECEIVE and not isinstance(self._socket, ssl.SSLSocket):
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
        with self._lock:
            self._closed = True
            opened = self._opened
        if isinstance(opened, socket.socket):
            if self._socket is not None:
                with contextlib.suppress(OSError, ValueError):
                    self._poller.unregister(opened)
            opened.close()
        self._socket = None
        self._out.clear()
        self._calls.clear()

    def _down(self, error: OSError) -> LinkDown:
        return LinkDown(f"expected {self.where} to answer, it does not ({error.strerror}): connect again")

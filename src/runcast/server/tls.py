"""TLS of the server: its certificate, and connections in their handshake.

Owns the context, the certificate's renewal without a restart, and the bound on handshakes. A client that
connects and never finishes its handshake is a stranger like any other (connections.py): so connections
are accepted here, and not by the event loop, which would count none before its handshake is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Callable

from runcast.errors import UsageError
from runcast.server.bounded_protocol import HEAD_SECONDS
from runcast.server.connections import Connections, network

__all__ = ["Certificate", "TLSListener"]

_PAUSE_SECONDS = 0.1  # before the next connection is accepted where there is no descriptor for it

log = logging.getLogger("runcast.server")


class Certificate:
    """A certificate with its key, in files that something else renews.

    Args:
        cert: the path of the certificate with its chain, PEM.
        key: the path of its key, PEM; None where the key is in the same file.

    Attributes:
        context: for connections; those that begin after a renewal have the new certificate.

    Raises:
        UsageError: a file cannot be read, or has something else in it.
    """

    def __init__(self, cert: str, key: str | None = None) -> None:
        self._paths = (cert, key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_alpn_protocols(["http/1.1"])
        self._seen = self._stamps()
        if problem := self._problem(self.context):
            raise UsageError(problem)

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        """Return what changes when a file does."""
        stamps: list[tuple[int, int, int] | None] = []
        for path in filter(None, self._paths):
            try:
                found = os.stat(path)
            except OSError:
                stamps.append(None)
            else:
                stamps.append((found.st_ino, found.st_mtime_ns, found.st_size))
        return stamps

    def _problem(self, context: ssl.SSLContext) -> str:
        """Load the files; return what is wrong with them."""
        cert, key = self._paths
        for option, path in (("--tls-cert", cert), ("--tls-key", key)):
            if path is not None:
                try:
                    with open(path, "rb"):
                        pass
                except OSError as error:
                    return f"cannot read {option} {path}: {(error.strerror or str(error)).lower()}"
        encrypted = False

        def password() -> str:
            nonlocal encrypted
            encrypted = True
            return ""

        try:
            context.load_cert_chain(cert, key, password)
        except (ssl.SSLError, ValueError) as error:
            if encrypted:
                return (
                    f"expected a key without a passphrase in {key or cert}, got an encrypted one: "
                    "nobody is there to type it; keep the file readable for this user alone"
                )
            if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
                return f"expected the key of the certificate {cert}, got that of another in {key or cert}"
            what = f"PEM with a certificate in {cert} and its key in {key or 'the same file'}"
            return f"expected {what}, got something else"
        return ""

    def renew(self) -> None:
        """Use the files anew if they have changed; while they do not fit, the ones before stay in use."""
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        # Tried apart: the first file of a pair that does not fit would be in use already.
        if problem := self._problem(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)):
            log.warning("the TLS certificate is not renewed: %s", problem)
            return
        self._problem(self.context)
        log.info("the TLS certificate was renewed")


class _Handshake:
    """A connection whose handshake goes on: a stranger that takes no memory of ours."""

    pending = 0

    def __init__(self, connection: socket.socket, address: object) -> None:
        self._connection = connection
        self.address = network(str(address[0])) if isinstance(address, tuple) else ""

    def turn_away(self) -> None:
        """Close: nothing can be said before the handshake is over."""
        self.abort()

    def abort(self) -> None:
        """Close at once; the event loop, which has the socket, sees its end."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


class TLSListener:
    """Accepts connections on one socket and has each take its handshake. Like an `asyncio.Server`.

    Args:
        sock: listens.
        factory: makes the protocol of a connection.
        certificate: of the server.
        book: of the connections; those in their handshake are among its strangers.
    """

    def __init__(
        self,
        sock: socket.socket,
        factory: Callable[[], asyncio.Protocol],
        certificate: Certificate,
        book: Connections,
    ) -> None:
        self._sock, self._factory, self._certificate, self._book = sock, factory, certificate, book
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting = self._loop.create_task(self._accept())

    @property
    def handshakes(self) -> int:
        """How many connections are in their handshake."""
        return len(self._handshakes)

    async def _accept(self) -> None:
        while True:
            try:
                connection, address = await self._loop.sock_accept(self._sock)
            except ConnectionError:
                continue  # it is gone before it was accepted
            except OSError:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            task = self._loop.create_task(self._shake(connection, address))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake(self, connection: socket.socket, address: object) -> None:
        handshake = _Handshake(connection, address)
        self._book.add(handshake)
        try:
            await self._loop.connect_accepted_socket(
                self._factory,
                connection,
                ssl=self._certificate.context,
                ssl_handshake_timeout=HEAD_SECONDS,
            )
        except (OSError, TimeoutError, ssl.SSLError):
            connection.close()
        finally:
            self._book.discard(handshake)

    def close(self) -> None:
        """Accept no more; handshakes that go on are cut."""
        self._accepting.cancel()
        for task in self._handshakes:
            task.cancel()
        self._sock.close()

    async def wait_closed(self) -> None:
        """Wait until nothing of it is left."""
        await asyncio.gather(self._accepting, *self._handshakes, return_exceptions=True)

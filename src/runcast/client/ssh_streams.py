"""Connections of the HTTP library by way of ssh: a stream for each, blocking or awaited, and their pools.

Owns how the library gets its bytes. When and why it opens a connection is the library's matter, how ssh is
started and what its end means that of ssh.py. Needs httpx2; loaded when an address begins with `ssh://`.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

import httpcore2
import httpx2

from runcast.client.actions import NetworkError
from runcast.client.ssh import LEAVE_SECONDS, LOGIN_SECONDS, Destination, Link, greeting

__all__ = ["AsyncSshTransport", "SshTransport"]

_CHUNK_BYTES = 64 * 1024
_KEPT = 4  # idle connections: each is a process
_KILLED_SECONDS = 0.5  # that those need to end that did not by themselves when a client is closed

Pool = TypeVar("Pool", httpcore2.ConnectionPool, httpcore2.AsyncConnectionPool)


class _Links:
    """All that were started, until they are reaped."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._all: list[Link] = []

    def start(self) -> Link:
        """Start one, and forget those that have ended."""
        self._all = [one for one in self._all if not one.reap()]
        link = Link(self._destination)
        self._all.append(link)
        return link

    def doubt(self) -> None:
        """Have no idle one be used again: when a machine has slept all are dead, and none says so."""
        for one in self._all:
            one.doubtful = True

    def close(self) -> None:
        """End all."""
        for one in self._all:
            one.close()
        until = time.monotonic() + LEAVE_SECONDS + _KILLED_SECONDS
        while not all(one.reap() for one in self._all) and time.monotonic() < until:
            time.sleep(0.005)


def _is_over(link: Link) -> bool:
    """Return whether an idle connection is of no use any more: the bridge never speaks first."""
    if link.doubtful:
        return True
    poller = select.poll()
    try:
        poller.register(link.socket, select.POLLIN)
    except ValueError:  # it is closed
        return True
    return bool(poller.poll(0))


class _Stream(httpcore2.NetworkStream):
    def __init__(self, link: Link, links: _Links) -> None:
        self._link, self._links = link, links

    def greet(self) -> None:
        got = b""
        until = time.monotonic() + LOGIN_SECONDS
        while not greeting(self._link, got):
            with _errors(httpcore2.ConnectError), _timeouts(httpcore2.ConnectTimeout):
                self._link.socket.settimeout(max(until - time.monotonic(), 0.001))
                data = self._link.socket.recv(_CHUNK_BYTES)
            if not data:
                raise self._link.ended(got) or _silent(got)
            got += data

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _errors(httpcore2.ReadError), _timeouts(httpcore2.ReadTimeout, self._links):
            self._link.socket.settimeout(timeout)
            data = self._link.socket.recv(max_bytes)
        if not data and (failed := self._link.ended()) is not None:
            raise failed
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _errors(httpcore2.WriteError), _timeouts(httpcore2.WriteTimeout):
            self._link.socket.settimeout(timeout)
            self._link.socket.sendall(buffer)

    def close(self) -> None:
        self._link.close()

    def get_extra_info(self, info: str) -> Any:
        return _is_over(self._link) if info == "is_readable" else None


class _AsyncStream(httpcore2.AsyncNetworkStream):
    def __init__(self, link: Link, links: _Links) -> None:
        self._link, self._links = link, links
        link.socket.setblocking(False)

    async def greet(self) -> None:
        got = b""
        with _errors(httpcore2.ConnectError), _timeouts(httpcore2.ConnectTimeout):
            async with asyncio.timeout(LOGIN_SECONDS):
                while not greeting(self._link, got):
                    data = await asyncio.get_running_loop().sock_recv(self._link.socket, _CHUNK_BYTES)
                    if not data:
                        raise await asyncio.to_thread(self._link.ended, got) or _silent(got)
                    got += data

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _errors(httpcore2.ReadError), _timeouts(httpcore2.ReadTimeout, self._links):
            async with asyncio.timeout(timeout):
                data = await asyncio.get_running_loop().sock_recv(self._link.socket, max_bytes)
        if not data and (failed := await asyncio.to_thread(self._link.ended)) is not None:
            raise failed
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _errors(httpcore2.WriteError), _timeouts(httpcore2.WriteTimeout):
            async with asyncio.timeout(timeout):
                await asyncio.get_running_loop().sock_sendall(self._link.socket, buffer)

    async def aclose(self) -> None:
        self._link.close()

    def get_extra_info(self, info: str) -> Any:
        return _is_over(self._link) if info == "is_readable" else None


def _silent(got: bytes) -> NetworkError:
    return NetworkError(f"it ended without a word of the bridge, got {bytes(got[:80])!r}")


@contextlib.contextmanager
def _timeouts(kind: type[Exception], links: _Links | None = None) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        if links is not None:
            links.doubt()
        raise kind(str(error)) from error


@contextlib.contextmanager
def _errors(kind: type[Exception]) -> Iterator[None]:
    """Raise errors of a socket as one of the library; around `_timeouts`, which are such errors, too."""
    try:
        yield
    except OSError as error:
        raise kind(str(error)) from error


class _Backend(httpcore2.NetworkBackend):
    def __init__(self, links: _Links) -> None:
        self._links = links

    def connect_tcp(self, *_: Any, **__: Any) -> httpcore2.NetworkStream:
        stream = _Stream(self._links.start(), self._links)
        try:
            stream.greet()
        except BaseException:
            stream.close()
            raise
        return stream


class _AsyncBackend(httpcore2.AsyncNetworkBackend):
    def __init__(self, links: _Links) -> None:
        self._links = links

    async def connect_tcp(self, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        stream = _AsyncStream(await asyncio.to_thread(self._links.start), self._links)
        try:
            await stream.greet()
        except BaseException:
            await stream.aclose()
            raise
        return stream


def _pooled(kind: type[Pool], backend: Any) -> Pool:
    """Return a pool. Its idle connections stay: another costs a login, and the other side has no clock."""
    return kind(max_connections=None, max_keepalive_connections=_KEPT, network_backend=backend)


def _core(request: httpx2.Request) -> httpcore2.Request:
    url = request.url
    return httpcore2.Request(
        request.method,
        httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


class _Body(httpx2.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _AsyncBody(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._stream:
            yield data

    async def aclose(self) -> None:
        await self._stream.aclose()


class SshTransport(httpx2.BaseTransport):
    """For a client that blocks."""

    def __init__(self, destination: Destination) -> None:
        self._links = _Links(destination)
        self._pool = _pooled(httpcore2.ConnectionPool, _Backend(self._links))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; return the head of the reply."""
        reply = self._pool.handle_request(_core(request))
        return httpx2.Response(
            reply.status, headers=reply.headers, stream=_Body(reply.stream), extensions=reply.extensions
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()
        self._links.close()


class AsyncSshTransport(httpx2.AsyncBaseTransport):
    """For a client that is awaited."""

    def __init__(self, destination: Destination) -> None:
        self._links = _Links(destination)
        self._pool = _pooled(httpcore2.AsyncConnectionPool, _AsyncBackend(self._links))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; return the head of the reply."""
        reply = await self._pool.handle_async_request(_core(request))
        return httpx2.Response(
            reply.status, headers=reply.headers, stream=_AsyncBody(reply.stream), extensions=reply.extensions
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()
        await asyncio.to_thread(self._links.close)

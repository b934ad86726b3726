"""Serving: from options to a listening server, and to its end.

Owns the process: sockets, token, signals, the log on stderr. A server does not stop while a
stream is open, so the live replies are told to end first, and whatever is left
after a second is cut. Its runs do not notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import uvicorn

from runcast.errors import UsageError
from runcast.server import addresses
from runcast.server.app import ServerApp
from runcast.server.asked import host_name
from runcast.server.bounded import HEAD_BYTES, IDLE_SECONDS, Bounded
from runcast.server.config import Config, load_config
from runcast.server.connections import Connections, bound
from runcast.server.guard import Guard
from runcast.server.registry import registered
from runcast.server.token import checked, kept_token
from runcast.store import Store
from runcast.supervisor import descriptors
from runcast.web.going_on import going_on, said
from runcast.web.origins import Origins, parse_origin
from runcast.web.peer import keep_alive, vanished

__all__ = ["UNSAID", "Options", "serve"]

TOKEN_VARIABLE = "RUNCAST_TOKEN"
UNSAID = -1  # of a cap: as the file has it
_LAST_WORDS = 30  # hundredths of a second for live replies to end by themselves, which takes them a moment …
_GRACE_SECONDS = 1  # … and seconds for what a slow client has not taken yet; then it is cut
_LOOK_SECONDS = 1.0  # between looks at who has waited too long
_VANISHED_LOOKS = 2  # every so many of them at who has vanished, which the kernel would hold for long
_MESSAGE_BYTES = 1024 * 1024  # of a WebSocket: stdin comes in small pieces

log = logging.getLogger("runcast.server")


@dataclass(frozen=True)
class Options:
    """What `runcast serve` was asked for; see its help."""

    host: str = "127.0.0.1"
    port: int = 8765
    store: str | None = None
    config: str | None = None
    token: str | None = None
    auth: bool = True
    allow_hosts: Sequence[str] = ()
    allow_origins: Sequence[str] = ()
    allow_any_command: bool = False
    cookie: bool | None = None
    log_requests: bool = False
    stream_cap: int | None = UNSAID
    streams_cap: int | None = UNSAID


def serve(options: Options, announce: Callable[[list[str]], None]) -> None:
    """Serve until a signal ends it.

    Args:
        options: what was asked for.
        announce: is called once it listens, with the URLs, token included; the first is the best.

    Raises:
        UsageError: an option has no meaning, or must not be combined so.
        ConfigError: the configuration file is wrong.
        CannotListen: the address cannot be had.
        StoreUnusable: the store cannot be used, or its token is not safe.
    """
    store = Store.open(options.store)
    config = load_config(options.config) if options.config is not None else Config({})
    caps = [
        _chosen_cap("--stream-cap", options.stream_cap, config.stream_cap),
        _chosen_cap("--streams-cap", options.streams_cap, config.streams_cap),
    ]
    allowed = [_allowed_host(host) for host in options.allow_hosts]
    origins = Origins([*map(_allowed_origin, options.allow_origins), *config.allow_origins])
    cookie = config.cookie if options.cookie is None else options.cookie
    chosen = _chosen_token(options)
    sockets = addresses.listen(options.host, options.port)
    try:
        for one in sockets:
            keep_alive(one)
        loopback = addresses.is_loopback(sockets)
        if not options.auth and not loopback:
            raise UsageError(
                f"expected --no-auth with a loopback --host only, got {options.host}: "
                "whoever reaches this server could run its commands, so let it have its token"
            )
        token = (chosen or kept_token(store.path)) if options.auth else None
        names = addresses.names(options.host, sockets)
        port = sockets[0].getsockname()[1]
        urls = [addresses.url(name, port) for name in (names[:1] if loopback else names)]
        app = ServerApp(
            store,
            Guard([*names, *allowed], token, origins, cookie=cookie),
            commands=config.commands,
            allow_any_command=options.allow_any_command,
            log_requests=options.log_requests,
        )
        app.caps.stream, app.caps.total = caps
        _log_to_stderr()
        with contextlib.ExitStack() as stack:

            def ready() -> None:
                stack.enter_context(registered(store.path, urls[0]))
                # Before any line of the log: whoever starts a server looks for its address.
                announce([url + (f"?token={quote(token, safe='')}" if token else "") for url in urls])
                log.info("serving the runs of %s", store.path)
                _advise(options, token, bool(config.commands))
                if origins:
                    log.info("pages of these origins may read: %s", ", ".join(origins))

            _Server(app, ready).run(sockets)
            if sentence := going_on(store):
                log.info("%s; the next `runcast serve` shows it", sentence)
            said(store)
    finally:
        for one in sockets:
            one.close()


def _allowed_host(text: str) -> str:
    name = host_name(text)
    if name is None:
        raise UsageError(
            f"expected --allow-host as a name or an address without scheme and port, got {text!r}"
        )
    return name.strip("[]")


def _allowed_origin(text: str) -> str:
    try:
        return parse_origin(text)
    except ValueError as error:
        raise UsageError(f"--allow-origin: {error}") from None


def _chosen_cap(option: str, given: int | None, default: int | None) -> int | None:
    if given == UNSAID:
        return default
    if given is not None and given <= 0:
        raise UsageError(f"expected {option} as more than 0 bytes, or none, got {given}")
    return given


def _chosen_token(options: Options) -> str | None:
    """Return the token that somebody chose. The variable is taken away: runs inherit this environment."""
    given = os.environ.pop(TOKEN_VARIABLE, None)
    if not options.auth:
        if options.token is not None:
            raise UsageError("expected --token or --no-auth, got both: choose one of them")
        return None
    if options.token is not None:
        return checked(options.token, "--token")
    return checked(given, TOKEN_VARIABLE) if given else None


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    for name, level in (
        ("runcast", logging.INFO),
        ("uvicorn", logging.WARNING),
    ):  # uvicorn tells URLs at INFO
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(level)


def _advise(options: Options, token: str | None, commands: bool) -> None:
    if token is None:
        log.warning("without a token: every user and program of this machine can start the commands")
    if options.allow_any_command:
        log.warning("whoever has the token can run any command as this user (--allow-any-command)")
    elif not commands:
        log.info("nothing can be started from the web: name commands in a file (--config FILE)")


def _http_protocol() -> Callable[..., asyncio.Protocol]:
    """Return how uvicorn speaks HTTP: with shortcuts where its fast parser is installed."""
    if not _installed("httptools"):
        from runcast.server.h11 import BoundedH11Protocol

        return BoundedH11Protocol
    from runcast.server.eager import EagerProtocol

    return EagerProtocol


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # somebody took it away on purpose
        return False


class _Server(uvicorn.Server):
    """uvicorn, which says when it listens and ends its streams when it is asked to end."""

    _book: Connections

    def __init__(self, app: ServerApp, ready: Callable[[], None]) -> None:
        protocol = _http_protocol()
        config = uvicorn.Config(
            app,
            # Called for each connection: by then, there is a book.
            http=lambda **options: protocol(book=self._book, **options),  # type: ignore[arg-type]
            lifespan="off",
            log_config=None,
            access_log=False,  # it would show the token
            server_header=False,
            timeout_keep_alive=int(IDLE_SECONDS),
            h11_max_incomplete_event_size=HEAD_BYTES,
            ws_max_size=_MESSAGE_BYTES,
            ws_per_message_deflate=False,  # 300 KiB and much of a processor for each viewer
            timeout_graceful_shutdown=_GRACE_SECONDS,
            ws="auto" if importlib.util.find_spec("websockets") else "none",
        )
        super().__init__(config)
        self._cast, self._ready = app, ready
        opened = self.server_state.connections  # WebSockets included
        self._book = Connections(bound(descriptors.raise_limit()), lambda: len(opened))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._sweeper = asyncio.create_task(self._sweep())
        self._ready()

    async def _sweep(self) -> None:
        """End the connections that have waited too long, and those of clients that have vanished."""
        now = asyncio.get_running_loop().time
        for number in itertools.count(1):
            await asyncio.sleep(_LOOK_SECONDS)
            for connection in tuple(self.server_state.connections):
                if isinstance(connection, Bounded):
                    connection.look(now())
                    if connection.strange:
                        continue  # has no time to vanish
                transport = getattr(connection, "transport", None)
                if number % _VANISHED_LOOKS or transport is None or transport.is_closing():
                    continue
                if vanished(transport.get_extra_info("socket").fileno()):
                    transport.abort()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._sweeper.cancel()
        for server in self.servers:
            server.close()
        self._cast.shutdown()
        for _ in range(_LAST_WORDS):  # uvicorn would close WebSockets in the middle of their last words
            if not self._cast.viewers:
                break
            await asyncio.sleep(0.01)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """End on a signal, as uvicorn does, but do not raise it anew: to be stopped is no failure."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        heeded = [
            number for number in signals if signal.getsignal(number) != signal.SIG_IGN
        ]  # nohup ignores one
        before = {number: signal.signal(number, self.handle_exit) for number in heeded}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

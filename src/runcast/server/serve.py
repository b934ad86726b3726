"""Serving: from options to a listening server, and to its end.

Owns the process: sockets, token, signals, the log on stderr. A server does not stop while a
stream is open, so the live replies are ended first, and whatever is left
after a second is cut. Its runs do not notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import itertools
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import uvicorn

from runcast.errors import UsageError
from runcast.retention.sweep import sweep_soon
from runcast.runs import Store
from runcast.server.app import ServerApp
from runcast.server.bounded_protocol import HEAD_BYTES, IDLE_SECONDS, Bounded
from runcast.server.config import Config, load_config
from runcast.server.config.people import people_of
from runcast.server.connections import Connections, bound
from runcast.server.guard import Guard
from runcast.server.hook_route import addresses
from runcast.server.listeners import Listening, Place, listening
from runcast.server.prefix import below_path, parse_root_path, url_below
from runcast.server.proxies import App, Proxies, behind_proxies
from runcast.server.raw_request import host_name
from runcast.server.systemd import Notifier
from runcast.server.tls import Certificate, TLSListener
from runcast.store.scoped_tokens import is_scoped
from runcast.store.servers import registered
from runcast.store.token import checked, kept_token
from runcast.supervisor import descriptors
from runcast.web.http.origins import Origins, parse_origin
from runcast.web.servers.left_running import going_on, mark_logged
from runcast.web.servers.peer import vanished

__all__ = ["UNSET", "Options", "http_protocol", "serve"]

TOKEN_VARIABLE = "RUNCAST_TOKEN"
UNSET = -1  # no cap on the command line: the file's applies
_REPLIES_SECONDS = 0.3  # for live replies to end by themselves, which takes them a few milliseconds …
_STEP_SECONDS = 0.01  # between two checks that they have …
_GRACE_SECONDS = 1  # … and for slow clients to read what is left; then their connections are cut
_SWEEP_SECONDS = 1.0  # between two checks of the deadlines of all connections
_VANISHED_SWEEPS = 2  # every so many of them also closes connections of vanished clients
_MESSAGE_BYTES = 1024 * 1024  # of a WebSocket: stdin comes in small pieces

log = logging.getLogger("runcast.server")


@dataclass(frozen=True)
class Options:
    """The options of `runcast serve`; see its help."""

    place: Place = field(default_factory=Place)
    tls_cert: str | None = None
    tls_key: str | None = None
    store: str | None = None
    config: str | None = None
    token: str | None = None
    auth: bool = True
    allow_hosts: Sequence[str] = ()
    allow_origins: Sequence[str] = ()
    allow_any_command: bool = False
    cookie: bool | None = None
    log_requests: bool = False
    stream_cap: int | None = UNSET
    streams_cap: int | None = UNSET
    keep: Sequence[str] = ()
    user_header: str | None = None
    trusted_proxies: Sequence[str] = ()
    root_path: str = ""


def serve(options: Options, announce: Callable[[list[str]], None]) -> None:
    """Serve until a signal ends it.

    Args:
        options: of the command.
        announce: called once the server listens, with its URLs, token included, the best first.

    Raises:
        UsageError: an option has no meaning, or must not be combined so.
        ConfigError: the configuration file is wrong.
        CannotListen: the address cannot be bound.
        StoreUnusable: the store cannot be used, or its token is not safe.
    """
    config = load_config(options.config) if options.config is not None else Config({})
    for name in config.secret_variables:  # runs inherit this environment
        os.environ.pop(name, None)
    store = Store.open(options.store, keep=list(options.keep) or None)
    store.keep, store.bounds = store.keep or config.keep, config.bounds
    caps = [
        _chosen_cap("--stream-cap", options.stream_cap, config.stream_cap),
        _chosen_cap("--streams-cap", options.streams_cap, config.streams_cap),
    ]
    allowed = [_allowed_host(host) for host in options.allow_hosts]
    origins = Origins([*map(_allowed_origin, options.allow_origins), *config.allow_origins])
    cookie = config.cookie if options.cookie is None else options.cookie
    chosen = _chosen_token(options)
    certificate = _certificate(options)
    root_path = parse_root_path(options.root_path)
    proxies = Proxies([*options.trusted_proxies, *config.people.proxies])
    people = people_of(store.path, options.user_header, config.people, proxies, auth=options.auth)
    notifier = Notifier(os.environ)
    with contextlib.ExitStack() as stack:
        heard = stack.enter_context(listening(options.place, scheme="https" if certificate else "http"))
        if not options.auth and not heard.local:
            raise UsageError(
                f"expected --no-auth with a loopback --host only, got {heard.place}: "
                "anybody who reaches this server could run its commands, so let it have its token"
            )
        token = (chosen or kept_token(store.path)) if options.auth else None
        app = ServerApp(
            store,
            Guard(
                [*heard.names, *allowed],
                token,
                origins,
                cookie=cookie,
                signed=addresses(config.hooks),
                people=people,
            ),
            commands=config.commands,
            allow_any_command=options.allow_any_command,
            log_requests=options.log_requests,
            hooks=config.hooks,
        )
        app.caps.stream, app.caps.total = caps
        _log_to_stderr()
        if "opentelemetry.sdk.trace" in sys.modules:
            from runcast.otel import instrument_if_set_up

            if instrument_if_set_up():
                log.info("runs are spans of OpenTelemetry")

        def ready() -> None:
            urls = [url_below(root_path, url) for url in heard.urls]
            if urls[0].startswith("http"):  # a browser cannot open a path
                stack.enter_context(registered(store.path, urls[0]))
            # Before any line of the log, so that the address is easy to find.
            announce([url + (f"?token={quote(token, safe='')}" if token else "") for url in urls])
            log.info("serving the runs of %s", store.path)
            _advise(options, heard, token, bool(config.commands))
            for address in sorted(addresses(config.hooks)):
                log.info("%s%s takes signed deliveries without the token", root_path, address)
            if origins:
                log.info("pages of these origins may read: %s", ", ".join(origins))
            notifier.tell("READY=1", f"STATUS=Serving the runs of {store.path}")

        _Server(
            behind_proxies(below_path(app, root_path, proxies), proxies), app, store, ready, certificate
        ).run(list(heard.sockets))
        notifier.tell("STOPPING=1")
        if sentence := going_on(store):
            log.info("%s; the next `runcast serve` shows it", sentence)
        mark_logged(store)


def _certificate(options: Options) -> Certificate | None:
    if options.tls_cert is not None:
        return Certificate(options.tls_cert, options.tls_key)
    if options.tls_key is not None:
        raise UsageError("expected --tls-cert beside --tls-key, got no certificate")
    return None


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
    if given == UNSET:
        return default
    if given is not None and given <= 0:
        raise UsageError(f"expected {option} as more than 0 bytes, or none, got {given}")
    return given


def _chosen_token(options: Options) -> str | None:
    """Return the token from the options, if any. The variable is removed: runs inherit this environment."""
    given = os.environ.pop(TOKEN_VARIABLE, None)
    if not options.auth:
        if options.token is not None:
            raise UsageError("expected --token or --no-auth, got both: choose one of them")
        return None
    token, where = (given, TOKEN_VARIABLE) if options.token is None else (options.token, "--token")
    if token is None or (token == "" and options.token is None):
        return None
    if is_scoped(token):
        raise UsageError(f"expected {where} as the server's own token, got one of a program (runcast token)")
    return checked(token, where)


def _is_worth_logging(record: logging.LogRecord) -> bool:
    """Whether a line of uvicorn's reports a fault.

    A reply that is cut short because its run was removed or the server ends is no fault of the application:
    the cut shows a client that the text is not whole. There would be a line for each viewer.
    """
    return record.msg != "ASGI callable returned without completing response."


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(_is_worth_logging)
    for name, level in (
        ("runcast", logging.INFO),
        ("uvicorn", logging.WARNING),
    ):  # uvicorn tells URLs at INFO
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(level)


def _advise(options: Options, heard: Listening, token: str | None, commands: bool) -> None:
    if not heard.local and options.tls_cert is None:
        log.warning(
            "plain HTTP beyond this machine: others on the network can read the token and the output; "
            "use --tls-cert and --tls-key, or a proxy with TLS"
        )
    if token is None:
        log.warning("without a token: every user and program of this machine can start the commands")
    if options.allow_any_command:
        log.warning("clients with the token can run any command as this user (--allow-any-command)")
    elif not commands:
        log.info("nothing can be started from the web: name commands in a file (--config FILE)")


def http_protocol() -> Callable[..., asyncio.Protocol]:
    """Return how uvicorn speaks HTTP: with shortcuts where its fast parser is installed."""
    if not _installed("httptools"):
        from runcast.server.h11_protocol import BoundedH11Protocol

        return BoundedH11Protocol
    from runcast.server.uvicorn_fastpath import FastpathProtocol, missing

    if lacks := missing():
        log.warning("uvicorn %s has no %s: appends are slower than they could be", uvicorn.__version__, lacks)
    return FastpathProtocol


def _socket_protocol() -> Any:
    """Return how uvicorn speaks WebSocket: with the handover, where it has what that needs."""
    if not _installed("websockets"):
        return "none"
    try:
        from runcast.server.direct_socket import SocketProtocol
    except ImportError:  # an older uvicorn
        return "auto"
    return SocketProtocol


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # the module was set to None in `sys.modules`
        return False


class _Server(uvicorn.Server):
    """uvicorn, which reports when it listens and ends its streams at shutdown."""

    _book: Connections

    def __init__(
        self,
        outermost: App,
        app: ServerApp,
        store: Store,
        ready: Callable[[], None],
        certificate: Certificate | None,
    ) -> None:
        protocol = http_protocol()
        config = uvicorn.Config(
            outermost,
            proxy_headers=False,  # they are heeded there
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
            ws=_socket_protocol(),
        )
        super().__init__(config)
        self._app, self._store, self._ready, self._certificate = app, store, ready, certificate
        self._listeners: list[TLSListener] = []
        self._book = Connections(bound(descriptors.raise_limit()), self._count)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._certificate is None:
            await super().startup(sockets)
        else:
            await super().startup([])
            self._listeners += [
                TLSListener(one, self._protocol, self._certificate, self._book) for one in sockets or ()
            ]
            self.servers += self._listeners  # type: ignore[arg-type]
        self._sweeper = asyncio.create_task(self._sweep())
        gc.freeze()  # imported objects stay: to collect among them takes 30 ms, in which nothing is served
        self._ready()

    def _count(self) -> int:
        """Return how many connections there are, WebSockets and handshakes included."""
        handshakes = sum(one.handshakes for one in self._listeners)
        return len(self.server_state.connections) + handshakes

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def _sweep(self) -> None:
        """End the connections that have waited too long, and those of clients that have vanished."""
        now = asyncio.get_running_loop().time
        for number in itertools.count(1):
            await asyncio.sleep(_SWEEP_SECONDS)
            if self._certificate is not None:
                self._certificate.renew()
            sweep_soon(self._store.path, self._store.keep)  # of runs; its own clock says whether it is time
            self._app.watch.look_soon()  # and so does this one's
            for connection in tuple(self.server_state.connections):
                if isinstance(connection, Bounded):
                    connection.check_deadline(now())
                    if connection.strange:
                        continue  # its own deadline is shorter
                transport = getattr(connection, "transport", None)
                if number % _VANISHED_SWEEPS or transport is None or transport.is_closing():
                    continue
                if vanished(transport.get_extra_info("socket").fileno()):
                    transport.abort()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._sweeper.cancel()
        for server in self.servers:
            server.close()
        self._app.shutdown()
        # uvicorn would close WebSockets in the middle of their last message.
        for _ in range(round(_REPLIES_SECONDS / _STEP_SECONDS)):
            if not self._app.viewers:
                break
            await asyncio.sleep(_STEP_SECONDS)
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

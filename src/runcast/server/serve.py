"""Serving: from options to a listening server, and to its end.

Owns what one server has once, however many processes serve: sockets, token, the log on stderr, what is
announced. Its runs do not notice when it ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from runcast.errors import UsageError
from runcast.runs import Store
from runcast.server.app import ServerApp
from runcast.server.attempts import SharedAttempts
from runcast.server.config import Config, load_config
from runcast.server.config.people import people_of
from runcast.server.guard import Guard
from runcast.server.hook_route import addresses
from runcast.server.listeners import Listening, Place, listening
from runcast.server.prefix import below_path, parse_root_path, url_below
from runcast.server.proxies import Proxies, behind_proxies
from runcast.server.raw_request import host_name
from runcast.server.systemd import Notifier
from runcast.server.tls import Certificate
from runcast.server.uvicorn_server import Server, preload
from runcast.store.scoped_tokens import is_scoped
from runcast.store.servers import registered
from runcast.store.token import checked, kept_token
from runcast.web.http.origins import Origins, parse_origin
from runcast.web.servers.left_running import going_on, mark_logged

if TYPE_CHECKING:
    from runcast.server.scoreboard import Worker
    from runcast.server.workers import Report

__all__ = ["UNSET", "Options", "serve"]

TOKEN_VARIABLE = "RUNCAST_TOKEN"
UNSET = -1  # no cap on the command line: the file's applies

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
    workers: int = 1
    mcp: bool = False


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
    if options.workers > 1 and "memory:" in (options.store, options.store or os.environ.get("RUNCAST_STORE")):
        raise UsageError("expected a folder as the store of several --workers, got memory: of one process")
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
        _log_to_stderr()
        if "opentelemetry.sdk.trace" in sys.modules:
            from runcast.otel import instrument_if_set_up

            if instrument_if_set_up():
                log.info("runs are spans of OpenTelemetry")

        def ready() -> None:
            urls = [url_below(root_path, url) for url in heard.urls]
            if urls[0].startswith("http"):  # a browser cannot open a path
                stack.enter_context(registered(store.path, urls[0], url_below(root_path, heard.outside)))
            # Before any line of the log, so that the address is easy to find.
            announce([url + (f"?token={quote(token, safe='')}" if token else "") for url in urls])
            log.info("serving the runs of %s", store.path)
            _advise(options, heard, token, bool(config.commands))
            for address in sorted(addresses(config.hooks)):
                log.info("%s%s takes signed deliveries without the token", root_path, address)
            if origins:
                log.info("pages of these origins may read: %s", ", ".join(origins))
            notifier.tell("READY=1", f"STATUS=Serving the runs of {store.path}")

        def server(ready: Callable[[], None], worker: Worker | None = None) -> Server:
            app = ServerApp(
                store,
                Guard(
                    [*heard.names, *allowed],
                    token,
                    origins,
                    cookie=cookie,
                    signed=addresses(config.hooks),
                    people=people,
                    attempts=None if worker is None else SharedAttempts(worker.board),
                ),
                commands=config.commands,
                allow_any_command=options.allow_any_command,
                log_requests=options.log_requests,
                hooks=config.hooks,
                worker=worker,
                mcp=options.mcp,
            )
            app.caps.stream, app.caps.total = caps
            outermost = behind_proxies(below_path(app, root_path, proxies), proxies)
            return Server(outermost, app, store, ready, certificate, worker)

        if options.workers == 1:
            server(ready).run(list(heard.sockets))
        else:
            _run_workers(options.workers, server, heard.sockets, ready)
        notifier.tell("STOPPING=1")
        if sentence := going_on(store):
            log.info("%s; the next `runcast serve` shows it", sentence)
        mark_logged(store)


def _run_workers(
    count: int,
    server: Callable[[Callable[[], None], Worker], Server],
    sockets: Sequence[socket.socket],
    ready: Callable[[], None],
) -> None:
    from runcast.server.scoreboard import Scoreboard
    from runcast.server.workers import Workers

    def work(worker: Worker, report: Report) -> None:
        one = server(report.ready, worker)
        one.end_with(report.parent)
        one.run(list(sockets))

    preload()
    Workers(Scoreboard(count), work, ready).run()


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

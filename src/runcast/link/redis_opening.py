"""Opening a connection to a server of Redis or Valkey: its URL, its name, TLS, its user.

Owns what redis-py calls by the same names (`parse_url`, the options of a URL), without redis-py: of its
client an agent would use this alone, and loading it costs 14 MB and 100 ms of each agent. All of it
blocks, so it is called in a thread. No message has a password, or what a server says of one.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from runcast.errors import LinkDown, LinkError, LinkRefused
from runcast.link.redis_errors import DOWN
from runcast.link.resp import Parser, ServerError, pack

if TYPE_CHECKING:
    import ssl

__all__ = ["PORT", "open_socket", "parse_url", "place_of", "would_block"]

PORT: Final = 6379
_SCHEMES = ("redis", "rediss", "unix")
_TLS_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_ca_data", "ssl_certfile", "ssl_keyfile", "ssl_password")
_TLS_CHECKS = ("ssl_cert_reqs", "ssl_check_hostname")
_REQUIRED = {"none": False, "required": True}
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_RECEIVE = 4096  # bytes at once: replies of one line


def parse_url(url: str) -> dict[str, Any]:
    """Return what a URL says, each part by the name that redis-py gives it; `tls` is whether it has TLS.

    Raises:
        ValueError: this is no such URL. The message may have parts of it.
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or parts.fragment:
        raise ValueError("no URL of Redis")
    options: dict[str, Any] = {"tls": parts.scheme == "rediss", "db": 0}
    if parts.username:
        options["username"] = unquote(parts.username)
    if parts.password:
        options["password"] = unquote(parts.password)
    if parts.scheme == "unix":
        options["path"] = unquote(parts.path)
        if not parts.path.strip("/"):
            raise ValueError("no path of a socket")
    else:
        options["host"], options["port"] = unquote(parts.hostname or "localhost"), parts.port or PORT
        if database := parts.path.strip("/"):
            options["db"] = int(database)
    for name, value in parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)):
        options[name] = _option(name, value, tls=options["tls"])
    return options


def _option(name: str, value: str, *, tls: bool) -> object:
    if name == "db":
        return int(value)
    if name in ("username", "password", "client_name") or (tls and name in _TLS_FILES):
        return value
    if tls and name in _TLS_CHECKS:
        known = _REQUIRED if name == "ssl_cert_reqs" else _TRUTHS
        return known[value.lower()]
    raise ValueError(f"no option {name}")


def place_of(options: Mapping[str, Any]) -> str:
    """Return where the server of a URL is, for people."""
    return str(options["path"]) if "path" in options else "{host}:{port}".format_map(options)


def would_block(*, tls: bool) -> tuple[type[OSError], ...]:
    """Return what a socket raises that can send or receive nothing now."""
    if not tls:
        return (BlockingIOError,)
    import ssl

    return BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError


def open_socket(options: Mapping[str, Any], timeout: float, silence: float) -> socket.socket:
    """Connect, as the user and to the database that the options name; the socket does not block then.

    Args:
        options: as `parse_url` returns them.
        timeout: seconds for each step.
        silence: seconds after which what was sent must have arrived.

    Raises:
        LinkDown: there is no answer.
        LinkRefused: the server, or its certificate, is not as the options say.
    """
    where = place_of(options)
    opened: socket.socket | None = None
    try:
        opened = _connected(options, timeout, silence)
        if options["tls"]:
            opened = _encrypted(opened, options, where)
        _introduce(opened, options, where)
        opened.setblocking(False)
        return opened
    except BaseException as error:
        if opened is not None:
            opened.close()
        if isinstance(error, LinkError) or not isinstance(error, OSError | EOFError | ValueError):
            raise
        raise LinkDown(f"expected a server at {where}, none answers ({_name(error)}): is it up?") from None


def _name(error: BaseException) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def _connected(options: Mapping[str, Any], timeout: float, silence: float) -> socket.socket:
    if "path" in options:
        opened = socket.socket(socket.AF_UNIX)
        opened.settimeout(timeout)
        try:
            opened.connect(options["path"])
        except BaseException:
            opened.close()
            raise
        return opened
    opened = socket.create_connection((options["host"], options["port"]), timeout)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # of Linux
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * silence))
    return opened


def _encrypted(plain: socket.socket, options: Mapping[str, Any], where: str) -> ssl.SSLSocket:
    import ssl  # loads OpenSSL, which only these links need

    given = {name.removeprefix("ssl_"): options.get(name) for name in _TLS_FILES}
    try:
        context = ssl.create_default_context(
            cafile=given["ca_certs"], capath=given["ca_path"], cadata=given["ca_data"]
        )
        context.check_hostname = options.get("ssl_check_hostname", True) and options.get(
            "ssl_cert_reqs", True
        )
        if not options.get("ssl_cert_reqs", True):
            context.verify_mode = ssl.CERT_NONE
        if given["certfile"]:
            context.load_cert_chain(given["certfile"], given["keyfile"], given["password"])
    except (OSError, ValueError):
        plain.close()
        raise LinkRefused(
            f"expected files with certificates for {where} as the URL names them, they cannot be read: "
            "look at ssl_ca_certs, ssl_certfile and ssl_keyfile there"
        ) from None
    try:
        return context.wrap_socket(plain, server_hostname=options["host"])
    except ssl.SSLCertVerificationError:
        plain.close()
        raise LinkRefused(
            f"expected a certificate for {where} that is valid here, it is not: name the authority "
            "that signed it (rediss://…?ssl_ca_certs=FILE), or renew it"
        ) from None


def _introduce(opened: socket.socket, options: Mapping[str, Any], where: str) -> None:
    """Say who this is, and which database is meant; nothing where there is no need to."""
    requests: list[tuple[bytes | str | int, ...]] = []
    user, password = options.get("username"), options.get("password")
    if user or password:
        requests.append(("AUTH", *([user] if user else []), password or ""))
    if options["db"]:
        requests.append(("SELECT", options["db"]))
    if "client_name" in options:
        requests.append(("CLIENT", "SETNAME", options["client_name"]))
    if not requests:
        return
    opened.sendall(b"".join(map(pack, requests)))
    parser, replies = Parser(), list[object]()
    while len(replies) < len(requests):
        data = opened.recv(_RECEIVE)
        if not data:
            raise EOFError
        replies += parser.feed(data)
        for request, reply in zip(requests, replies, strict=False):
            if isinstance(reply, ServerError):
                raise _refusal(str(request[0]), reply, where)


def _refusal(request: str, error: ServerError, where: str) -> LinkError:
    if error.code in DOWN or "max number of clients" in error.text:
        return LinkDown(f"expected {where} to serve, it does not for now ({error.code}): try again")
    if request == "AUTH" or error.code in ("NOAUTH", "NOPERM"):
        return LinkRefused(
            f"expected {where} to let this user in, it does not: see user and password in the URL"
        )
    return LinkRefused(
        f"expected {where} to take the options of the URL, it does not: look at its database "
        "(0 in a cluster) and its parameters"
    )

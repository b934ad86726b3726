"""Which server is the primary now, as the sentinels say that watch it.

Owns the form of their URL, which is that of other clients in Python (redis-py itself has none), and how
they are queried. All of that blocks, so it is called in a thread. Must not know what the primary is for.

    redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME/DB?sentinel_username=…&sentinel_password=…

User, password, database and options are those of the servers; the sentinels have their own. With
`rediss+sentinel:` both have TLS, by the same options.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

from runcast.errors import LinkDown, LinkError, LinkRefused
from runcast.link.redis_opening import open_socket, parse_url
from runcast.link.resp import Parser, ServerError, pack

__all__ = ["Sentinels", "parse_sentinels"]

_SCHEMES = ("redis+sentinel", "rediss+sentinel")
_PORT: Final = 26379
_SECONDS = 1.5  # for each step with each sentinel, before the next one is tried
_UNKNOWN = "primary.invalid"
_OWN = ("sentinel_username", "sentinel_password")
_DOWN = {b"s_down", b"o_down"}
_RECEIVE = 4096  # bytes at once


class Sentinels(NamedTuple):
    """The sentinels of a primary.

    Attributes:
        addresses: where they are.
        name: of the primary, as they have it.
        options: of connections to them, as `redis_opening.parse_url` returns them.
    """

    addresses: tuple[tuple[str, int], ...]
    name: str
    options: dict[str, Any]

    def find(self) -> tuple[str, int] | LinkError:
        """Return where the primary is, as the first of them says that knows one which is up; or why not."""
        refused: LinkError | None = None
        reasons: list[str] = []
        for host, port in self.addresses:
            try:
                found = self._ask({**self.options, "host": host, "port": port})
            except LinkRefused as error:
                refused = refused or error
            except LinkDown:
                reasons.append(f"{host}:{port} does not answer")
            except (OSError, EOFError, ValueError, KeyError):  # no sentinel that we know answers so
                reasons.append(f"{host}:{port} has no answer")
            else:
                if isinstance(found, tuple):
                    return found
                reasons.append(f"{host}:{port} {found}")
        if refused is not None:
            return refused
        return LinkDown(
            f"expected a sentinel that knows a primary {self.name!r} which is up, there is none "
            f"({'; '.join(reasons)}): a failover takes some seconds"
        )

    def _ask(self, options: dict[str, Any]) -> tuple[str, int] | str:
        """Return where one sentinel says that the primary is, or why it does not."""
        where = "{host}:{port}".format_map(options)
        with open_socket(options, _SECONDS, _SECONDS) as sentinel:
            sentinel.settimeout(_SECONDS)
            sentinel.sendall(pack(("SENTINEL", "MASTER", self.name)))
            parser = Parser()
            while not (replies := parser.feed(_received(sentinel.recv(_RECEIVE)))):
                pass
        reply = replies[0]
        if isinstance(reply, ServerError):
            if "No such master" in reply.text:
                return "knows no such name"
            if reply.code in ("NOAUTH", "NOPERM"):
                raise LinkRefused(
                    f"expected the sentinel at {where} to say which server is the primary, this user may not "
                    "ask: give sentinel_username and sentinel_password in the URL, and the user the right "
                    "+sentinel|master"
                )
            raise LinkRefused(f"expected a sentinel at {where}, it is something else: look at the port")
        if not isinstance(reply, list):
            raise ValueError("no fields")
        fields = dict(zip(reply[::2], reply[1::2], strict=True))
        if _DOWN & set(fields[b"flags"].split(b",")):
            return "says that it is down"
        return fields[b"ip"].decode(), int(fields[b"port"])


def _received(data: bytes) -> bytes:
    if not data:
        raise EOFError
    return data


def parse_sentinels(url: str) -> tuple[dict[str, Any], Sentinels | None]:
    """Return the options of a URL, as `parse_url` does, and who knows where the server is, if sentinels do.

    Raises:
        ValueError, KeyError: this is no such URL. The message may have parts of it.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in _SCHEMES:
        return parse_url(url), None
    rest, _, query = rest.partition("?")
    place, _, path = rest.partition("/")
    user, at, hosts = place.rpartition("@")
    name, _, database = path.partition("/")
    addresses = tuple(map(_address, hosts.split(",")))
    if not name:
        raise ValueError("no name of a primary")
    given = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    own = {key.removeprefix("sentinel_"): value for key, value in given if key in _OWN}
    rest = urlencode([(key, value) for key, value in given if key not in _OWN])
    plain = scheme.partition("+")[0]
    options = parse_url(f"{plain}://{user}{at}{_UNKNOWN}/{database}{rest and '?' + rest}")
    shared = {key: value for key, value in options.items() if key == "tls" or key.startswith("ssl_")}
    return options, Sentinels(addresses, name, shared | own | {"db": 0})


def _address(text: str) -> tuple[str, int]:
    """Return host and port; an IPv6 address is in brackets."""
    host, port = text, ""
    if not text.endswith("]") and ":" in text:
        host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or (":" in bare) != (host == f"[{bare}]"):
        raise ValueError("no host")
    return bare, int(port) if port else _PORT

"""The URL of a store that is shared with other hosts: where the engine is, and what is ours in it.

    redis://USER:PASSWORD@HOST:PORT/DB?store=FOLDER&shelf=URL&host=NAME&lost_after=SECONDS&prefix=TEXT
        &mirrors=RULE&secret=TEXT

    file:FOLDER?shelf=URL    without an engine: shared with nobody, and with a shelf all the same

`rediss:` with TLS and `unix:` alike; `redis+sentinel://HOST:PORT,HOST:PORT/NAME/DB` names sentinels and the
primary that they watch, `rediss+sentinel:` the same with TLS. `postgresql://USER:PASSWORD@HOST:PORT/DB`, or
`postgres:`, is PostgreSQL, with its hosts as libpq has them. What is not ours in the query is the engine's.
Looks at nothing, and connects to nothing. No message has the URL, which may have a password.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from runcast.errors import StoreUnusable
from runcast.installed import check_installed
from runcast.store.links import LOST_AFTER, LinkFile
from runcast.store.shelf_urls import is_plain, parse_shelf

__all__ = ["SLIPS", "LinkUrl", "check_clients", "is_link_url", "parse_link"]

_SERVER = ": the address of a server of runs is for --server, and in Python for runcast.client"
SLIPS = {  # what to do, by the scheme of what is no store
    "valkey": ": Valkey has redis://, too",
    "unix": ": a socket of Redis is unix:///run/redis.sock, with three slashes",
    "http": _SERVER,
    "https": _SERVER,
}
_SENTINELS = ("redis+sentinel", "rediss+sentinel")
_POSTGRES = ("postgresql", "postgres")
_SCHEMES = ("redis", "rediss", "unix", *_SENTINELS, *_POSTGRES)
_SHELF = "?shelf="
_OURS = ("store", "shelf", "host", "lost_after", "prefix", "mirrors", "secret")


class LinkUrl(NamedTuple):
    """What such a URL says.

    Attributes:
        folder: of the store; None for one of its own, see `default_folder`.
        settings: of the link.
        place: the engine without user and password: a changed password is the same store.
    """

    folder: str | None
    settings: LinkFile
    place: str

    def default_folder(self, state: str) -> str:
        """Return the folder of this link's own, beside the store of the user."""
        import hashlib  # loads OpenSSL, and few stores are linked

        return f"{state}-link-{hashlib.sha256(self.place.encode()).hexdigest()[:12]}"


def is_link_url(where: str) -> bool:
    """Return whether a text names a store by the URL of an engine, or with a shelf."""
    scheme, colon, rest = where.partition(":")
    return bool(colon) and (
        (scheme in _SCHEMES and rest.startswith("//")) or (scheme == "file" and _SHELF in rest)
    )


def check_clients(settings: LinkFile) -> None:
    """Look whether what speaks to engine and shelf is here; the agent loads it later, where nobody would see.

    Raises:
        StoreUnusable: it is not.
    """
    if settings.url.partition(":")[0] in _POSTGRES:
        check_installed("psycopg", "a store that is shared through PostgreSQL", "postgres")
    if (settings.shelf or "").startswith("s3:"):
        check_installed("botocore", "a shelf at s3://", "s3")


def parse_link(where: str) -> LinkUrl:
    """Parse the URL of a store.

    Raises:
        StoreUnusable: a part of it has no meaning.
    """
    from urllib.parse import parse_qsl, quote, urlencode

    if where.startswith("file:"):
        return _parse_folder(where.removeprefix("file:"))
    if "#" in where:  # what follows would be left out without a word
        raise StoreUnusable("expected the URL of the store without #: write it as %23")
    plain, _, query = where.partition("?")
    scheme, _, rest = plain.partition("://")
    server, slash, path = rest.partition("/")
    hosts = [_host(host) for host in server.rpartition("@")[2].split(",")]
    _check_place(scheme, [host for host, _ in hosts], path)
    given = parse_qsl(query, keep_blank_values=True)
    ours = {name: value for name, value in given if name in _OURS}
    for name, value in ours.items():
        if not value:
            raise StoreUnusable(f"expected a value of {name} in the URL of the store, it is empty")
        if not is_plain(value) or "\ufffd" in value:
            raise StoreUnusable(
                f"expected UTF-8 without control characters as {name} in the URL of the store"
            )
    try:
        lost_after = float(ours.get("lost_after", LOST_AFTER))
    except ValueError:
        raise StoreUnusable("expected a number as lost_after in the URL of the store") from None
    if not 1 <= lost_after < float("inf"):
        raise StoreUnusable(f"expected lost_after of 1 second or more in the URL, got {lost_after:g}")
    others = [(name, value) for name, value in given if name not in _OURS]
    _check_mistyped([name for name, _ in others])
    url = plain + (f"?{urlencode(others, quote_via=quote)}" if others else "")
    prefix = ours.get("prefix", "runcast" if scheme in _POSTGRES else "rc:")
    engine = "postgresql" if scheme in _POSTGRES else scheme
    place = f"{engine}://{','.join(f'{host}:{port}' for host, port in hosts)}{slash}{path}?{prefix}"
    folder = ours.get("store")
    if folder is not None:
        folder = os.path.abspath(os.path.expanduser(folder))
    mirrors = ",".join(value for name, value in given if name == "mirrors")
    if "shelf" in ours:
        parse_shelf(ours["shelf"])
    settings = LinkFile(
        url, ours.get("shelf"), ours.get("host", ""), lost_after, prefix, mirrors, ours.get("secret", "")
    )
    try:
        _ = settings.keep_mirrors
    except ValueError as error:
        raise StoreUnusable(f"{error}, as mirrors in the URL of the store") from None
    return LinkUrl(folder, settings, place)


def _check_mistyped(names: list[str]) -> None:
    """Refuse a parameter that is nearly one of ours: the engine would refuse it later, out of sight."""
    if not names:
        return
    import difflib  # late: it costs a millisecond, and few URLs have any of the engine's own

    for name in names:
        for meant in difflib.get_close_matches(name.lower(), _OURS, 1, 0.75):
            raise StoreUnusable(f"expected {meant}= in the URL of the store, got {name!r:.80}=")


def _parse_folder(where: str) -> LinkUrl:
    """Parse a folder with a shelf, whose URL may stand there as it is: no other word follows."""
    from urllib.parse import unquote

    folder, _, shelf = where.removeprefix("//").partition(_SHELF)
    if not folder:
        raise StoreUnusable("expected the name of a folder as the store, as in file:FOLDER?shelf=URL")
    shelf = unquote(shelf)
    parse_shelf(shelf)
    return LinkUrl(os.path.abspath(os.path.expanduser(folder)), LinkFile("", shelf), "")


def _check_place(scheme: str, hosts: list[str], path: str) -> None:
    if scheme in _SENTINELS:
        if not all(hosts) or not path.partition("/")[0]:
            raise StoreUnusable(
                "expected sentinels and the name of the primary that they watch in the URL of the store, as "
                f"in {scheme}://HOST:26379,HOST:26379/NAME/0"
            )
    elif scheme in _POSTGRES:
        if not all(hosts):
            raise StoreUnusable(
                "expected a host in the URL of the store, there is none: "
                f"{scheme}://USER:PASSWORD@HOST:5432/DB; the folder of a socket is %2Fvar%2Frun%2Fpostgresql"
            )
    elif len(hosts) > 1:
        raise StoreUnusable(
            "expected one server in the URL of the store: any of a cluster will do, and sentinels are "
            "redis+sentinel://HOST:26379,HOST:26379/NAME/0"
        )
    elif scheme != "unix" and not hosts[0]:
        raise StoreUnusable("expected a host in the URL of the store, there is none: redis://HOST:PORT/0")


def _host(text: str) -> tuple[str, str]:
    """Return host and port of one server, without brackets; "" for none of either."""
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise StoreUnusable(
                "expected the URL of the store as redis://HOST:PORT/0, got one with half an IPv6 address"
            )
        port = port[1:]
    else:
        host, _, port = text.partition(":")
    if port and not (port.isdecimal() and int(port) < 65536):
        raise StoreUnusable(
            "expected a number below 65536 as port in the URL of the store: in user and password / is "
            "written as %2F, ? as %3F and @ as %40"
        )
    return host.lower(), port

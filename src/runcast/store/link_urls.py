"""The URL of a store that is shared with other hosts: where the engine is, and what is ours in it.

    redis://USER:PASSWORD@HOST:PORT/DB?store=FOLDER&shelf=URL&host=NAME&lost_after=SECONDS&prefix=TEXT

`rediss:` with TLS and `unix:` alike. What is not ours in the query is the engine's. Looks at nothing, and
connects to nothing. No message has the URL, which may have a password.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from runcast.errors import StoreUnusable
from runcast.store.links import LOST_AFTER, LinkFile

__all__ = ["LinkUrl", "is_link_url", "parse_link"]

_SCHEMES = ("redis", "rediss", "unix")
_OURS = ("store", "shelf", "host", "lost_after", "prefix")


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
    """Return whether a text names a store by the URL of an engine."""
    scheme, colon, rest = where.partition(":")
    return bool(colon) and scheme in _SCHEMES and rest.startswith("//")


def parse_link(where: str) -> LinkUrl:
    """Parse the URL of a store.

    Raises:
        StoreUnusable: a part of it has no meaning.
    """
    from urllib.parse import parse_qsl, urlencode, urlsplit

    try:
        parts = urlsplit(where)
    except ValueError:
        raise StoreUnusable(
            "expected the URL of the store as redis://HOST:PORT/0, got one with half an IPv6 address"
        ) from None
    given = parse_qsl(parts.query, keep_blank_values=True)
    ours = {name: value for name, value in given if name in _OURS}
    if parts.scheme != "unix" and not parts.hostname:
        raise StoreUnusable("expected a host in the URL of the store, there is none: redis://HOST:PORT/0")
    for name, value in ours.items():
        if not value:
            raise StoreUnusable(f"expected a value of {name} in the URL of the store, it is empty")
    try:
        lost_after = float(ours.get("lost_after", LOST_AFTER))
        port = parts.port
    except ValueError:
        raise StoreUnusable("expected numbers as port and lost_after in the URL of the store") from None
    if not 1 <= lost_after < float("inf"):
        raise StoreUnusable(f"expected lost_after of 1 second or more in the URL, got {lost_after:g}")
    rest = [(name, value) for name, value in given if name not in _OURS]
    url = where.partition("#")[0].partition("?")[0] + (f"?{urlencode(rest)}" if rest else "")
    prefix = ours.get("prefix", "rc:")
    place = f"{parts.scheme}://{parts.hostname or ''}:{port or ''}{parts.path}?{prefix}"
    folder = ours.get("store")
    if folder is not None:
        folder = os.path.abspath(os.path.expanduser(folder))
    settings = LinkFile(url, ours.get("shelf"), ours.get("host", ""), lost_after, prefix)
    return LinkUrl(folder, settings, place)

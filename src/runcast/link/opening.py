"""Opening a link by its URL. The client of an engine is loaded here, when one is opened, and nowhere else."""

from __future__ import annotations

import importlib

from runcast.errors import StoreUnusable, UsageError
from runcast.link.base import Link

__all__ = ["open_link"]

_SCHEMES = ("redis", "rediss", "unix")


def open_link(url: str, *, prefix: str = "rc:") -> Link:
    """Return a link, which is not connected yet: `hello` does that.

    Args:
        url: `redis://USER:PASSWORD@HOST:PORT/DB`, `rediss://…` with TLS, or `unix://PATH`.
        prefix: of all keys and channels.

    Raises:
        UsageError: there is no engine of this kind, or it is no URL.
        StoreUnusable: what speaks to this engine is not installed.
    """
    scheme = url.partition(":")[0]
    if scheme not in _SCHEMES:
        raise UsageError(f"expected a URL that begins with {', '.join(_SCHEMES)}, got {scheme[:20]!r}")
    try:
        # The package before its modules: a thread that imports it just now would break our import, or we its.
        importlib.import_module("redis")
        from runcast.link.redis_link import RedisLink
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "redis":
            raise
        raise StoreUnusable(
            "expected the package redis for this link, it is not installed: pip install 'runcast[redis]'"
        ) from None
    return RedisLink(url, prefix)

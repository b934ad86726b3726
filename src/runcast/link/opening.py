"""Opening a link by its URL. What speaks to an engine is loaded here, when one is opened."""

from __future__ import annotations

import importlib

from runcast.errors import StoreUnusable, UsageError
from runcast.link.base import Link

__all__ = ["open_link"]

_REDIS = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_POSTGRES = ("postgresql", "postgres")


def open_link(url: str, *, prefix: str | None = None) -> Link:
    """Return a link, which is not connected yet: `hello` does that.

    Args:
        url: `redis://USER:PASSWORD@HOST:PORT/DB`, `rediss://…` with TLS, or `unix://PATH`; or
            `redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME/DB`, which is the server that these
            sentinels say is the primary NAME now, `rediss+sentinel://…` with TLS; or
            `postgresql://USER:PASSWORD@HOST:PORT/DB`, with options as libpq has them.
        prefix: of all keys and channels, `rc:` by default; in PostgreSQL the schema of the tables,
            `runcast` by default.

    Raises:
        UsageError: there is no engine of this kind, or it is no URL.
        StoreUnusable: what speaks to PostgreSQL is not installed.
    """
    scheme = url.partition(":")[0]
    if scheme in _REDIS:
        from runcast.link.redis_link import RedisLink

        return RedisLink(url, prefix or "rc:")
    if scheme in _POSTGRES:
        try:
            # The package before our modules: a thread that imports it just now would break ours, or we its.
            importlib.import_module("psycopg")
        except ImportError:  # or it finds no libpq
            raise StoreUnusable(
                "expected the package psycopg for this link, it is not installed: "
                "pip install 'runcast[postgres]'"
            ) from None
        from runcast.link.postgres_link import PostgresLink

        return PostgresLink(url, prefix or "runcast")
    expected = ", ".join((*_REDIS, *_POSTGRES))
    raise UsageError(f"expected a URL that begins with {expected}, got {scheme[:20]!r}")

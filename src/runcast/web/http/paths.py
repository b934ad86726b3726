"""Where the Durable Streams protocol is mounted, for all who must tell its paths from the others."""

from __future__ import annotations

from typing import Final

__all__ = ["STREAMS", "STREAM_PREFIX", "is_stream"]

STREAMS: Final = "/v1/stream"  # where it is mounted …
STREAM_PREFIX: Final = STREAMS + "/"  # … and what each path of it begins with


def is_stream(path: str) -> bool:
    """Return whether a path is one of the protocol's."""
    return path.startswith(STREAM_PREFIX)

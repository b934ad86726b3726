"""The URL of a shelf: which folder or bucket it is, and the rules of what stays elsewhere.

    file:///mnt/runs?local_age=7d&local_bytes=10G&link_age=10m
    s3://BUCKET/PREFIX?region=eu-central-1&local_age=7d
    s3://BUCKET?endpoint=https://minio.example:9000

Looks at nothing.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final, NamedTuple

from runcast.errors import StoreUnusable
from runcast.quantities import duration, size
from runcast.utf8 import is_text

__all__ = ["Bucket", "ShelfRules", "is_plain", "parse_shelf"]

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ENDPOINT = re.compile(  # botocore takes no other names of hosts
    rf"https?://(?:\[[0-9A-Fa-f:.]+\]|{_LABEL}(?:\.{_LABEL})*)(?::[0-9]{{1,5}})?/?", re.ASCII
)
LINK_SECONDS: Final = 600.0
"""For how many seconds the link keeps the output of a run that is on the shelf."""


class Bucket(NamedTuple):
    """A bucket of a server that speaks the protocol of Amazon S3.

    Attributes:
        name: the bucket's.
        prefix: what the name of each object begins with, such as `runs/`, or nothing.
        endpoint: the server, as an http or https URL; None for Amazon's.
        region: of the bucket; None for that of the environment.
    """

    name: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None

    def __str__(self) -> str:
        at = f" at {self.endpoint}" if self.endpoint else ""
        return f"s3://{self.name}/{self.prefix}".rstrip("/") + at


class ShelfRules(NamedTuple):
    """What of a run that is on the shelf stays elsewhere.

    Attributes:
        local_age: seconds for which output stays on this disk, since it was written or brought back;
            None for ever.
        local_bytes: how much of it stays here, in bytes, what came last first; None for all.
        link_age: seconds for which it stays at the link.
    """

    local_age: float | None = None
    local_bytes: int | None = None
    link_age: float = LINK_SECONDS

    @property
    def local(self) -> bool:
        """Whether any output leaves this disk."""
        return self.local_age is not None or self.local_bytes is not None


def parse_shelf(url: str) -> tuple[str | Bucket, ShelfRules]:
    """Return the folder or the bucket that a URL names, and the rules.

    Raises:
        StoreUnusable: a part of it has no meaning.
    """
    from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

    if "#" in url:  # what follows would be left out without a word
        raise StoreUnusable("expected the URL of the shelf without #: write it as %23")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise StoreUnusable(f"expected the URL of a shelf, got {_shown(url)}") from None
    path = os.fsdecode(unquote_to_bytes(os.fsencode(parts.path)))
    if not is_plain(path):
        raise StoreUnusable("expected a path without control characters in the URL of the shelf")
    words: dict[str, str] = {}
    rules: dict[str, Any] = {}
    names = ShelfRules._fields + (("endpoint", "region") if parts.scheme == "s3" else ())
    try:
        for name, value in parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)):
            if name not in names:
                raise ValueError(f"expected {', '.join(names)}, got {name!r:.40}")
            if name in rules or name in words:
                raise ValueError(f"expected {name} once")
            if name in ShelfRules._fields:
                rules[name] = size(value) if name == "local_bytes" else duration(value)
            else:
                words[name] = value
    except ValueError as error:
        raise StoreUnusable(
            f"expected rules behind the URL of the shelf, such as ?local_age=7d&local_bytes=10G: {error}"
        ) from None
    if parts.scheme == "s3":
        return _bucket(parts.netloc, path, words), ShelfRules(**rules)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not path.startswith("/"):
        raise StoreUnusable(
            f"expected a folder as the shelf, such as file:///mnt/runs, or a bucket, such as s3://runs, got "
            f"{_shown(url)}: name the folder where it is mounted"
        )
    return os.path.normpath(path), ShelfRules(**rules)


def _bucket(name: str, path: str, words: dict[str, str]) -> Bucket:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name):
        raise StoreUnusable(
            "expected a bucket as the shelf, such as s3://runs or s3://runs/team, got another name: keys and "
            "passwords belong into the environment or ~/.aws/credentials"
        )
    endpoint = words.get("endpoint")
    if endpoint is not None and not _ENDPOINT.fullmatch(endpoint):
        raise StoreUnusable(
            "expected the server of the shelf as endpoint, such as endpoint=https://minio.example:9000, got "
            "something else: a host's name has letters, digits, hyphens and dots, so not the `_` of my_minio"
        )
    prefix = path.strip("/")
    if not is_text(prefix):
        raise StoreUnusable("expected UTF-8 behind the name of the bucket in the URL of the shelf")
    return Bucket(name, f"{prefix}/" if prefix else "", endpoint, words.get("region"))


def is_plain(text: str) -> bool:
    """Return whether a text has no control characters: names with them are mistakes, and spoil messages."""
    return all(character >= " " and character != "\x7f" for character in text)


def _shown(url: str) -> str:
    """Return what a URL begins with: what follows may be a secret."""
    scheme, colon, _ = url.partition("://")
    return f"{scheme:.20}://…" if colon else "a text without file:// or s3://"

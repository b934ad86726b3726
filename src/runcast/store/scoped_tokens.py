"""The scoped tokens of a store: what programs may do with a token of their own, and until when.

Owns their files, `<store>/.tokens/NAME.json`, one for each, and the form of a token: `runcast`, its name and
its secret, with dots between. Of the secret only a hash is kept, of 256 random bits, which no guess finds:
so no slow hash is needed. A file is read at each use, and never remembered: a token that was revoked ends
with its file, at once and in every process.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from runcast.errors import FileDamaged, UsageError
from runcast.json_objects import parse_object
from runcast.rights import Rights
from runcast.store.audit import audited
from runcast.sysio.files import folder, make_folders, names_in, read_own
from runcast.sysio.writes import write_once

__all__ = ["ScopedToken", "TokenFiles", "is_scoped"]

FOLDER = ".tokens"  # in the store; a leading dot: no run
_SECRET_BYTES = 32
_FILE_BYTES = 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_TOKEN = re.compile(r"runcast\.([A-Za-z0-9][A-Za-z0-9_-]{0,63})\.[A-Za-z0-9_-]{43}")
_NOBODYS = "0" * 64  # the hash that is compared where there is no such token


class ScopedToken(NamedTuple):
    """A token of a program.

    Attributes:
        name: unique in the store.
        rights: what it may do.
        created_at: when it was made, in seconds since the epoch.
        expires_at: when it ends; None for never.
    """

    name: str
    rights: Rights
    created_at: float
    expires_at: float | None

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= time.time()


class TokenFiles:
    """The scoped tokens of one store.

    Args:
        store: its folder.
    """

    def __init__(self, store: str) -> None:
        self._store, self._folder = store, f"{store}/{FOLDER}"

    def add(self, name: str, may: Sequence[str], expires_at: float | None) -> str:
        """Make a token and return it; it is kept nowhere, so this is the only time.

        Args:
            name: unique among those of the store, expired ones included.
            may: what it may do; see `Rights`.
            expires_at: when it ends, in seconds since the epoch; None for never.

        Raises:
            UsageError: the name is taken or none, or a word has no meaning.
            OSError: the store cannot be written to.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(
                "expected the name of a token as up to 64 letters, digits, _ and -, a letter or digit first, "
                f"got {name!r:.80}"
            )
        rights = Rights(may)
        if not rights.words:
            raise UsageError("expected what the token may do, got nothing: --may start:backup")
        token = f"runcast.{name}.{secrets.token_urlsafe(_SECRET_BYTES)}"
        value = {
            "name": name,
            "may": rights.words,
            "created_at": time.time(),
            "expires_at": expires_at,
            "sha256": _hash(token),
        }
        make_folders(self._store)
        draft = f"{folder(self._folder, make=True)}/.{name}-{secrets.token_hex(8)}"
        with audited(self._store, "token add", name=name):
            if not write_once(draft, self._path(name), json.dumps(value).encode() + b"\n"):
                raise UsageError(
                    f"expected a name that no token has, {name!r} is taken: revoke it, or use another"
                )
        return token

    def list(self) -> Iterator[ScopedToken]:
        """Yield all tokens by name, expired ones as well; what is no token's file is passed over."""
        for file in sorted(names_in(self._folder)):
            name = file.removesuffix(".json")
            if _NAME.fullmatch(name) and (value := self._read(name)) is not None:
                yield _token_of(value)

    def revoke(self, name: str) -> None:
        """End a token, at once.

        Raises:
            UsageError: there is none of this name.
            OSError: the store cannot be written to.
        """
        with audited(self._store, "token revoke", name=name[:80]):
            try:
                if not _NAME.fullmatch(name):
                    raise FileNotFoundError
                os.unlink(self._path(name))
            except FileNotFoundError:
                names = ", ".join(one.name for one in self.list()) or "there are none"
                raise UsageError(f"expected the name of a token ({names}), got {name!r:.80}") from None

    def find(self, token: str) -> ScopedToken | None:
        """Return what a token stands for, expired or not; None for one that is wrong, or was revoked.

        Args:
            token: untrusted; its hash is compared in constant time.
        """
        match = _TOKEN.fullmatch(token)
        value = None if match is None else self._read(match[1])
        same = hmac.compare_digest(_hash(token), _NOBODYS if value is None else value["sha256"])
        return _token_of(value) if same and value is not None else None

    def named(self, name: str) -> ScopedToken | None:
        """Return the token with a name, expired or not; None where there is none, or no more."""
        value = self._read(name) if _NAME.fullmatch(name) else None
        return None if value is None else _token_of(value)

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}.json"

    def _read(self, name: str) -> dict[str, Any] | None:
        with contextlib.suppress(FileNotFoundError, FileDamaged, ValueError, UsageError):
            value = parse_object(read_own(self._path(name), _FILE_BYTES))
            if _is_token(value, name):
                Rights(value["may"])
                return value
        return None


def is_scoped(token: str) -> bool:
    """Return whether a text has the form of such a token."""
    return _TOKEN.fullmatch(token) is not None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _is_token(value: dict[str, Any], name: str) -> bool:
    may, expires = value.get("may"), value.get("expires_at")
    numbers = [value.get("created_at"), *([] if expires is None else [expires])]
    return (
        value.get("name") == name
        and isinstance(value.get("sha256"), str)
        and re.fullmatch(r"[0-9a-f]{64}", value["sha256"]) is not None
        and isinstance(may, list)
        and all(isinstance(word, str) for word in may)
        and "expires_at" in value
        and all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers)
    )


def _token_of(value: dict[str, Any]) -> ScopedToken:
    return ScopedToken(value["name"], Rights(value["may"]), value["created_at"], value["expires_at"])

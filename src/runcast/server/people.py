"""The people and programs of a server, beside the owner of its token: by a token of their own, or by a proxy.

Owns what a request must have to be from one of them, and the sentence where it nearly has. A scoped token
counts in the header `Authorization` alone: programs can send one, and a browser that keeps none gives none
away. The header with a user's name counts from a trusted proxy alone. From elsewhere it is as if it were not
there, so that nobody gains by sending it, and the refusal says so: that is how an operator learns that the
address of the proxy is not among the trusted ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from runcast.errors import UsageError
from runcast.rights import Rights
from runcast.server.proxies import Proxies
from runcast.server.raw_request import RawRequest
from runcast.store.scoped_tokens import ScopedToken, TokenFiles
from runcast.web.http.person import Person
from runcast.who import Kind, Who
from runcast.wire.jsons import rfc3339

__all__ = ["DEFAULT", "Found", "People", "Role", "Roles", "parse_header"]

DEFAULT = "default"  # the role of those who have no other
_READ_ONLY = ("read",)
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_OTHERS = {"authorization", "cookie", "host", "origin", "forwarded"}  # which say something else
_USER = re.compile(r"[^\x00-\x1f\x7f,]{1,200}")  # a comma is what joins two headers


class Role(NamedTuple):
    """Some users, and what they may."""

    users: Sequence[str]
    may: Sequence[str]


class Roles:
    """What users may, by name.

    Args:
        roles: by the name of the role; `default` is that of all users who have no other, and without it they
            may only read.
    """

    def __init__(self, roles: Mapping[str, Role] = {}) -> None:
        self._words: dict[str, list[str]] = {}
        for name, role in roles.items():
            for user in role.users if name != DEFAULT else ():
                self._words.setdefault(user, []).extend(role.may)
        self._default = Rights(roles[DEFAULT].may if DEFAULT in roles else _READ_ONLY)
        self._rights = {user: Rights(dict.fromkeys(words)) for user, words in self._words.items()}

    def of(self, user: str) -> Rights:
        """Return what a user may; of one with several roles all of it."""
        return self._rights.get(user, self._default)


class Found(NamedTuple):
    """What a request has of a person.

    Attributes:
        person: who it is; None for nobody.
        error: the name of the error where it has something that does not count; else empty.
        why: a sentence on that.
    """

    person: Person | None = None
    error: str = ""
    why: str = ""


_NOBODY = Found()


class People:
    """Finds out who sends a request.

    Args:
        tokens: the scoped tokens.
        header: which has the name of a user, from a trusted proxy; None for no header.
        proxies: the trusted ones.
        roles: what users may.
    """

    def __init__(
        self,
        tokens: TokenFiles | None = None,
        *,
        header: str | None = None,
        proxies: Proxies | None = None,
        roles: Roles | None = None,
    ) -> None:
        self._tokens = tokens
        self._header = None if header is None else header.lower()
        self._shown = header or ""
        self._proxies, self._roles = proxies or Proxies(), roles or Roles()

    def by_token(self, bearers: Iterable[str]) -> Found:
        """Return the program whose token is among some that were sent."""
        found = [token for text in bearers if (token := self._find(text)) is not None]
        for token in found:
            if not token.expired:
                return Found(self._program(token))
        if found:
            ended = rfc3339(found[0].expires_at)
            why = f"expected a token that is still valid, {found[0].name} expired at {ended}: add another"
            return Found(error="ExpiredToken", why=why)
        return _NOBODY

    def _find(self, text: str) -> ScopedToken | None:
        return None if self._tokens is None else self._tokens.find(text)

    def _program(self, token: ScopedToken) -> Person:
        def lapsed() -> bool:
            """Return whether it was revoked, also where another of its name was made since."""
            now = None if self._tokens is None else self._tokens.named(token.name)
            return now is None or now.expired or now.created_at != token.created_at

        who = Who(Kind.SCOPED_TOKEN, token.name)
        return Person(who, token.rights, token.expires_at, lapsed)

    def by_proxy(self, request: RawRequest, peer: str) -> Found:
        """Return the user whom a trusted proxy names.

        Args:
            request: what came.
            peer: the address of the connection itself; empty for a Unix socket.
        """
        if self._header is None or not (given := request.headers.get(self._header)):
            return _NOBODY
        if not self._proxies.trust(peer):
            where = peer or "a Unix socket"
            why = f"expected {self._shown} from a trusted proxy (--trusted-proxy), it came from {where}"
            return Found(error="UntrustedProxy", why=why)
        name = _decoded(given[0]) if len(given) == 1 else None
        if name is None:
            why = f"expected {self._shown} once, with the name of one user, got {', '.join(given)!r:.80}"
            return Found(error="WrongUser", why=why)
        return Found(Person(Who(Kind.PROXY_USER, name), self._roles.of(name)))


def parse_header(text: object) -> str:
    """Return the name of a header that may have a user's name.

    Raises:
        UsageError: it is none, or has another meaning.
    """
    if not isinstance(text, str) or not _HEADER.fullmatch(text) or text.lower() in _OTHERS:
        raise UsageError(
            f"expected a header that the proxy sets for this alone, such as X-Remote-User, got {text!r:.80}"
        )
    return text


def _decoded(value: str) -> str | None:
    """Return a name, which proxies send in UTF-8; None where it is none."""
    try:
        name = value.strip().encode("latin-1").decode()
    except UnicodeError:
        return None
    return name if _USER.fullmatch(name) else None

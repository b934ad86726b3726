"""Share links: a token that lets its holder read one run until a time, and do nothing else.

Owns what a token is, where a request has one, and the cookie that takes its place in a browser. A token is
its expiry and a MAC over that and the run's id, so nothing is kept for it: it ends with its time, with its
run, and with the secret. Decides nothing: who checks a request says what a valid token allows.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl, quote, unquote_plus

__all__ = [
    *("COOKIE", "PARAMETER", "SHARED", "ShareKey"),
    *("cookie_values", "given_in", "share_cookie", "without_share"),
]

SHARED: Final = "runcast.shared"  # in an ASGI scope: the guard let it in by a share link, and by nothing else
PARAMETER: Final = "share"
COOKIE: Final = "runcast-share"
_LABEL = b"runcast share 1"  # another use of the same secret has another key
_EXPIRES = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
_MOST = 8  # tokens of one request that are looked at; a browser sends one
_IN_PATHS = "/:@!$&'()*+,=~"  # what browsers leave as it is in a path, but for `;`, which ends a cookie's


class ShareKey:
    """Makes and checks tokens.

    Args:
        secret: of the server or the application; its key for tokens is derived from it.
    """

    def __init__(self, secret: str | bytes) -> None:
        data = secret.encode("utf-8", "surrogateescape") if isinstance(secret, str) else secret
        self._key = hmac.digest(data, _LABEL, "sha256")

    def token(self, run_id: str, expires: int) -> str:
        """Return a token for a run, valid until `expires`, in seconds since the epoch."""
        mac = hmac.digest(self._key, f"{run_id} {expires}".encode(), "sha256")
        return f"{expires}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"

    def expiry(self, run_id: str, tokens: Iterable[str]) -> int | None:
        """Return when the last of those tokens expires that are this key's and for this run; else None.

        Args:
            run_id: the whole id of the run, in lower case.
            tokens: untrusted; compared in constant time.
        """
        found = [self._expiry(run_id, token) for token in list(tokens)[:_MOST]]
        return max((expires for expires in found if expires is not None), default=None)

    def _expiry(self, run_id: str, token: str) -> int | None:
        text = token.partition(".")[0]
        if not _EXPIRES.fullmatch(text):
            return None
        right = self.token(run_id, int(text))
        same = hmac.compare_digest(right.encode(), token.encode("utf-8", "surrogateescape"))
        return int(text) if same else None


def given_in(query: str, cookies: Iterable[str] = ()) -> list[str]:
    """Return the tokens of a request, unchecked.

    Args:
        query: as it came.
        cookies: the values of the headers `Cookie`.
    """
    in_query = [value for name, value in parse_qsl(query) if name == PARAMETER]
    return in_query + cookie_values(cookies, COOKIE)


def cookie_values(cookies: Iterable[str], name: str) -> list[str]:
    """Return all values that headers `Cookie` have for a name."""
    pairs = (part.strip().partition("=") for header in cookies for part in header.split(";"))
    return [value.strip('"') for one, _, value in pairs if one == name]


def without_share(query: str) -> str:
    """Return a query without its tokens, and all else of it as it was."""
    return "&".join(part for part in query.split("&") if part and not _is_share(part))


def _is_share(part: str) -> bool:
    return unquote_plus(part.partition("=")[0]) == PARAMETER


def share_cookie(root: str, run_id: str, token: str, seconds: int, *, secure: bool) -> str:
    """Return a `Set-Cookie` with a token, for the page of a run and what is below it.

    Args:
        root: the path of the place that holds `/runs`, decoded.
        run_id: of the run.
        token: a valid one.
        seconds: until it expires.
        secure: whether the browser came by https.
    """
    path = quote(f"{root}/runs/{run_id}", safe=_IN_PATHS)
    # Lax: a link in a chat leads here from another site, with the cookie of an earlier visit as well.
    flags = f"Max-Age={seconds}; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
    return f"{COOKIE}={token}; Path={path}; {flags}"

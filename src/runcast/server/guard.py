"""The guard: who may ask, before anything else is looked at.

Owns the checks and their order: the name of this host, who asks, the page
that asks, what kind of request, what it may change. A web page of somebody else can reach a
server on this machine, and after DNS rebinding it can even send what only our own pages could:
then nothing but `Host` gives it away. So each check is made on every request, in this order.

Pure: values in, a verdict out; the only state is how many wrong tokens came of late. Wrong ones
are only slowed down to protect the log; what makes guessing hopeless is a token's length. A
right one is never locked out, for else anybody could lock out everybody.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Collection, Iterable
from typing import NamedTuple
from urllib.parse import parse_qsl

from runcast.server.asked import Asked, host_name, local_url, same_origin, spellings, without_token
from runcast.server.replies import page, problem, redirect
from runcast.web.durable.routes import PREFIX
from runcast.web.http import Reply
from runcast.web.origins import Origins

__all__ = ["Guard", "Verdict"]

FAILURES = 10  # wrong tokens that are answered at once …
FAILURE_SECONDS = 6.0  # … and how long until one more is
_SAFE = ("GET", "HEAD", "OPTIONS")
_SITES = ("same-origin", "none")
_REALM = 'Bearer realm="runcast"'


class Verdict(NamedTuple):
    """What the guard says.

    Attributes:
        reply: what to answer instead; None where the request may pass.
        note: what to log, if anything.
        reads_only: it is of a page of another origin, which may read and nothing else.
    """

    reply: Reply | None = None
    note: str = ""
    reads_only: bool = False


PASSED = Verdict()


class Guard:
    """Decides which requests may pass.

    Args:
        hosts: the names and addresses that this server is called by, without ports.
        token: what whoever asks must know; None lets everybody in who passes the other checks.
        origins: other origins, whose pages may read if they know the token.
        cookie: whether a browser gets a cookie for the token; without one each request must have the
            token itself, in a header or in its URL.
    """

    def __init__(
        self,
        hosts: Collection[str],
        token: str | None,
        origins: Origins | None = None,
        *,
        cookie: bool = True,
    ) -> None:
        self.origins = origins or Origins()
        self.hosts = frozenset(filter(None, (host_name(host) for host in hosts)))
        self._token = token.encode() if token is not None else None
        self._sets_cookie = cookie
        self._spelled = spellings(token) if token is not None else None
        self._failures = float(FAILURES)  # that may still come
        self._counted_at = -math.inf
        # The cookie goes to every server on this host, whatever its port: so its value is not the
        # token, and its name is this token's, or servers side by side would overwrite each other's.
        self._cookie = self._derived("cookie") if token is not None else ""
        self.cookie_name = f"runcast-{self._derived('name')[:12]}" if token is not None else ""

    @property
    def asks(self) -> bool:
        """Whether who asks must know the token."""
        return self._token is not None

    def hide(self, text: str) -> str:
        """Return a URL for the log: the token is not shown, wherever it stands."""
        return text if self._spelled is None else self._spelled.sub("***", text)

    def _derived(self, what: str) -> str:
        return hmac.new(self._token or b"", f"runcast {what}".encode(), hashlib.sha256).hexdigest()

    def check(
        self,
        method: str,
        path: str,
        query: str,
        headers: Iterable[tuple[str, str]],
        now: float,
        scheme: str = "http",
    ) -> Verdict:
        """Return whether a request may pass, and what to answer where it may not.

        Args:
            method: in upper case; of a WebSocket's handshake GET.
            path: as it came, percent-encoded.
            query: as it came.
            headers: names in lower case, in order.
            now: seconds, of a clock that does not go back.
            scheme: http, https, ws or wss.
        """
        known: dict[str, list[str]] = {}
        for name, value in headers:
            known.setdefault(name, []).append(value)
        asked = Asked(method, path, query, known, scheme)
        reply = self._wrong_host(asked)
        if reply is not None:
            return Verdict(reply)
        reads_only = self._reads_only(asked)
        if reads_only and method == "OPTIONS":
            return PASSED  # a preflight, which never has the token
        by_query = False
        if self._token is not None:
            valid, tried, by_query = self._authenticate(asked, reads_only)
            if not valid:
                unknown = self._unknown(asked, tried, now)
                if reads_only and unknown.reply is not None:
                    return unknown._replace(reply=self.origins.refused(asked.one, unknown.reply))
                return unknown
        if reads_only:
            return Verdict(reads_only=True)
        if method == "OPTIONS" and path.startswith(PREFIX):
            return PASSED  # a preflight: what may be asked for is no secret, and no page is let in by it
        reply = self._foreign(asked) or self._unsafe(asked)
        if reply is not None:
            return Verdict(reply)
        if by_query and not self._sets_cookie:
            return Verdict(_no_cookie(asked, 403)) if asked.wants_page else PASSED
        if by_query:
            return Verdict(redirect(without_token(asked), [("Set-Cookie", self._set_cookie(asked))]))
        return PASSED

    def _wrong_host(self, asked: Asked) -> Reply | None:
        given = asked.one("host")
        if host_name(given or "", port=True) in self.hosts:
            return None
        detail = (
            f"expected this server's name as the Host, got {given!r:.100}: "
            "`runcast serve --allow-host NAME` allows another name"
        )
        if asked.wants_page:
            return page(421, "This server is not called that", [detail])
        return problem(421, "WrongHost", detail)

    def _reads_only(self, asked: Asked) -> bool:
        """Return whether a page of a listed origin, another than ours, asks to read or whether it may."""
        return self.origins.may_read(asked.method, asked.path, asked.one) and not same_origin(
            asked.one("origin") or "", asked
        )

    def _authenticate(self, asked: Asked, reads_only: bool) -> tuple[bool, bool, bool]:
        """Return whether some token is right, whether one was given, and whether it is the URL's."""
        assert self._token is not None
        bearers = [
            value[7:].strip()
            for value in asked.headers.get("authorization", ())
            if value[:7].lower() == "bearer "
        ]
        cookies = [
            value.strip('"')
            for header in asked.headers.get("cookie", ())
            for name, _, value in (part.strip().partition("=") for part in header.split(";"))
            if name == self.cookie_name
        ]
        if reads_only or not self._sets_cookie:
            # The person's cookie is for our pages, and an EventSource cannot send a header.
            cookies = []
        in_url = asked.navigation or reads_only or not self._sets_cookie
        urls = [value for name, value in parse_qsl(asked.query) if name == "token"] if in_url else []
        # Every one is compared, in constant time: neither how long it takes nor which was right is told.
        by_query = _any_equal(urls, self._token)
        by_header = _any_equal(bearers, self._token) | _any_equal(cookies, self._cookie.encode())
        return by_query or by_header, bool(bearers or cookies or urls), bool(urls) and (by_query or by_header)

    def _unknown(self, asked: Asked, tried: bool, now: float) -> Verdict:
        """Answer somebody without a token, or with a wrong one."""
        status, note, wait = 401, "", 0
        challenge = f'{_REALM}, error="invalid_token"' if tried else _REALM
        headers = [("WWW-Authenticate", challenge)]
        if tried:
            wait = self._count_failure(now)
            if wait:
                status, headers = 429, [("Retry-After", str(wait))]
            else:
                note = "a wrong token"
        if asked.wants_page and not self._sets_cookie:
            return Verdict(_no_cookie(asked, status, headers), note)
        if asked.wants_page:
            title = "This server wants its token" if status == 401 else "Too many wrong tokens"
            said = [
                "Open the address that `runcast serve` printed when it started: the token is at its end "
                "(http://…/?token=…). This browser remembers it from then on.",
                "Has this browser been here before, and a link elsewhere brought you? Then open it again.",
            ]
            return Verdict(
                page(status, title, said, headers, again=without_token(asked), ask_token=True), note
            )
        where = "it is in the URL that `runcast serve` printed"
        if status == 429:
            error = "TooManyAttempts"
            detail = f"expected no more than a wrong token now and then: wait {wait} s, or send the right one"
        elif tried:
            error, detail = "WrongToken", f"expected this server's token, got another: {where}"
        else:
            error = "NoToken"
            detail = f"expected this server's token, got none: send `Authorization: Bearer TOKEN`; {where}"
        return Verdict(problem(status, error, detail, headers), note)

    def _count_failure(self, now: float) -> int:
        """Count a wrong token; return the seconds to wait if there were too many."""
        self._failures = min(FAILURES, self._failures + max(now - self._counted_at, 0.0) / FAILURE_SECONDS)
        self._counted_at = now
        if self._failures >= 1:
            self._failures -= 1
            return 0
        return math.ceil((1 - self._failures) * FAILURE_SECONDS)

    def _foreign(self, asked: Asked) -> Reply | None:
        """Refuse what the page of another site, or of another port of this host, makes a browser send."""
        origin = asked.one("origin")
        if origin is not None and not same_origin(origin, asked):
            return problem(
                403,
                "ForeignPage",
                f"expected a request of this server's own pages, got one of {origin!r:.100} to "
                f"{asked.one('host')!r:.100}: a proxy in between must pass the Host on (nginx: $http_host)",
            )
        site = asked.one("sec-fetch-site")
        if site is None or site in _SITES:
            return None
        if asked.wants_page and asked.one("sec-fetch-dest") in (None, "document"):
            said = ["A page of another site brought you here. If you want to be here, open this page again."]
            return page(403, "You followed a link", said, again=local_url(asked, asked.query))
        detail = f"expected a request of this server's own pages, got one that is {site!r:.40}"
        return problem(403, "ForeignPage", detail)

    def _unsafe(self, asked: Asked) -> Reply | None:
        """Refuse to change anything for what a form of another page could have sent."""
        if asked.method in _SAFE or asked.one("x-runcast") == "1":
            return None
        if asked.path.startswith(PREFIX):  # others' clients send neither; a form's Origin was refused before
            return None
        kind = (asked.one("content-type") or "").partition(";")[0].strip().lower()
        if kind == "application/json" or re.fullmatch(r"application/[a-z0-9.-]+\+json", kind):
            return None
        return problem(
            403,
            "NoIntent",
            f"expected the header `X-Runcast: 1` or a JSON content type with {asked.method:.20}, got "
            f"{kind or 'none'!r:.60}: forms of other sites can send neither",
        )

    def _set_cookie(self, asked: Asked) -> str:
        secure = "; Secure" if asked.scheme == "https" else ""
        return f"{self.cookie_name}={self._cookie}; Path=/; HttpOnly; SameSite=Strict{secure}"


def _no_cookie(asked: Asked, status: int, headers: Iterable[tuple[str, str]] = ()) -> Reply:
    """Say to somebody at a browser what to use instead."""
    url = f"{asked.scheme}://{asked.one('host')}"
    said = [
        "It was started with `--cookie off`, so no browser stays here: each request must have the token.",
        "In a terminal, with the token in the variable RUNCAST_TOKEN, this follows a run:",
        f"runcast follow --server {url} ID",
        f'curl -N -H "Authorization: Bearer $RUNCAST_TOKEN" {url}/runs/ID/log',
    ]
    return page(status, "This server sets no cookie", said, headers)


def _any_equal(given: Iterable[str], right: bytes) -> bool:
    found = False
    for text in given:
        found |= hmac.compare_digest(text.encode("utf-8", "surrogateescape"), right)
    return found

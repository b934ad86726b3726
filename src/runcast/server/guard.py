"""The guard: access control, before a request is processed.

Owns the checks and their order: the host name, the token, the origin of the page, the method and
headers of a request that changes something. A page of another site can reach a server on this machine,
and after DNS rebinding it can send everything that the server's own pages could: then only `Host`
reveals it. So all checks apply to every request, in this order.

Pure: values in, a verdict out; the only state is the number of recent wrong tokens. They are
rate-limited to protect the log; the length of a token is what prevents guessing. A correct token is
never locked out: otherwise anyone could lock out all clients.

Beside the token there are people and programs with rights of their own (people.py): they are let in, and
those behind the guard decide what each may do. Without any of these, a share link lets in to the addresses
of its run that can be read, and is marked for those behind the guard, who decide the rest: whether it has
expired, too.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Collection, Iterable
from typing import NamedTuple
from urllib.parse import parse_qsl

from runcast.server.attempts import Attempts
from runcast.server.people import Found, People
from runcast.server.raw_request import RawRequest, host_name, local_url, same_origin, spellings, without_token
from runcast.server.replies import page, problem, redirect
from runcast.web.http.messages import Reply
from runcast.web.http.origins import Origins
from runcast.web.http.paths import STREAM_PREFIX
from runcast.web.http.person import Person
from runcast.web.http.share import ShareKey, cookie_values, given_in

__all__ = ["PASSED", "Guard", "Verdict"]

_NOTE_SECONDS = 60.0  # between two lines of the log about people who are nearly let in
_SAFE = ("GET", "HEAD", "OPTIONS")
_SITES = ("same-origin", "none")
_REALM = 'Bearer realm="runcast"'
# What a share link lets in to. Percent-encoded spellings are none of these, but for the name of a file, so
# nobody reads them otherwise.
_SHARED = re.compile(
    rf"/runs/(?P<run>[0-9a-zA-Z]+)(?:/log|/search|/artifacts(?:/.*)?)?/?|"
    rf"{STREAM_PREFIX}runs/(?P<stream>[0-9a-zA-Z]+)"
)
_ASSETS = "/runs/-/assets/"
_ELEMENT = "/runs/-/runcast-log.js"
_ASSETS_SECONDS = 366 * 86400  # longer than any share link lasts


class Verdict(NamedTuple):
    """The decision of the guard.

    Attributes:
        reply: the refusal; None where the request may pass.
        note: a message for the log, if any.
        reads_only: it comes from a page of another origin, which may only read.
        shared: it has a share link, and no token.
        person: who sends it, where that is somebody with rights of its own, and without the token.
        cookie: to be set with the reply, whatever that is; empty for none.
        known: its client is one that may do something here. One that may have to prove it yet is none.
    """

    reply: Reply | None = None
    note: str = ""
    reads_only: bool = False
    shared: bool = False
    cookie: str = ""
    known: bool = True
    person: Person | None = None


PASSED = Verdict()
_SIGNED = Verdict(known=False)


class Guard:
    """Decides which requests may pass.

    Args:
        hosts: the names and addresses of this server, without ports.
        token: the token that clients must send; None to require none. Its share links end with it.
        origins: other origins, whose pages may read if they know the token.
        cookie: whether a browser gets a cookie for the token; without one each request must have the
            token itself, in a header or in its URL.
        signed: paths that take a POST without the token, since what is behind them checks a signature.
        people: those with rights of their own, where a token is required.
        attempts: counts wrong tokens.

    Attributes:
        share_key: signs share links; None without a token, where they are not needed.
    """

    def __init__(
        self,
        hosts: Collection[str],
        token: str | None,
        origins: Origins | None = None,
        *,
        cookie: bool = True,
        signed: Collection[str] = (),
        people: People | None = None,
        attempts: Attempts | None = None,
    ) -> None:
        self._signed = frozenset(signed)
        self.origins = origins or Origins()
        self.hosts = frozenset(filter(None, (host_name(host) for host in hosts)))
        self._token = token.encode() if token is not None else None
        self._sets_cookie = cookie
        self._people = people or People()
        self._spelled = spellings(token) if token is not None else None
        self.count_failure = (attempts or Attempts()).count  # also of wrong signatures
        self._noted: dict[str, float] = {}  # when, by the name of the error
        # The cookie goes to every server on this host, whatever its port: so its value is not the
        # token, and its name is this token's, or servers side by side would overwrite each other's.
        self._cookie = self._derived("cookie") if token is not None else ""
        self.cookie_name = f"runcast-{self._derived('name')[:12]}" if token is not None else ""
        # A page needs its files: who came by a share link may have these, and only these, by a cookie.
        self._assets_cookie = self._derived("assets") if token is not None else ""
        self.share_key = ShareKey(token) if token is not None else None

    @property
    def requires_token(self) -> bool:
        """Whether clients must send the token."""
        return self._token is not None

    def hide(self, text: str) -> str:
        """Return a URL for the log, without the token."""
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
        peer: str = "",
        root: str = "",
    ) -> Verdict:
        """Return whether a request may pass, and the reply where it may not.

        Args:
            method: in upper case; of a WebSocket's handshake GET.
            path: as it came, percent-encoded.
            query: as it came.
            headers: names in lower case, in order.
            now: seconds, of a clock that does not go back.
            scheme: http, https, ws or wss.
            peer: the address of the connection itself; empty for a Unix socket.
            root: below which path the server is, in front of `path`; empty for none.
        """
        known: dict[str, list[str]] = {}
        for name, value in headers:
            known.setdefault(name, []).append(value)
        request = RawRequest(method, path, query, known, scheme, root)
        reply = self._wrong_host(request)
        if reply is not None:
            return Verdict(reply)
        if method == "POST" and path in self._signed:
            return _SIGNED
        reads_only = self._reads_only(request)
        if reads_only and method == "OPTIONS":
            return PASSED  # a preflight, which never has the token
        by_query = shared = False
        found = Found()
        if self._token is not None:
            valid, tried, by_query = self._authenticate(request, reads_only)
            if not valid:
                found = self._find_person(request, reads_only, peer)
            shared = not valid and found.person is None and self._has_share(request, reads_only)
            if not valid and not shared and found.person is None:
                unknown = self._unknown(request, tried, now, found)
                if reads_only and unknown.reply is not None:
                    return unknown._replace(reply=self.origins.refused(request.one, unknown.reply))
                return unknown
        if reads_only:
            return Verdict(reads_only=True, shared=shared, person=found.person)
        if shared and _opens_page(request):
            # A link on another site brings people here, as it should.
            if not self._sets_cookie:
                return Verdict(_no_cookie(request, 403, shared=True))
            return Verdict(shared=True, cookie=self._set_assets_cookie(request))
        if found.person is not None and _opens_page(request):
            return Verdict(person=found.person)  # the same: a page that is opened changes nothing
        if method == "OPTIONS" and path.startswith(STREAM_PREFIX):
            return PASSED  # a preflight: the allowed methods are no secret, and it grants nothing
        reply = self._foreign(request) or self._unsafe(request)
        if reply is not None:
            return Verdict(reply)
        if by_query and not self._sets_cookie:
            return Verdict(_no_cookie(request, 403)) if request.wants_page else PASSED
        if by_query:
            return Verdict(redirect(without_token(request), [("Set-Cookie", self._set_cookie(request))]))
        return Verdict(shared=shared, person=found.person)

    def _wrong_host(self, request: RawRequest) -> Reply | None:
        given = request.one("host")
        if host_name(given or "", port=True) in self.hosts:
            return None
        detail = (
            f"expected this server's name as the Host, got {given!r:.100}: "
            "`runcast serve --allow-host NAME` allows another name"
        )
        if request.wants_page:
            return page(421, "This server is not called that", [detail])
        return problem(421, "WrongHost", detail)

    def _reads_only(self, request: RawRequest) -> bool:
        """Return whether a page of a listed foreign origin sends a read, or its preflight."""
        return self.origins.may_read(request.method, request.path, request.one) and not same_origin(
            request.one("origin") or "", request
        )

    def _authenticate(self, request: RawRequest, reads_only: bool) -> tuple[bool, bool, bool]:
        """Return whether some token is correct, whether one was given, and whether the URL has it."""
        assert self._token is not None
        bearers = _bearers(request)
        cookies = cookie_values(request.headers.get("cookie", ()), self.cookie_name)
        if reads_only or not self._sets_cookie:
            # The cookie is for the server's own pages, and an EventSource cannot send a header.
            cookies = []
        in_url = request.navigation or reads_only or not self._sets_cookie
        urls = [value for name, value in parse_qsl(request.query) if name == "token"] if in_url else []
        # All are compared, in constant time, so the duration reveals nothing.
        by_query = _any_equal(urls, self._token)
        by_header = _any_equal(bearers, self._token) | _any_equal(cookies, self._cookie.encode())
        return by_query or by_header, bool(bearers or cookies or urls), bool(urls) and (by_query or by_header)

    def _find_person(self, request: RawRequest, reads_only: bool, peer: str) -> Found:
        """Return who sends a request, by a token of its own, or by what a trusted proxy says."""
        found = self._people.by_token(_bearers(request))
        # A page of another origin is let in by what it has itself, as with the cookie.
        return found if found != Found() or reads_only else self._people.by_proxy(request, peer)

    def _has_share(self, request: RawRequest, reads_only: bool) -> bool:
        """Return whether a share link of this server, expired or not, lets read what is requested."""
        if self.share_key is None or request.method not in ("GET", "HEAD"):
            return False
        cookies = request.headers.get("cookie", ()) if self._sets_cookie and not reads_only else ()
        if request.path.startswith(_ASSETS) or request.path == _ELEMENT:
            values = cookie_values(cookies, f"{self.cookie_name}-assets")
            if _any_equal(values, self._assets_cookie.encode()):
                return True
            # Their address names no run, so a page of another origin names it beside the link.
            runs = [value for name, value in parse_qsl(request.query) if name == "run"][:1]
        else:
            found = _SHARED.fullmatch(request.path)
            runs = [found["run"] or found["stream"]] if found else []
        tokens = given_in(request.query, cookies)
        return any(self.share_key.expiry(run.lower(), tokens) is not None for run in runs)

    def _unknown(self, request: RawRequest, tried: bool, now: float, found: Found) -> Verdict:
        """Refuse a client without a token, or with a wrong one."""
        status, note, wait = 401, "", 0
        challenge = f'{_REALM}, error="invalid_token"' if tried else _REALM
        headers = [("WWW-Authenticate", challenge)]
        if tried:
            wait = self.count_failure(now)
            if wait:
                status, headers = 429, [("Retry-After", str(wait))]
            else:
                note = "a wrong token"
        if found.why and now >= self._noted.get(found.error, -math.inf) + _NOTE_SECONDS:
            self._noted[found.error] = now
            note = found.why
        if request.wants_page and not self._sets_cookie:
            return Verdict(_no_cookie(request, status, headers), note)
        if request.wants_page:
            title = "This server requires its token" if status == 401 else "Too many wrong tokens"
            paragraphs = [
                "Open the address that `runcast serve` printed when it started: the token is at its end "
                "(http://…/?token=…). This browser remembers it from then on.",
                "If this browser has the token already and a link brought you here, use the link below.",
            ]
            return Verdict(
                page(status, title, paragraphs, headers, again=without_token(request), ask_token=True), note
            )
        if found.why and status == 401:
            return Verdict(problem(status, found.error, found.why, headers), note)
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

    def _foreign(self, request: RawRequest) -> Reply | None:
        """Refuse requests that pages of another site, or of another port of this host, cause."""
        origin = request.one("origin")
        if origin is not None and not same_origin(origin, request):
            return problem(
                403,
                "ForeignPage",
                f"expected a request of this server's own pages, got one of {origin!r:.100} to "
                f"{request.one('host')!r:.100}: a proxy in between must pass the Host on (nginx: $http_host)",
            )
        site = request.one("sec-fetch-site")
        if site is None or site in _SITES:
            return None
        if _opens_page(request):
            paragraphs = ["A link on another site brought you here. To stay, use the link below."]
            return page(403, "You followed a link", paragraphs, again=local_url(request, request.query))
        detail = f"expected a request of this server's own pages, got one that is {site!r:.40}"
        return problem(403, "ForeignPage", detail)

    def _unsafe(self, request: RawRequest) -> Reply | None:
        """Refuse a request that changes something if a form of another page could have sent it."""
        if request.method in _SAFE or request.one("x-runcast") == "1":
            return None
        if request.path.startswith(STREAM_PREFIX):  # stream clients send neither; Origin was checked before
            return None
        kind = (request.one("content-type") or "").partition(";")[0].strip().lower()
        if kind == "application/json" or re.fullmatch(r"application/[a-z0-9.-]+\+json", kind):
            return None
        return problem(
            403,
            "NoIntent",
            f"expected the header `X-Runcast: 1` or a JSON content type with {request.method:.20}, got "
            f"{kind or 'none'!r:.60}: forms of other sites can send neither",
        )

    def _set_cookie(self, request: RawRequest) -> str:
        path = request.root or "/"
        return f"{self.cookie_name}={self._cookie}; Path={path}; HttpOnly; SameSite=Strict{_secure(request)}"

    def _set_assets_cookie(self, request: RawRequest) -> str:
        flags = f"Max-Age={_ASSETS_SECONDS}; HttpOnly; SameSite=Strict{_secure(request)}"
        return f"{self.cookie_name}-assets={self._assets_cookie}; Path={request.root}{_ASSETS}; {flags}"


def _bearers(request: RawRequest) -> list[str]:
    values = request.headers.get("authorization", ())
    return [value[7:].strip() for value in values if value[:7].lower() == "bearer "]


def _opens_page(request: RawRequest) -> bool:
    """Return whether a person follows a link: what that opens is a page of its own, in no frame."""
    return request.wants_page and request.one("sec-fetch-dest") in (None, "document")


def _secure(request: RawRequest) -> str:
    return "; Secure" if request.scheme == "https" else ""


def _no_cookie(
    request: RawRequest, status: int, headers: Iterable[tuple[str, str]] = (), *, shared: bool = False
) -> Reply:
    """Return a page for a browser, with the alternatives to one."""
    url = f"{request.scheme}://{request.one('host')}{request.root}"
    if shared:
        paragraphs = [
            "It was started with `--cookie off`, so a share link opens no page here. In a terminal it does, "
            "with /log behind the run's id; quotes keep the ? from the shell:",
            f"curl -N '{url}/runs/ID/log?share=…'",
        ]
        return page(status, "This server sets no cookie", paragraphs, headers)
    paragraphs = [
        "It was started with `--cookie off`, so no browser stays signed in: each request needs the token.",
        "In a terminal, with the token in the variable RUNCAST_TOKEN, this follows a run:",
        f"runcast follow --server {url} ID",
        f'curl -N -H "Authorization: Bearer $RUNCAST_TOKEN" {url}/runs/ID/log',
    ]
    return page(status, "This server sets no cookie", paragraphs, headers)


def _any_equal(given: Iterable[str], right: bytes) -> bool:
    found = False
    for text in given:
        found |= hmac.compare_digest(text.encode("utf-8", "surrogateescape"), right)
    return found

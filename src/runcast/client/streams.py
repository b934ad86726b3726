"""A stream of the Durable Streams protocol on any server that speaks it: address, requests, patience.

Owns what reading and appending share: an address with its token, a request that is made again and
again while the network or the server fails, and what a refusal means. Needs httpx2.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from runcast._version import __version__
from runcast.client.acts import installed
from runcast.client.http import CONNECT_SECONDS, cut
from runcast.client.server import SERVER_VARIABLE, TOKEN_VARIABLE
from runcast.errors import AccessRefused, RuncastError, ServerUnreachable, UsageError

if TYPE_CHECKING:
    import httpx2

__all__ = ["REMOTE_PATIENCE", "Broken", "RemoteStream", "is_url"]

REMOTE_PATIENCE = 600.0  # seconds without a word of the server: a restart, a deploy, a tunnel
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
_READ_SECONDS = 90.0  # longer than any server's long-poll
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 507})
_RUN_PAGE = re.compile(r"(.*)/runs/([0-9a-z]{26})(?:/log)?/?")

Result = TypeVar("Result")


class Broken(Exception):
    """What must be tried again: the reply, or half a sentence on why there is none."""


def is_url(text: str) -> bool:
    """Return whether a text is the address of something on a server."""
    return text.startswith(("http://", "https://"))


class RemoteStream:
    """One stream on a server. Use it in a `with`, or close it.

    Attributes:
        url: its address, without the token.
    """

    def __init__(
        self,
        url: str,
        *,
        patience: float = REMOTE_PATIENCE,
        trouble: Callable[[str], None] = lambda message: None,
    ) -> None:
        """Read an address; that of a run's page means the run's log.

        Args:
            url: the address; what `?token=` in it says is shown to the server in a header.
            patience: seconds without a word of the server after which it is given up.
            trouble: called once with a sentence when the server fails, until it answers again.

        Raises:
            UsageError: it is no address.
            RuncastError: httpx2 is not installed.
        """
        installed()
        import httpx2

        try:
            parts = urlsplit(url.strip())
            wrong = parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc
        except ValueError:
            wrong = True
        if wrong:
            raise UsageError(
                "expected the address of a stream, such as http://127.0.0.1:8765/v1/stream/NAME, "
                f"got {url.partition('?')[0][:200]!r}"
            )
        query = parse_qsl(parts.query, keep_blank_values=True)
        token = dict(query).get("token") or _token_for(f"{parts.scheme}://{parts.netloc}")
        self.origin = f"{parts.scheme}://{parts.netloc}"
        path = parts.path
        if "/v1/stream/" not in path and (page := _RUN_PAGE.fullmatch(path)):
            path = f"{page[1]}/v1/stream/runs/{page[2]}"
        self._query = [(name, value) for name, value in query if name != "token"]
        self.url = f"{self.origin}{path}"
        self._patience, self._trouble = patience, trouble
        headers = {"User-Agent": f"runcast/{__version__}", "X-Runcast": "1"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        timeout = httpx2.Timeout(connect=CONNECT_SECONDS, read=_READ_SECONDS, write=60.0, pool=None)
        self._http = httpx2.Client(headers=headers, timeout=timeout, follow_redirects=True)

    def __enter__(self) -> RemoteStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(
        self,
        method: str,
        handle: Callable[[httpx2.Response], Result],
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Result:
        """Make a request until it is answered; return what `handle` makes of the reply.

        Args:
            method: of the request. It is made again, so it must bear that.
            handle: gets the reply, whose body it may read; `Broken` or a failure while it reads
                have the request made again.
            query: parameters.
            headers: further ones.
            body: what is sent.

        Raises:
            ServerUnreachable: the server did not answer for longer than the patience.
        """
        parameters = urlencode([*self._query, *sorted((query or {}).items())])
        url = f"{self.url}?{parameters}" if parameters else self.url
        failing: float | None = None
        pause = _FIRST_PAUSE
        while True:
            try:
                with self._http.stream(method, url, headers=dict(headers or {}), content=body) as reply:
                    if reply.status_code in _AGAIN and not _is_final(reply):
                        raise Broken(f"it answers {reply.status_code} {reply.reason_phrase}".rstrip())
                    return handle(reply)
            except Broken as error:
                said = str(error)
            except Exception as error:
                failed = cut(error)  # raises again what is no failure of the network
                if failed.final:
                    raise ServerUnreachable(f"cannot reach {self.url}: {failed}") from None
                said = str(failed)
            now = time.monotonic()
            if failing is None:
                failing = now
                self._trouble(f"cannot reach {self.url} just now: {said}; trying again")
            if now - failing > self._patience:
                raise ServerUnreachable(f"cannot reach {self.url}: {said}")
            time.sleep(pause * (0.5 + random.random() / 2))
            pause = min(pause * 2, _LONGEST_PAUSE)

    def refusal(self, reply: httpx2.Response) -> RuncastError:
        """Return the error that a reply tells. Reads it."""
        detail = _detail(reply)
        status = reply.status_code
        if status in (401, 403, 421):
            return AccessRefused(
                f"expected to be let in at {self.url}, got {status}{detail}: set {TOKEN_VARIABLE}, or put "
                "?token=… behind the address"
            )
        return RuncastError(f"{self.url} answers {status} {reply.reason_phrase}{detail}".rstrip())


def _token_for(origin: str) -> str | None:
    """Return the token of the environment, unless it belongs to another server."""
    server = os.environ.get(SERVER_VARIABLE)
    if server:
        parts = urlsplit(server)
        if f"{parts.scheme}://{parts.netloc}" != origin:
            return None
    return os.environ.get(TOKEN_VARIABLE)


def _is_final(reply: httpx2.Response) -> bool:
    """Return whether a server that has no room says that it never will have any for this stream."""
    return reply.status_code == 507 and _told(reply).get("error") == "CapReached"


def _told(reply: httpx2.Response) -> dict[str, Any]:
    """Return what a problem+json says; nothing where the reply is none. Reads it."""
    reply.read()
    if reply.headers.get("content-type", "").startswith("application/problem+json"):
        with contextlib.suppress(ValueError):
            told = reply.json()
            return told if isinstance(told, dict) else {}
    return {}


def _detail(reply: httpx2.Response) -> str:
    """Return what a problem+json, or a few words of text, tell."""
    if (detail := _told(reply).get("detail")) is not None:
        return f": {detail}"
    kind = reply.headers.get("content-type", "")
    text = " ".join(reply.text.split())[:200] if kind.startswith("text/plain") else ""
    return f": {text}" if text else ""

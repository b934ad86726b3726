"""A stream of the Durable Streams protocol on any server that speaks it: address, requests, retries.

Owns what reading and appending share: an address with its token, requests that are sent again while
the network or the server fails, and the errors for what a server refuses. Needs httpx2.
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
from runcast.client.actions import require_httpx
from runcast.client.http import CONNECT_SECONDS, by_ssh, failure
from runcast.client.server import SERVER_VARIABLE, TOKEN_VARIABLE
from runcast.client.ssh import BY_SSH, Destination
from runcast.errors import AccessRefused, RuncastError, ServerUnreachable, UsageError

if TYPE_CHECKING:
    import httpx2

__all__ = ["REMOTE_PATIENCE", "BadReply", "RemoteStream"]

REMOTE_PATIENCE = 600.0  # seconds without a reply: long enough for a restart, a deploy, a tunnel
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
_READ_SECONDS = 90.0  # longer than any server's long-poll
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 507})
_RUN_PAGE = re.compile(r"(.*)/runs/([0-9a-z]{26})(?:/log)?/?")

Result = TypeVar("Result")


class BadReply(Exception):
    """A reply that is of no use, so that the request is sent again; the message is half a sentence."""


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
        """Read an address; that of a run's page stands for the run's log.

        Args:
            url: the address; a token in `?token=` is sent as a header.
            patience: seconds without a reply after which to give up.
            trouble: called with a sentence when the server begins to fail.

        Raises:
            UsageError: it is no address.
            RuncastError: httpx2 is not installed.
        """
        require_httpx()
        import httpx2

        try:
            parts = urlsplit(url.strip())
            wrong = parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc
            wrong = wrong and parts.scheme != "ssh"
        except ValueError:
            wrong = True
        if wrong:
            raise UsageError(
                "expected the address of a stream, such as http://127.0.0.1:8765/v1/stream/NAME, "
                f"got {url.partition('?')[0][:200]!r}"
            )
        query = parse_qsl(parts.query, keep_blank_values=True)
        ssh = Destination.parse(parts) if parts.scheme == "ssh" else None
        if ssh is None:
            token = dict(query).get("token") or _token_for(f"{parts.scheme}://{parts.netloc}")
        else:
            token, query = None, [(name, value) for name, value in query if name != "runcast"]
        self.origin = f"{parts.scheme}://{parts.netloc}"
        path = parts.path
        if "/v1/stream/" not in path and (page := _RUN_PAGE.fullmatch(path)):
            path = f"{page[1]}/v1/stream/runs/{page[2]}"
        self._query = [(name, value) for name, value in query if name != "token"]
        self.url = f"{self.origin}{path}"
        self._requested = self.url if ssh is None else f"{BY_SSH}{path}"
        self._patience, self._trouble = patience, trouble
        self._kept = False  # whether the connection is one that an earlier request has used
        headers = {"User-Agent": f"runcast/{__version__}", "X-Runcast": "1"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        timeout = httpx2.Timeout(connect=CONNECT_SECONDS, read=_READ_SECONDS, write=60.0, pool=None)
        transport = None if ssh is None else by_ssh(ssh)
        self._http = httpx2.Client(
            headers=headers, timeout=timeout, follow_redirects=True, transport=transport
        )

    def __enter__(self) -> RemoteStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request(
        self,
        method: str,
        handle: Callable[[httpx2.Response], Result],
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Result:
        """Send a request until there is a reply; return what `handle` returns for it.

        Args:
            method: of the request, which must be safe to send again.
            handle: called with the reply, whose body it may read; if it raises `BadReply` or the
                connection fails meanwhile, the request is sent again.
            query: parameters.
            headers: beside those of every request.
            body: of the request.

        Raises:
            ServerUnreachable: there was no reply for longer than the patience.
        """
        parameters = urlencode([*self._query, *sorted((query or {}).items())])
        url = f"{self._requested}?{parameters}" if parameters else self._requested
        failing: float | None = None
        pause = _FIRST_PAUSE
        while True:
            kept, self._kept = self._kept, False
            try:
                with self._http.stream(method, url, headers=dict(headers or {}), content=body) as reply:
                    kept = False  # a reply came, so the connection was alive
                    if reply.status_code in _RETRIED and not _is_final(reply):
                        raise BadReply(f"it answers {reply.status_code} {reply.reason_phrase}".rstrip())
                    result = handle(reply)
                self._kept = True
                return result
            except BadReply as error:
                why = str(error)
            except Exception as error:
                failed = failure(error)  # raises what is no failure of the network
                if failed.final:
                    raise ServerUnreachable(f"cannot reach {self.url}: {failed}") from None
                if kept:  # a server may close an idle connection at any time (RFC 9112, 9.6): try a new one
                    continue
                why = str(failed)
            now = time.monotonic()
            if failing is None:
                failing = now
                self._trouble(f"cannot reach {self.url} just now: {why}; trying again")
            if now - failing > self._patience:
                raise ServerUnreachable(f"cannot reach {self.url}: {why}")
            time.sleep(pause * (0.5 + random.random() / 2))
            pause = min(pause * 2, _LONGEST_PAUSE)

    def refusal(self, reply: httpx2.Response) -> RuncastError:
        """Return the error that a reply stands for. Reads its body."""
        detail = _detail(reply)
        status = reply.status_code
        if status in (401, 403, 421):
            return AccessRefused(
                f"expected to be let in at {self.url}, got {status}{detail}: set {TOKEN_VARIABLE}, or put "
                "?token=… behind the address"
            )
        return RuncastError(f"{self.url} answers {status} {reply.reason_phrase}{detail}".rstrip())


def _token_for(origin: str) -> str | None:
    """Return the token of the environment, unless that is meant for another server."""
    server = os.environ.get(SERVER_VARIABLE)
    if server:
        parts = urlsplit(server)
        if f"{parts.scheme}://{parts.netloc}" != origin:
            return None
    return os.environ.get(TOKEN_VARIABLE)


def _is_final(reply: httpx2.Response) -> bool:
    """Return whether a stream is full for good, not only its server for now."""
    return reply.status_code == 507 and _problem(reply).get("error") == "CapReached"


def _problem(reply: httpx2.Response) -> dict[str, Any]:
    """Return the fields of a problem+json; none where the reply is something else. Reads its body."""
    reply.read()
    if reply.headers.get("content-type", "").startswith("application/problem+json"):
        with contextlib.suppress(ValueError):
            problem = reply.json()
            return problem if isinstance(problem, dict) else {}
    return {}


def _detail(reply: httpx2.Response) -> str:
    """Return the detail of a problem+json, or the beginning of a plain text, as the rest of a message."""
    if (detail := _problem(reply).get("detail")) is not None:
        return f": {detail}"
    kind = reply.headers.get("content-type", "")
    text = " ".join(reply.text.split())[:200] if kind.startswith("text/plain") else ""
    return f": {text}" if text else ""

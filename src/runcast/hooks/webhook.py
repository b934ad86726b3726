"""A webhook: what is sent, signed after Standard Webhooks 1.0.0, and tried again where that may help.

Owns the request, which replies are a delivery, and the bounds: of attempts, of the time of each, and of
the time of all. A redirect is followed to the same host alone, since what is sent is for that one.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

from runcast._version import __version__
from runcast.hooks.facts import Facts
from runcast.model import rfc3339
from runcast.signatures import key_of, sign_standard
from runcast.store.end_hooks import WAITING, EndHooks, delivery_id

__all__ = ["PAUSES", "Reply", "deliver", "post", "send"]

PAUSES = (0.5, 2.0, 8.0, 32.0, 128.0)  # seconds between attempts: there is one more of these
_ALL_SECONDS = 900.0  # after which nothing more is tried
_REDIRECTS = 3
_AGAIN = {408, 425, 429}  # and 5xx: the receiver may take it later (RFC 9110, RFC 8470, RFC 6585)
_METHOD_KEPT = {307, 308}  # the others would make a GET of it (RFC 9110, section 15.4)


class Reply(NamedTuple):
    """What came of one attempt.

    Attributes:
        code: the status; None where there was no reply.
        message: why it is no delivery; empty if it is one.
        again: whether another attempt may help.
        pause: the least time before that, in seconds, as the receiver wants it.
    """

    code: int | None
    message: str = ""
    again: bool = False
    pause: float = 0.0


class _Lines:
    """The lines of a reply, and whether they ended before it did."""

    def __init__(self, file: Any) -> None:
        self._file, self.cut = file, False

    def readline(self, most: int = -1) -> bytes:
        line: bytes = self._file.readline(most)
        self.cut = not line
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _WholeHead(http.client.HTTPResponse):
    """A reply whose head came whole: http.client takes the end of a connection for the end of the head."""

    def begin(self) -> None:
        """Read the head.

        Raises:
            RemoteDisconnected: it was cut.
        """
        lines = _Lines(self.fp)
        self.fp = lines  # type: ignore[assignment]  # it has all that a file has
        super().begin()
        if lines.cut:
            raise http.client.RemoteDisconnected("cut")


def send(hook: Mapping[str, Any], number: int, facts: Facts, claim: EndHooks) -> None:
    """Send what is known of a run, and note what becomes of it."""
    message_id = delivery_id(facts.run_id, number)
    message = {
        "type": "run.ended",
        "id": message_id,
        "timestamp": rfc3339(time.time()),
        "data": facts.value,
    }
    secret = hook.get("secret")
    deliver(
        hook["webhook"],
        json.dumps(message).encode(),
        message_id,
        None if secret is None else key_of(secret),
        hook["timeout"],
        lambda state, attempts, reply: claim.note(number, state, attempts, reply.code, reply.message),
        lambda: claim.removed,
    )


def deliver(
    url: str,
    body: bytes,
    message_id: str,
    key: bytes | None,
    timeout: float,
    note: Callable[[str, int, Reply], object],
    unwanted: Callable[[], bool] = lambda: False,
    pauses: Sequence[float] = PAUSES,
) -> None:
    """Post a message until it is taken, or nothing more may be tried.

    Args:
        url: where to.
        body: JSON.
        message_id: the same for all attempts, by which a receiver knows one that it has.
        key: what it is signed with; None for no signature.
        timeout: of each attempt, in seconds.
        note: called after each attempt with the state, the number of attempts and the reply.
        unwanted: whether nobody needs it any more.
        pauses: between attempts, in seconds.
    """
    until = time.monotonic() + _ALL_SECONDS
    for attempt in range(1, len(pauses) + 2):
        reply = post(url, body, _headers(message_id, key, body), timeout)
        if not reply.message:
            note("delivered", attempt, reply)
            return
        pause = (
            max(reply.pause, pauses[attempt - 1] * random.uniform(0.8, 1.2)) if attempt <= len(pauses) else 0
        )
        if not reply.again or attempt > len(pauses) or time.monotonic() + pause > until:
            note("failed", attempt, reply)
            return
        note(WAITING, attempt, reply)
        time.sleep(pause)
        if unwanted():
            return


def _headers(message_id: str, key: bytes | None, body: bytes) -> dict[str, str]:
    now = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"runcast/{__version__}",
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
    }
    if key is not None:
        headers["webhook-signature"] = sign_standard(key, message_id, now, body)
    return headers


def post(url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply:
    """Post once. No message has more of the URL than its host."""
    first = urlsplit(url)
    for _ in range(_REDIRECTS + 1):
        try:
            code, to, pause = _request(urlsplit(url), body, headers, timeout)
        except TimeoutError:
            return Reply(None, f"no reply within {timeout:g} s", again=True)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Reply(None, _why(error), again=True)
        if 200 <= code < 300:
            return Reply(code)
        if not 300 <= code < 400:
            again = code >= 500 or code in _AGAIN
            return Reply(code, f"the receiver answered {code}", again, pause if again else 0.0)
        try:
            url = urljoin(url, to)
            same = _origin(urlsplit(url)) == _origin(first)
        except ValueError:
            same = False
        if code not in _METHOD_KEPT or not to or not same:
            return Reply(
                code, f"the receiver answered {code}, a redirect that is not followed: set its new URL"
            )
    return Reply(code, f"more than {_REDIRECTS} redirects")


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _request(
    parts: SplitResult, body: bytes, headers: Mapping[str, str], timeout: float
) -> tuple[int, str, float]:
    """Return status, location and wanted pause of the reply, whose body nobody reads.

    The socket's own timeout is that of each read: one that sends its reply byte by byte needs another.
    """
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    connection.response_class = _WholeHead
    late = threading.Event()

    def end() -> None:
        late.set()
        with contextlib.suppress(OSError):
            if connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(timeout, end)
    timer.daemon = True
    timer.start()
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, dict(headers))
        reply = connection.getresponse()
        return reply.status, reply.getheader("Location", ""), _pause(reply.getheader("Retry-After", ""))
    except (OSError, http.client.HTTPException):
        if late.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
        connection.close()


def _pause(header: str) -> float:
    return min(float(header), _ALL_SECONDS) if header.isascii() and header.isdigit() else 0.0


def _why(error: Exception) -> str:
    """Return why there was no reply, in a few words: those of the system, else the kind of the error."""
    words = error.strerror if isinstance(error, OSError) else None
    return f"no reply: {(words or type(error).__name__).lower():.200}"

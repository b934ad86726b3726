"""The actions of the client's steps: requests and pauses, as values.

The client's logic is written once, as generators of steps (`runcast.run.steps`). A transport performs
the actions that they yield: transport_sync.py blocks a thread, transport_aio.py suspends a task. An
action that fails raises `NetworkError` inside the steps.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from runcast.client.form import Form
from runcast.errors import RuncastError
from runcast.run.steps import Result, Value
from runcast.run.steps import Routine as AnyRoutine
from runcast.run.steps import Steps as AnySteps

__all__ = [
    "Action",
    "Call",
    "NetworkError",
    "Open",
    "Query",
    "Read",
    "Response",
    "Routine",
    "Sleep",
    "Steps",
    "network_error",
    "require_httpx",
]

CALL_SECONDS = 60.0  # for a whole reply: a start may wait for a disk

Query = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Call:
    """Make a request and read its whole reply; the result is a `Response`.

    Attributes:
        method: in upper case.
        path: below the server's address, quoted; begins with `/`.
        query: the parameters.
        body: of the request.
        json: whether the body is JSON; anything else is bytes.
        timeout: seconds to wait for the reply; None for as long as it takes.
        headers: beside those of every request.
        form: the body, in place of `body`.
    """

    method: str
    path: str
    query: Query = ()
    body: bytes = b""
    json: bool = False
    timeout: float | None = CALL_SECONDS
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Form | None = None


@dataclass(frozen=True, slots=True)
class Open:
    """Begin to read a reply that goes on; the result is a `Response`, whole if its status is not 200.

    Attributes:
        path: as above.
        query: the parameters.
        headers: beside those of every request.
        silence: seconds without a byte after which the connection is dead.
    """

    path: str
    query: Query
    headers: Mapping[str, str] = field(default_factory=dict)
    silence: float = 45.0


@dataclass(frozen=True, slots=True)
class Read:
    """Read on in what was opened; the result is bytes, empty at the end of the reply."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Close what is open and wait."""

    seconds: float


class Response(NamedTuple):
    """A reply. `kind` is its media type; the body of one that goes on is empty."""

    status: int
    reason: str
    kind: str
    body: bytes


Action = Call | Open | Read | Sleep
Steps = AnySteps[Value, Action]
Routine = AnyRoutine[Action, Result]


class NetworkError(Exception):
    """The network failed; the message is half a sentence that describes how.

    Attributes:
        final: whether another attempt would fail in the same way.
    """

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


def network_error(error: Exception, timed_out: bool) -> NetworkError:
    """Return what an exception of the HTTP library means.

    Args:
        error: the exception.
        timed_out: whether it is one of the library's timeouts.
    """
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message or "not trusted"
            hint = "name a file with the certificate of its issuer in SSL_CERT_FILE"
            return NetworkError(f"its certificate is not trusted ({why}): {hint}", final=True)
        if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
            return NetworkError("it does not speak TLS: use http:// in its address", final=True)
        if isinstance(cause, socket.gaierror):
            return NetworkError("this name is not known: check the address")
        if isinstance(cause, ConnectionRefusedError):
            return NetworkError("nothing listens there: is `runcast serve` running?")
        if isinstance(cause, OSError) and cause.errno and cause.errno != errno.ETIMEDOUT:
            why = os.strerror(cause.errno) if cause.errno > 0 else str(cause)
            return NetworkError(why.lower())
    if timed_out:
        return NetworkError("it does not answer in time")
    return NetworkError(str(error).rstrip(".").lower() or type(error).__name__)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the exceptions that led to one, members of groups among them; the one itself last."""
    if error is None:
        return
    yield from _causes(error.__cause__ or error.__context__)
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _causes(one)
    yield error


def require_httpx() -> None:
    """Refuse to go on without the HTTP library.

    Raises:
        RuncastError: it is not installed.
    """
    try:
        import httpx2  # noqa: F401
    except ImportError:
        raise RuncastError(
            'expected the client\'s package httpx2, it is not installed: pip install "runcast[client]"'
        ) from None

"""What the client asks the network for, as values: written once, done in two ways.

The client's logic is generators of steps. They yield an act wherever something must be sent or
waited for, and get its result back; whatever else they yield is for the caller. `sync.py` blocks
a thread in an act, `aio.py` suspends a task. An act that fails throws `Cut` into the steps.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from runcast.errors import RuncastError

__all__ = [
    "Act",
    "Answer",
    "Asking",
    "Call",
    "Cut",
    "More",
    "Open",
    "Rest",
    "Steps",
    "cut_by",
    "installed",
]

CALL_SECONDS = 60.0  # for a whole reply: a start may wait for a disk

Query = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Call:
    """Make a request and read its whole reply; the result is an `Answer`.

    Attributes:
        method: in upper case.
        path: below the server's address, quoted; begins with `/`.
        query: its parameters.
        body: what is sent.
        json: whether the body is JSON; anything else is bytes.
        timeout: seconds to wait for the reply; None for as long as it takes.
    """

    method: str
    path: str
    query: Query = ()
    body: bytes = b""
    json: bool = False
    timeout: float | None = CALL_SECONDS


@dataclass(frozen=True, slots=True)
class Open:
    """Begin to read a reply that goes on; the result is an `Answer`, whole if its status is not 200.

    Attributes:
        path: as above.
        query: its parameters.
        headers: further ones.
        silence: seconds without a byte after which the connection is dead.
    """

    path: str
    query: Query
    headers: Mapping[str, str] = field(default_factory=dict)
    silence: float = 45.0


@dataclass(frozen=True, slots=True)
class More:
    """Read on in what was opened; the result is bytes, empty at the end of the reply."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Wait."""

    seconds: float


class Answer(NamedTuple):
    """A reply. `kind` is its media type; the body of one that goes on is empty."""

    status: int
    reason: str
    kind: str
    body: bytes


Act = Call | Open | More | Rest
Value = TypeVar("Value")
Result = TypeVar("Result")
Asking = Generator[Act, "Answer | bytes | None", Result]
"""Steps that give nothing on their way and return one thing."""
Steps = Generator["Value | Act", "Answer | bytes | None", None]
"""Steps that give things as they come."""


class Cut(Exception):
    """The network failed; the message is half a sentence that says how.

    Attributes:
        final: whether coming back is of no use.
    """

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


def cut_by(error: Exception, timed_out: bool) -> Cut:
    """Return what an exception of the HTTP library means.

    Args:
        error: the exception.
        timed_out: whether it is one of the library's timeouts.
    """
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            said = cause.verify_message or "not trusted"
            hint = "name a file with the certificate of whoever signed it in SSL_CERT_FILE"
            return Cut(f"its certificate is not trusted ({said}): {hint}", final=True)
        if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
            return Cut("it does not speak TLS: use http:// in its address", final=True)
        if isinstance(cause, socket.gaierror):
            return Cut("this name is not known: check the address")
        if isinstance(cause, ConnectionRefusedError):
            return Cut("nothing listens there: is `runcast serve` running?")
        if isinstance(cause, OSError) and cause.errno and cause.errno != errno.ETIMEDOUT:
            return Cut(os.strerror(cause.errno).lower() if cause.errno > 0 else str(cause).lower())
    if timed_out:
        return Cut("it does not answer in time")
    return Cut(str(error).rstrip(".").lower() or type(error).__name__)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the exceptions behind one, and those behind groups of them; the one itself last."""
    if error is None:
        return
    yield from _causes(error.__cause__ or error.__context__)
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _causes(one)
    yield error


def installed() -> None:
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

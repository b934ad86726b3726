"""Request and reply, independent of any framework and server.

Owns what an adapter makes and what it gets (docs/howto/adapters.md). Bodies of requests are read whole, up
to `BODY_BYTES`; a reply has a whole body, or a `ResponseStream` that the adapter drives.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from runcast.errors import UsageError
from runcast.who import VISITOR, Who

if TYPE_CHECKING:
    from runcast.errors import ArtifactAway, SegmentAway
    from runcast.web.http.body_file import BodyFile
    from runcast.web.http.response_stream import ResponseStream

__all__ = ["BODY_BYTES", "Reply", "Request", "is_known", "json_reply"]

BODY_BYTES = 1024 * 1024  # of a request; stdin in larger pieces is sent in several


@dataclass(frozen=True)
class Request:
    """One HTTP request.

    Attributes:
        method: in upper case.
        path: below the place where runcast is mounted, decoded; begins with `/` or is empty.
        root: path of that place, for links.
        query: the raw query string.
        headers: names in lower case; of a repeated one the last.
        body: read whole.
        scheme: http or https, as the server sees it.
        original: what the framework has: Django's request, an ASGI scope, a WSGI environment. So
            that `authorize=` finds the user.
        peer: the address that it comes from, as the server sees it; empty where it has none.
        identify: finds out who sends it; by default nobody knows.
        body_file: has the body in place of `body`, where that is a form with files.
        arrived: when it came, in monotonic seconds.
    """

    method: str
    path: str
    root: str = ""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    scheme: str = "http"
    original: Any = field(default=None, repr=False, compare=False)
    peer: str = ""
    identify: Callable[[Request], Who] = field(default=lambda _: VISITOR, repr=False, compare=False)
    body_file: BodyFile | None = field(default=None, repr=False, compare=False)
    arrived: float = field(default_factory=time.monotonic, repr=False, compare=False)

    @property
    def who(self) -> Who:
        """The person or the program that sends it, as far as the application knows; may look it up."""
        return self.identify(self)

    def header(self, name: str) -> str | None:
        """Return a header by its lower-case name."""
        return self.headers.get(name)

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The parameters of the query, in order."""
        return parse_qsl(self.query, keep_blank_values=True)

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object; an empty body is an empty one.

        Raises:
            UsageError: it is not one; names the place.
        """
        if not self.body.strip():
            return {}
        try:
            value = json.loads(self.body)
        except UnicodeDecodeError as error:
            raise UsageError(
                f"expected a JSON object in UTF-8, byte {error.start} of the body is not"
            ) from None
        except json.JSONDecodeError as error:
            place = f"line {error.lineno}, column {error.colno}"
            raise UsageError(f"expected a JSON object, got something else at {place}: {error.msg}") from None
        except (ValueError, RecursionError) as error:
            raise UsageError(f"expected a JSON object of a usual size: {error}") from None
        if not isinstance(value, dict):
            raise UsageError(f"expected a JSON object, got {json.dumps(value)[:80]}")
        return value


@dataclass(frozen=True)
class Reply:
    """The answer to a request: a body, or a stream.

    `away` is what of a log, or which file, is not on this disk, where that is why the request could not be
    answered: it can be once that was brought here (web/live/once_here.py).
    """

    status: int
    headers: Iterable[tuple[str, str]] = ()
    body: bytes = b""
    stream: ResponseStream | None = None
    away: SegmentAway | ArtifactAway | None = None

    def adding(self, more: tuple[tuple[str, str], ...]) -> Reply:
        """Return the reply with those of the given headers that it lacks."""
        headers = list(self.headers)
        headers += _missing(tuple([name for name, _ in headers]), more)
        return Reply(self.status, headers, self.body, self.stream, self.away)


@functools.lru_cache(256)
def _missing(names: tuple[str, ...], more: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    there = {name.lower() for name in names}
    return [header for header in more if header[0].lower() not in there]


def is_known(none_match: str | None, tag: str) -> bool:
    """Return whether `If-None-Match` names a tag, be it made weak on the way (RFC 9110, section 13.1.2)."""
    tags = [one.strip().removeprefix("W/") for one in (none_match or "").split(",")]
    return tag in tags or "*" in tags


def json_reply(value: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Reply:
    """Return a JSON reply."""
    body = json.dumps(value, separators=(",", ":")).encode() + b"\n"
    fixed = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
    return Reply(status, [*fixed, ("X-Content-Type-Options", "nosniff"), *headers], body)

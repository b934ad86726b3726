"""Inbound webhooks: whether a request is a delivery that its sender signed, and what it says of itself.

Owns the headers of each kind of sender, the checks in their order (signature, time, id) and their
refusals, which never say how near a signature was. Pure: no store, no socket, no command.

    github    GitHub Docs, Webhook events and payloads, Delivery headers
    gitea     Gitea Docs, Webhooks; Forgejo sends the same
    standard  Standard Webhooks 1.0.0, Webhook headers
    hmac      any other that signs the body with HMAC-SHA256 in hexadecimal; its headers are configured
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from runcast.errors import RuncastError
from runcast.signatures import is_signed, is_signed_standard

__all__ = ["BODY_BYTES", "KINDS", "Delivery", "Headers", "Inbound", "NotSigned"]

BODY_BYTES = 1024 * 1024  # of a payload, unless configured; GitHub's are at most 25 MB
_TOLERANCE = 300  # seconds that a timestamp may be away from now, as the libraries of the standard have it
_MOST_ID = 200  # characters of a delivery's id, and of an event's name


class Headers(NamedTuple):
    """The headers of a kind, in lower case; empty where it has none.

    Attributes:
        signature: of the body.
        event: what happened.
        delivery: the id, which a second attempt has, too.
    """

    signature: str
    event: str
    delivery: str


KINDS: Final = {
    "github": Headers("x-hub-signature-256", "x-github-event", "x-github-delivery"),
    "gitea": Headers("x-gitea-signature", "x-gitea-event", "x-gitea-delivery"),
    "standard": Headers("webhook-signature", "", "webhook-id"),
    "hmac": Headers("x-signature-256", "", ""),
}


class NotSigned(RuncastError):
    """A delivery whose signature is missing, wrong or too old.

    Attributes:
        wrong: whether it had one that is not right: somebody may be trying.
    """

    def __init__(self, message: str, status: int = 403, *, wrong: bool = False) -> None:
        super().__init__(message)
        self.http_status, self.wrong = status, wrong


class BadDelivery(RuncastError):
    """A signed delivery that does not say what it must."""

    http_status = 400


class Delivery(NamedTuple):
    """What a signed delivery says of itself.

    Attributes:
        id: of the delivery, the same for each attempt; empty where its kind has none.
        event: what happened; empty where its kind says nothing of it.
    """

    id: str
    event: str


@dataclass(frozen=True)
class Inbound:
    """The hook of one command.

    Attributes:
        kind: one of `KINDS`.
        key: what deliveries are signed with.
        headers: of the kind, or as configured.
        events: those that start the command; None for all.
        payload: where the command finds the body: on `stdin`, or in a `file`.
        most: bytes that a body may have.
    """

    kind: str
    key: bytes = field(repr=False)
    headers: Headers
    events: tuple[str, ...] | None = None
    payload: str = "stdin"
    most: int = BODY_BYTES

    def check(self, headers: Mapping[str, str], body: bytes, now: float | None = None) -> Delivery:
        """Return what a request says, once its signature is known to be right.

        Args:
            headers: names in lower case.
            body: all of it.
            now: seconds since the epoch.

        Raises:
            NotSigned: it has no signature, a wrong one, or an old one.
            BadDelivery: it lacks its id, or an id or event has no usual form.
        """
        given = headers.get(self.headers.signature)
        if given is None:
            raise NotSigned(f"expected {self._wanted()}, got none: has its sender the secret?", 401)
        if self.kind == "standard":
            self._check_standard(given, headers, body, time.time() if now is None else now)
        else:
            prefix = "sha256=" if self.kind == "github" or given.lower().startswith("sha256=") else ""
            if self.kind == "gitea":
                prefix = ""
            if not is_signed(self.key, body, given, prefix):
                raise self._wrong()
        delivery = self._text("delivery", headers)
        if self.headers.delivery and not delivery:
            raise BadDelivery(f"expected the header {_spelled(self.headers.delivery)} with an id, got none")
        return Delivery(delivery, _type_of(body) if self.kind == "standard" else self._text("event", headers))

    def is_wanted(self, event: str) -> bool:
        """Return whether an event starts the command."""
        return self.events is None or event in self.events

    def is_ping(self, event: str) -> bool:
        """Return whether GitHub only wants to know whether somebody is there."""
        return self.kind == "github" and event == "ping" and "ping" not in (self.events or ())

    def _wanted(self) -> str:
        form = {"github": "sha256=HEX", "standard": "v1,BASE64"}.get(self.kind, "HEX")
        over = "ID.TIMESTAMP.BODY" if self.kind == "standard" else "the body"
        return f"the header {_spelled(self.headers.signature)} with {form}, the HMAC-SHA256 of {over}"

    def _wrong(self) -> NotSigned:
        return NotSigned(f"expected {self._wanted()} by the secret of this hook, got another", wrong=True)

    def _check_standard(self, given: str, headers: Mapping[str, str], body: bytes, now: float) -> None:
        stamp = headers.get("webhook-timestamp", "")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
            raise NotSigned("expected the header webhook-timestamp with seconds since 1970, got another", 401)
        if not is_signed_standard(self.key, headers.get("webhook-id", ""), int(stamp), body, given):
            raise self._wrong()
        if abs(away := now - int(stamp)) > _TOLERANCE:
            when = f"{away:.0f} s old" if away > 0 else f"{-away:.0f} s ahead"
            raise NotSigned(
                f"expected a webhook-timestamp within {_TOLERANCE} s of now, got one that is {when}: "
                "is one of the two clocks wrong?"
            )

    def _text(self, which: str, headers: Mapping[str, str]) -> str:
        name: str = getattr(self.headers, which)
        value = headers.get(name, "") if name else ""
        if len(value) > _MOST_ID or not value.isascii() or not (value == "" or value.isprintable()):
            raise BadDelivery(
                f"expected {_spelled(name)} in printable ASCII, at most {_MOST_ID} characters, got another"
            )
        return value


def _type_of(body: bytes) -> str:
    """Return the `type` that the payload of Standard Webhooks should have; empty if it has none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    kind = value.get("type") if isinstance(value, dict) else None
    usual = isinstance(kind, str) and len(kind) <= _MOST_ID and kind.isascii() and kind.isprintable()
    return str(kind) if usual else ""


def _spelled(header: str) -> str:
    return header if header.startswith("webhook-") else header.title()

"""Signatures of webhooks: HMAC-SHA256 over what is sent, in the forms in which services send it.

    standard   `webhook-signature: v1,BASE64` over `ID.TIMESTAMP.BODY` (Standard Webhooks 1.0.0)
    github     `X-Hub-Signature-256: sha256=HEX` over the body (GitHub Docs, Validating webhook deliveries)
    gitea      `X-Gitea-Signature: HEX` over the body (Gitea Docs, Webhooks)
    hmac       `HEX`, or `sha256=HEX`, over the body, in a header that the user names

Owns the texts and the comparisons, which take as long for a wrong signature as for a right one. Must not
know requests, runs or files. Text becomes bytes as UTF-8.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

__all__ = ["LEAST_SECRET", "is_signed", "is_signed_standard", "key_of", "sign_standard"]

LEAST_SECRET = 16  # bytes of a secret: what is shorter can be tried out
_PREFIX = "whsec_"  # of a secret in base64 (Standard Webhooks, Signature scheme)


def key_of(secret: str) -> bytes:
    """Return the bytes to sign with: those in base64 behind `whsec_`, else those of the secret itself.

    Raises:
        ValueError: it is no base64, or shorter than 16 bytes. The message does not have it.
    """
    key = secret.encode("utf-8", "surrogateescape")
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise ValueError("expected base64 behind whsec_, got something else") from None
    if len(key) < LEAST_SECRET:
        raise ValueError(f"expected a secret of at least {LEAST_SECRET} bytes, got {len(key)}")
    return key


def sign_standard(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the header `webhook-signature` for a message; the time is in seconds since the epoch."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def is_signed_standard(key: bytes, message_id: str, timestamp: int, body: bytes, header: str) -> bool:
    """Return whether one of the signatures in `webhook-signature`, divided by spaces, is right."""
    wanted = sign_standard(key, message_id, timestamp, body).encode()
    found = False
    for given in header.split(" "):
        found |= hmac.compare_digest(wanted, given.encode("utf-8", "replace"))
    return found


def is_signed(key: bytes, body: bytes, header: str, prefix: str = "") -> bool:
    """Return whether a header has the HMAC-SHA256 of a body in hexadecimal, behind a prefix."""
    wanted = (prefix + hmac.digest(key, body, hashlib.sha256).hex()).encode()
    return hmac.compare_digest(wanted, header.strip().lower().encode("utf-8", "replace"))

"""The record of a masked run: what of its request is masked, and how requests are compared all the same.

Owns both. The request itself, with the secrets in it, is never written. So that a key names one request,
the record has its HMAC, with a key of the store's own: without that key nobody can try out values. Hosts that
share their runs share such a key, too (shared_secret.py).
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runcast.masking.masks import Masks
from runcast.masking.values import STARS, secret_variables
from runcast.options import OPTIONS
from runcast.options.types import FOLDER, KEY, TEXT
from runcast.store.shared_secret import SharedSecret
from runcast.sysio.files import open_own
from runcast.sysio.writes import write_once

__all__ = ["fingerprint", "has_fingerprint", "masked_request"]

FILE = ".mask-key"  # in the store; a leading dot: no run
_KEY_BYTES = 32


def masked_request(masks: Masks, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request as `run.json` may have it.

    Variables whose names say that they are secret are masked also where they are too short to be found
    in output. `masked` is whether anything is missing that the run had: then it cannot be started again.
    """
    texts = [one.name for one in OPTIONS.values() if one.kept and one.type in (TEXT, FOLDER, KEY)]
    kept: dict[str, Any] = {name: request[name] and masks.text(request[name]) for name in texts}
    kept |= {
        name: masks.json(request[name]) for name in ("command", "params", "artifacts") if name in request
    }
    kept["env"] = {
        masks.text(name): STARS if value and name in secret_variables(request["env"]) else masks.text(value)
        for name, value in request["env"].items()
    }
    if (hooks := request.get("on_end")) is not None:
        kept["on_end"] = [_masked_hook(masks, one) for one in hooks]
    lost = bool(request["mask"]) or any(kept[name] != request[name] for name in kept)
    return {**request, **kept, "masked": lost}


def _masked_hook(masks: Masks, hook: Mapping[str, Any]) -> dict[str, Any]:
    """Return a hook as `run.json` may have it; `masked` where it cannot be done by that alone."""
    kept: dict[str, Any] = {name: masks.json(value) for name, value in hook.items() if name != "secret"}
    return kept if kept == hook else kept | {"masked": True}


def fingerprint(store: str, request: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the HMAC of some fields of a request that is not masked, with the newest key that hosts share.

    Raises:
        OSError: the store's key can be neither read nor written.
    """
    return next(_fingerprints(store, request, names))


def has_fingerprint(store: str, recorded: str, request: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Return whether a recorded fingerprint is that of a request, by any key that there is.

    Raises:
        OSError: the store's key can be neither read nor written.
    """
    return recorded in _fingerprints(store, request, names)


def _fingerprints(store: str, request: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    import hashlib
    import hmac  # both load OpenSSL, and few starts have a key

    message = json.dumps([request[name] for name in names]).encode()
    for key in SharedSecret(store).keys:
        yield hmac.new(key, message, hashlib.sha256).hexdigest()
    yield hmac.new(_key(store), message, hashlib.sha256).hexdigest()


def _key(store: str) -> bytes:
    path = f"{store}/{FILE}"
    while True:
        try:
            fd = open_own(path, os.O_RDONLY)
        except FileNotFoundError:
            write_once(f"{path}-{secrets.token_hex(8)}", path, secrets.token_bytes(_KEY_BYTES))
            continue
        try:
            return os.read(fd, _KEY_BYTES)
        finally:
            os.close(fd)

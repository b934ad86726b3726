"""The type of the option that says what happens when a run is over: commands to run, webhooks to call.

Owns its checks and messages; none of them has a secret, or the path of a URL, which may be one. What is
done with the hooks is the room hooks'.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from runcast.errors import UsageError
from runcast.options.option import nearest
from runcast.options.types import OptionType
from runcast.utf8 import is_text

__all__ = ["ON_END"]

_KEYS = ("command", "webhook", "when", "secret", "secret_env", "timeout")
_WORDS = ("failure", "recovery", "always")
_WHEN = '"failure", "recovery", "always", {"longer_than": "10m"} or a list of these'
_MOST = 16  # hooks of a run
_COMMAND_SECONDS, _WEBHOOK_SECONDS, _MOST_SECONDS = 60.0, 10.0, 3600.0


class _OnEnd(OptionType):
    """`run.json` has the hooks with their secrets, as it has `env`; of a masked run without."""

    python = "Sequence[Mapping[str, Any]] | None"
    words = 'a list of {"command": [...]} or {"webhook": URL}'
    kept_words = "a list of objects"
    toml = list[dict[str, Any]] | None
    toml_words = "a list of tables"
    secret = True

    def read(self, name: str, value: Any) -> list[dict[str, Any]] | None:
        if value is None:
            return None
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Sequence):
            raise UsageError(f"expected {name} as {self.words}, got a {type(value).__name__}")
        if len(value) > _MOST:
            raise UsageError(f"expected at most {_MOST} in {name}, got {len(value)}")
        return [_read(f"{name}[{number}]", one) for number, one in enumerate(value)] or None

    def takes(self, value: Any) -> bool:
        return isinstance(value, (list, tuple))

    def is_kept(self, value: object) -> bool:
        return isinstance(value, list) and all(map(_is_kept, value))


def _is_kept(one: object) -> bool:
    """Whether `run.json` may have this hook; a masked one may have stars in any text."""
    if not isinstance(one, dict) or not isinstance(one.get("when"), list):
        return False
    command = one.get("command", [])
    return is_text(one.get("webhook", "")) and isinstance(command, list) and all(map(is_text, command))


def _read(where: str, one: Any) -> dict[str, Any]:
    """Return a hook in its usual form: every key that has a meaning for it, in order."""
    if not isinstance(one, Mapping):
        raise UsageError(f'expected {where} as {{"command": [...]}} or {{"webhook": URL}}, got {_kind(one)}')
    for key in one:
        if key not in _KEYS:
            raise UsageError(f"expected in {where} {', '.join(_KEYS)}, got {key!r:.80}{nearest(key, _KEYS)}")
    command, url = one.get("command"), one.get("webhook")
    if (command is None) == (url is None):
        raise UsageError(f"expected in {where} command or webhook, got {'none' if url is None else 'both'}")
    hook: dict[str, Any]
    if url is None:
        if not isinstance(command, (list, tuple)) or not command or not all(map(_is_word, command)):
            wanted = f"expected {where}.command as a list of texts, program first"
            raise UsageError(f"{wanted}, got {'an empty one' if command == [] else _kind(command)}")
        for key in ("secret", "secret_env"):
            if one.get(key) is not None:
                raise UsageError(f"expected no {key} in {where}: only a webhook is signed")
        hook = {"command": [os.fspath(word) for word in command]}
    else:
        hook = {"webhook": _url(where, url)}
        if (secret := _secret(where, one)) is not None:
            hook["secret"] = secret
    hook["when"] = _when(f"{where}.when", one.get("when", "always"))
    hook["timeout"] = _seconds(
        f"{where}.timeout",
        one.get("timeout", _COMMAND_SECONDS if url is None else _WEBHOOK_SECONDS),
        _MOST_SECONDS,
    )
    return hook


def _is_word(value: object) -> bool:
    return isinstance(value, (str, os.PathLike)) and "\0" not in str(value)


def _url(where: str, value: object) -> str:
    wanted = f"expected {where}.webhook as https://HOST/PATH"
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        raise UsageError(f"{wanted}, in printable ASCII, got {_kind(value)}")
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"{wanted}, or http, got another URL")
    if parts.username is not None or parts.fragment:
        raise UsageError(f"{wanted} without a user or a fragment, got one: a receiver checks the signature")
    return value


def _secret(where: str, one: Mapping[str, Any]) -> str | None:
    from runcast.signatures import key_of  # it loads OpenSSL, and few runs have hooks

    secret, variable = one.get("secret"), one.get("secret_env")
    if secret is not None and variable is not None:
        raise UsageError(f"expected in {where} secret or secret_env, got both")
    if variable is not None:
        secret = os.environ.get(variable) if isinstance(variable, str) else None
        if secret is None:
            named = f"{variable!r:.80}" if isinstance(variable, str) else _kind(variable)
            raise UsageError(f"expected {where}.secret_env to name a variable that is set, got {named}")
    if secret is None:
        return None
    if not isinstance(secret, str):
        raise UsageError(f"expected {where}.secret as a text, got {_kind(secret)}")
    try:
        key_of(secret)
    except ValueError as error:
        raise UsageError(f"{where}.secret: {error}") from None
    return secret


def _when(where: str, value: object) -> list[Any]:
    """Return the conditions, any of which is enough: words, and objects with seconds."""
    conditions: list[Any] = []
    for one in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(one, str) and one in _WORDS:
            conditions.append(one)
        elif isinstance(one, Mapping) and set(one) == {"longer_than"}:
            conditions.append({"longer_than": _seconds(f"{where}.longer_than", one["longer_than"])})
        else:
            hint = nearest(one, _WORDS) if isinstance(one, str) else ""
            raise UsageError(f"expected {where} as {_WHEN}, got {one!r:.80}{hint}")
    if not conditions:
        raise UsageError(f"expected {where} as {_WHEN}, got an empty list: leave it out for always")
    return conditions


def _seconds(where: str, value: object, most: float = float("inf")) -> float:
    from runcast.options.types import SECONDS

    seconds: float | None = None if isinstance(value, bool) else SECONDS.read(where, value)
    if seconds is None or not seconds <= most or seconds == float("inf"):
        bound = "" if most == float("inf") else f", at most {most:.0f}"
        raise UsageError(f"expected {where} as {SECONDS.words}{bound}, got {value!r:.80}")
    return float(seconds)


def _kind(value: object) -> str:
    """Return what a value is, without what it says."""
    return f"a {type(value).__name__}"


ON_END: Final = _OnEnd()

"""The tables `[commands.NAME.hook]`: by which deliveries of other services a command is started.

Owns their keys. Which headers a kind has, and what is checked, is `server/inbound.py`'s.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import partial

import msgspec

from runcast.errors import UsageError
from runcast.options import PLACES
from runcast.quantities import either, size
from runcast.server.config.file import ConfigFile
from runcast.server.inbound import BODY_BYTES, KINDS, Headers, Inbound
from runcast.signatures import key_of
from runcast.web.api.commands import NamedCommand

__all__ = ["read_hooks"]

_HEADER = re.compile(r"[A-Za-z0-9-]{1,100}")
_OF_HMAC = ("signature_header", "event_header", "delivery_header")


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    kind: str = ""
    secret: str | None = None
    secret_env: str | None = None
    events: list[str] | None = None
    payload: str = "stdin"
    max_body: int | str = BODY_BYTES
    signature_header: str | None = None
    event_header: str | None = None
    delivery_header: str | None = None


def read_hooks(
    file: ConfigFile, commands: Mapping[str, NamedCommand]
) -> tuple[dict[str, Inbound], tuple[str, ...]]:
    """Return the hooks by the names of their commands, and the variables that their secrets came from."""
    hooks: dict[str, Inbound] = {}
    variables: dict[str, None] = {}
    for name, command in commands.items():
        value = file.value["commands"][name].get("hook")
        if value is None:
            continue
        keys = ("commands", name, "hook")
        table = file.table(value, *keys)
        file.check_keys(table, _Table.__struct_fields__, *keys)
        form: _Table = file.convert(keys, table, _Table)
        hooks[name] = _hook(file, keys, form)
        _check_command(file, keys, form, command)
        if form.secret_env is not None:
            variables[form.secret_env] = None
    return hooks, tuple(variables)


def _hook(file: ConfigFile, keys: tuple[str, ...], form: _Table) -> Inbound:
    if form.kind not in KINDS:
        wanted = either([f'"{kind}"' for kind in KINDS])
        if not form.kind:
            file.fail(keys, f"expected kind as {wanted}, got none")
        file.fail((*keys, "kind"), f"expected {wanted}, got {form.kind!r:.80}")
    headers = KINDS[form.kind]
    for key in _OF_HMAC:
        given: str | None = getattr(form, key)
        if given is None:
            continue
        if form.kind != "hmac":
            file.fail((*keys, key), f'expected it with kind = "hmac" only, got "{form.kind}"')
        if not _HEADER.fullmatch(given):
            file.fail((*keys, key), f"expected the name of a header, got {given!r:.80}")
        headers = headers._replace(**{key.removesuffix("_header"): given.lower()})
    if form.payload not in PLACES:
        file.fail((*keys, "payload"), f'expected "stdin" or "file", got {form.payload!r:.80}')
    most = file.parsed(partial(size, zero=False), (*keys, "max_body"), form.max_body)
    if most is None:
        file.fail(
            (*keys, "max_body"), "expected a size such as 1M, got none: any sender could fill the memory"
        )
    events = None if form.events is None else tuple(form.events)
    return Inbound(form.kind, _key(file, keys, form), Headers(*headers), events, form.payload, most)


def _key(file: ConfigFile, keys: tuple[str, ...], form: _Table) -> bytes:
    """Return what deliveries are signed with; no message has it."""
    if (form.secret is None) == (form.secret_env is None):
        got = "both" if form.secret is not None else "none"
        file.fail(keys, f"expected secret or secret_env, got {got}")
    secret, key = form.secret, "secret"
    if form.secret_env is not None:
        secret, key = os.environ.get(form.secret_env), "secret_env"
        if secret is None:
            file.fail((*keys, key), f"expected a variable that is set, got {form.secret_env!r:.80}")
    try:
        return key_of(secret or "")
    except ValueError as error:
        file.fail((*keys, key), str(error))


def _check_command(file: ConfigFile, keys: tuple[str, ...], form: _Table, command: NamedCommand) -> None:
    """Refuse what no delivery could start."""
    if form.payload == "stdin" and command.options["tty"] is True:
        file.fail(
            (*keys, "payload"), 'expected "file" with tty = true, whose stdin is the terminal, got "stdin"'
        )
    if form.payload == "file" and command.masked:
        file.fail(
            (*keys, "payload"), 'expected "stdin" with mask, since a file lies in the store, got "file"'
        )
    try:
        command.params.read({})
    except UsageError as error:
        file.fail(keys, f"expected parameters with defaults, since a delivery has no values: {error}")

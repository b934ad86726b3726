"""The configuration file: TOML in; named commands, queues, caps, origins, the cookie, what is kept out.

    allow_origins = ["https://app.example"]
    cookie = "off"
    keep = ["30d", "20G"]

    [commands.deploy]
    command = ["./deploy.sh", "--all"]
    title = "Deploy"
    timeout = "10m"
    queue = "deploy"

    [queues.deploy]
    max_running = 1

    [streams]
    cap = "100M"
    total_cap = "20G"

    [roles.dev]
    users = ["ana"]
    may = ["read", "start:deploy"]

Owns the keys of the file (docs/reference/configuration.md) but those of a command, and about people.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from runcast.keep import Keep, parse_keep
from runcast.model import CAP_BYTES
from runcast.options.queue_types import QUEUE, RUNNING
from runcast.quantities import size
from runcast.server.config.commands import read_commands
from runcast.server.config.file import ConfigFile, kind
from runcast.server.config.hooks import read_hooks
from runcast.server.config.people import KEYS as PEOPLE_KEYS
from runcast.server.config.people import PeopleConfig, read_people
from runcast.server.inbound import Inbound
from runcast.store.queues import QueueBounds
from runcast.web.api.commands import NamedCommand
from runcast.web.http.origins import parse_origin

__all__ = ["Config", "load_config"]

_KEYS = ("commands", "queues", "max_running", "streams", "allow_origins", "cookie", "keep", *PEOPLE_KEYS)


class _Streams(msgspec.Struct, forbid_unknown_fields=True):
    cap: int | str | None = CAP_BYTES
    total_cap: int | str | None = None


class Config(NamedTuple):
    """The settings in a file.

    Attributes:
        commands: by name, in the order of the file.
        stream_cap: bytes that a stream may have; None for no bound.
        streams_cap: bytes that all of them may have together; None for no bound.
        allow_origins: other origins, whose pages may read.
        cookie: whether browsers get a cookie for the token.
        keep: what stays of all finished runs; None for all.
        bounds: how many runs may go on at once, of the store and of its queues.
        hooks: by which deliveries of other services commands are started, by the names of the commands.
        secret_variables: of the environment, which the secrets of hooks came from.
        people: who is who, and what each may.
    """

    commands: dict[str, NamedCommand]
    stream_cap: int | None = CAP_BYTES
    streams_cap: int | None = None
    allow_origins: tuple[str, ...] = ()
    cookie: bool = True
    keep: Keep | None = None
    bounds: QueueBounds = QueueBounds()
    hooks: Mapping[str, Inbound] = MappingProxyType({})
    secret_variables: tuple[str, ...] = ()
    people: PeopleConfig = PeopleConfig()


def load_config(path: str) -> Config:
    """Return the settings in a file. A relative folder of a command begins at the file's.

    Raises:
        ConfigError: what is wrong, and where.
    """
    file = ConfigFile(path)
    file.check_keys(file.value, _KEYS)
    commands = read_commands(file)
    cap, total_cap = _stream_caps(file)
    return Config(
        commands,
        cap,
        total_cap,
        _origins(file),
        _cookie(file),
        file.parsed(parse_keep, ("keep",), file.value.get("keep")),
        _bounds(file),
        *read_hooks(file, commands),
        read_people(file, commands),
    )


def _bounds(file: ConfigFile) -> QueueBounds:
    tables = file.table(file.value.get("queues", {}), "queues", form="tables [queues.NAME]")
    of_queues = {}
    for name, value in tables.items():
        keys = ("queues", name)
        if not QUEUE.takes(name):
            file.fail(keys, f"expected {QUEUE.words}, got {name!r:.80}")
        table = file.table(value, *keys)
        file.check_keys(table, ("max_running",), *keys)
        of_queues[name] = _running(file, (*keys, "max_running"), table.get("max_running", 1))
    most = file.value.get("max_running")
    return QueueBounds(None if most is None else _running(file, ("max_running",), most), of_queues)


def _running(file: ConfigFile, keys: tuple[str, ...], value: object) -> int:
    if not RUNNING.takes(value):
        got = kind(value) if isinstance(value, (dict, list)) else repr(value)
        file.fail(keys, f"expected {RUNNING.toml_words}, got {got:.80}")
    return int(value)  # type: ignore[call-overload,no-any-return]


def _cookie(file: ConfigFile) -> bool:
    value = file.value.get("cookie", "on")
    if value not in ("on", "off"):
        got = repr(value) if isinstance(value, str) else kind(value)
        file.fail(("cookie",), f'expected "on" or "off", got {got:.100}')
    return bool(value == "on")


def _origins(file: ConfigFile) -> tuple[str, ...]:
    listed = file.value.get("allow_origins", [])
    if not isinstance(listed, list):
        file.fail(("allow_origins",), f"expected a list of origins, got {kind(listed)}")
    return tuple(file.parsed(parse_origin, ("allow_origins",), origin) for origin in listed)


def _stream_caps(file: ConfigFile) -> tuple[int | None, int | None]:
    table = file.table(file.value.get("streams", {}), "streams")
    file.check_keys(table, _Streams.__struct_fields__, "streams")
    streams = file.convert(("streams",), table, _Streams)
    cap, total = (
        file.parsed(partial(size, zero=False), ("streams", key), getattr(streams, key))
        for key in _Streams.__struct_fields__
    )
    return cap, total

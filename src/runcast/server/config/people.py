"""The keys about people: the header with a user's name, proxies that may send it, tables `[roles.NAME]`.

Owns these keys, and what of them and of the options must not stand alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

from runcast.doctor import ticking
from runcast.errors import UsageError
from runcast.options.option import nearest
from runcast.rights import Rights
from runcast.server.config.file import ConfigFile, kind
from runcast.server.people import DEFAULT, People, Role, Roles, parse_header
from runcast.server.proxies import Proxies, parse_proxy
from runcast.store.scoped_tokens import TokenFiles

__all__ = ["KEYS", "PeopleConfig", "people_of", "read_people"]

KEYS: Final = ("user_header", "trusted_proxies", "roles")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


class PeopleConfig(NamedTuple):
    """What a file says of people.

    Attributes:
        header: which has the name of a user; None for none.
        proxies: addresses and networks of the proxies that may send it.
        roles: what users may, by the name of the role.
    """

    header: str | None = None
    proxies: tuple[str, ...] = ()
    roles: Mapping[str, Role] = {}


def read_people(file: ConfigFile, commands: Collection[str]) -> PeopleConfig:
    """Return what the file says of people, who may start commands of these names."""
    header = file.parsed(parse_header, ("user_header",), file.value.get("user_header"))
    proxies = _texts(
        file, ("trusted_proxies",), file.value.get("trusted_proxies", []), "addresses", parse_proxy
    )
    tables = file.table(file.value.get("roles", {}), "roles", form="tables [roles.NAME]")
    roles = {name: _role(file, name, table) for name, table in tables.items()}
    for name, role in roles.items():
        _check_commands(file, name, role, commands)
    return PeopleConfig(header, proxies, roles)


def people_of(store: str, given: str | None, config: PeopleConfig, proxies: Proxies, *, auth: bool) -> People:
    """Return the people of a server.

    Args:
        store: its folder.
        given: the header with a user's name that goes before that of the file; None for none.
        config: what the file says.
        proxies: those from which the header counts.
        auth: whether clients must show who they are.

    Raises:
        UsageError: nobody could have what is given, or everybody.
    """
    header = config.header if given is None else parse_header(given)
    if header is not None and not auth:
        raise UsageError(
            "expected --user-header or --no-auth, got both: without its token everybody may do everything"
        )
    if header is not None and not proxies:
        raise UsageError(
            f"expected --trusted-proxy beside the header {header}, got none: say from which address it counts"
        )
    if header is None and config.roles:
        raise UsageError(
            "expected --user-header beside [roles], got none: users have a name by what a proxy says alone"
        )
    return People(TokenFiles(store), header=header, proxies=proxies, roles=Roles(config.roles))


def _role(file: ConfigFile, name: str, value: object) -> Role:
    keys = ("roles", name)
    if not _NAME.fullmatch(name):
        file.fail(keys, f"expected a name of up to 100 letters, digits and . _ -, got {name!r:.120}")
    table = file.table(value, *keys)
    file.check_keys(table, ("may",) if name == DEFAULT else ("users", "may"), *keys)
    for key in ("may",) if name == DEFAULT else ("users", "may"):
        if key not in table:
            file.fail(keys, f'expected {key} = ["…"], got none')
    may = _texts(file, (*keys, "may"), table["may"], "rights", lambda word: Rights([word]))
    users = _texts(file, (*keys, "users"), table.get("users", []), "names", lambda _: None)
    return Role(users, may)


def _check_commands(file: ConfigFile, name: str, role: Role, commands: Collection[str]) -> None:
    """Refuse a right to start what the file does not have, which would give nothing and say nothing."""
    for word in role.may:
        verb, _, command = word.partition(":")
        if verb == "start" and command and "*" not in command and command not in (*commands, ticking.NAME):
            near = nearest(command, commands)
            file.fail(
                ("roles", name, "may"), f"expected start:NAME of a command of this file, got {word!r}{near}"
            )


def _texts(
    file: ConfigFile, keys: tuple[str, ...], value: object, what: str, check: Callable[[Any], object]
) -> tuple[str, ...]:
    """Return a list of texts, each of which passes a check."""
    if not isinstance(value, list):
        file.fail(keys, f"expected a list of {what}, got {kind(value)}")
    for one in value:
        if not isinstance(one, str) or not one:
            file.fail(keys, f"expected a list of {what}, got {one!r:.80} in it")
        file.parsed(check, keys, one)
    return tuple(value)

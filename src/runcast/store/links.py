"""The link of a store to those of other hosts: where the engine is, who this host is there, how it goes.

    link.json    an object: `url` (it may have a password, so the file is its user's alone), `shelf`, `host`,
                 `lost_after`, `prefix`, `mirrors`, `secret`; a store without it is on its own, and so is
                 one whose `url` is empty: it has a shelf, and no engine
    .link.json   what the agent has to say: an object with `up`, `since`, `message`, `silent` and `notes`

Must not know what an engine is, or what an agent does.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from runcast.errors import FileDamaged, StoreUnusable
from runcast.ids import new_run_id
from runcast.json_objects import read_json
from runcast.keep import Keep, parse_keep
from runcast.sysio.files import open_own
from runcast.sysio.writes import replace, write_all

__all__ = [
    *(
        "LOST_AFTER",
        "LinkFile",
        "LinkStatus",
        "is_linked",
        "is_shared",
        "read_link",
        "read_status",
        "status_time",
    ),
]

FILE = "link.json"
_STATUS = ".link.json"
_shared: dict[str, tuple[tuple[int, int], bool]] = {}  # by store: the file, and whether it names an engine
_STATUS_BYTES = 4096  # at least as many, so that there is room for another one
_MESSAGE = 600  # characters, of up to 6 bytes each
LOST_AFTER: Final = 120.0
"""For how many seconds a host may be silent before its runs are lost."""


class LinkFile(NamedTuple):
    """What `link.json` has.

    Attributes:
        url: of the engine.
        shelf: where segments are kept that the engine no longer has; None for nowhere.
        host: the name of this store among those of the link, for people and for leases.
        lost_after: seconds without a sign of a host, after which its runs are lost.
        prefix: of all keys at the engine.
        secret: what all hosts have and the engine has not, for fingerprints; empty for the engine's password.
        mirrors: what stays of the finished runs of other hosts, as in `1000,7d,2G`; empty for all.
    """

    url: str
    shelf: str | None = None
    host: str = ""
    lost_after: float = LOST_AFTER
    prefix: str = "rc:"
    mirrors: str = ""
    secret: str = ""

    @property
    def common_secret(self) -> str:
        """What all hosts have and the engine's data has not: a secret of the URL, else its password."""
        if self.secret:
            return self.secret
        from urllib.parse import parse_qsl, unquote, urlsplit

        parts = urlsplit(self.url)
        return unquote(parts.password or dict(parse_qsl(parts.query)).get("password", ""))

    @property
    def keep_mirrors(self) -> Keep | None:
        """The rule that `mirrors` is; None for none.

        Raises:
            ValueError: it has no meaning.
        """
        return parse_keep(self.mirrors.split(",")) if self.mirrors else None

    def write(self, store: str) -> LinkFile:
        """Write it, with a name for the host if it has none, and return it as it is now.

        Raises:
            StoreUnusable: it would leave the link unnoticed.
            OSError: the store cannot be written to.
        """
        known = read_link(store)
        if known is not None:
            self._check_same(known, store)
        if known is not None and known.host and not self.host:
            mine = self._replace(host=known.host)
        else:
            mine = self if self.host else self._replace(host=host_name(store))
        if mine != known:
            replace(f"{store}/.{FILE}-{new_run_id()}", f"{store}/{FILE}", json.dumps(mine._asdict()).encode())
        return mine

    def _check_same(self, known: LinkFile, store: str) -> None:
        if known.url and not self.url:
            raise StoreUnusable(
                f"expected the URL of its engine as the name of the store {store}, which is shared with "
                f"other hosts, got one without: add shelf= to that URL, or remove {store}/{FILE} to share it "
                "no longer"
            )


class LinkStatus(NamedTuple):
    """How the link is, as the agent wrote it last.

    Attributes:
        up: whether the engine takes and gives.
        since: since when, in seconds since the epoch.
        message: why it is not, or what people should know all the same.
        silent: since when nothing was heard of hosts whose runs go on, in seconds since the epoch, by name.
        notes: what `message` is made of while the link is up, by what it is about.
    """

    up: bool
    since: float
    message: str | None
    silent: Mapping[str, float] = MappingProxyType({})
    notes: Mapping[str, str] = MappingProxyType({})

    def write(self, store: str) -> None:
        """Write it, on a full disk in place of what was there; what cannot be written is no error."""
        path = f"{store}/{_STATUS}"
        with contextlib.suppress(OSError):
            try:
                replace(f"{path}-new", path, self._encoded(), durable=False)
            except OSError:
                short = self._replace(silent={}, notes={}, message=self.message and self.message[:_MESSAGE])
                fd = open_own(path, os.O_WRONLY)
                try:
                    write_all(fd, short._encoded())
                    os.ftruncate(fd, _STATUS_BYTES)
                finally:
                    os.close(fd)

    def _encoded(self) -> bytes:
        values = self._asdict() | {"silent": dict(self.silent), "notes": dict(self.notes)}
        return json.dumps(values).encode().ljust(_STATUS_BYTES - 1) + b"\n"


def is_linked(store: str) -> bool:
    """Return whether a store is linked to those of other hosts."""
    return os.path.lexists(f"{store}/{FILE}")


def is_shared(store: str) -> bool:
    """Return whether a store is linked to an engine, as far as can be read: it may have a shelf alone."""
    path = f"{store}/{FILE}"
    try:
        status = os.stat(path)
    except OSError:
        return False
    signature = status.st_ino, status.st_mtime_ns
    known = _shared.get(store)
    if known is None or known[0] != signature:
        try:
            link = read_link(store)
        except (OSError, StoreUnusable):
            link = None
        known = _shared[store] = signature, link is None or bool(link.url)
    return known[1]


def read_link(store: str) -> LinkFile | None:
    """Return the link of a store; None if it has none.

    Raises:
        StoreUnusable: the file is damaged, or others can read it.
    """
    path = f"{store}/{FILE}"
    try:
        value = read_json(path)
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    except FileDamaged as error:
        raise StoreUnusable(f"{error}: remove it, and open the store with its URL again") from None
    if mode & 0o077:
        raise StoreUnusable(f"expected {path} as a file that only its user can read: it may have a password")
    if (wrong := _wrong(value)) is not None:
        raise StoreUnusable(f"{path}: expected {wrong}: remove it, and open the store with its URL again")
    known = {name: value[name] for name in LinkFile._fields if name in value}
    return LinkFile(**known)


def _wrong(value: dict[str, Any]) -> str | None:
    if not all(isinstance(value.get(name), str) for name in ("url", "host")):
        return "url and host as texts"
    texts = value.get("shelf") or "", *(value.get(name, "") for name in ("prefix", "mirrors", "secret"))
    if not all(isinstance(text, str) for text in texts):
        return "shelf, prefix, mirrors, secret as texts"
    lost_after = value.get("lost_after", LOST_AFTER)
    if not isinstance(lost_after, int | float) or lost_after <= 0:
        return "lost_after as seconds"
    return None


def read_status(store: str) -> LinkStatus | None:
    """Return what the agent of a store wrote last; None if there is nothing."""
    with contextlib.suppress(OSError, AttributeError, KeyError, TypeError, ValueError):
        value = read_json(f"{store}/{_STATUS}")
        silent = {str(host): float(since) for host, since in value.get("silent", {}).items()}
        notes = {str(about): str(text) for about, text in value.get("notes", {}).items()}
        return LinkStatus(bool(value["up"]), float(value["since"]), value["message"], silent, notes)
    return None


def status_time(store: str) -> float:
    """Return when that was written, in seconds since the epoch; 0.0 if there is nothing."""
    try:
        return os.stat(f"{store}/{_STATUS}").st_mtime
    except OSError:
        return 0.0


def host_name(store: str) -> str:
    """Return a name for a store among others: that of the machine, and the end of the store's own id."""
    try:
        own = str(read_json(f"{store}/store.json").get("id", ""))
    except OSError:
        own = ""
    return f"{socket.gethostname()}-{own[-6:] or new_run_id()[-6:]}"

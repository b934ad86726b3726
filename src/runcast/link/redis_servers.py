"""What a server of Redis or Valkey says of itself (INFO), whether a link may use it, and who has a key."""

from __future__ import annotations

import binascii
from collections.abc import Sequence

from runcast.errors import LinkDown, LinkRefused
from runcast.link.base import Engine

__all__ = ["Info", "engine_of", "info_of", "key_slot", "servers_of"]

Info = dict[str, str]
_VERSION = 7  # the first with sharded channels


def info_of(text: bytes) -> Info:
    """Return what INFO says, by name."""
    pairs = (line.partition(":") for line in text.decode("utf-8", "replace").split("\r\n"))
    return {name: value for name, colon, value in pairs if colon}


def engine_of(infos: Sequence[Info], where: str) -> Engine:
    """Return what an engine is, the first server of which is at `where`.

    Raises:
        LinkDown: one of them does not serve now.
        LinkRefused: one of them is too old, or drops data when it is full.
    """
    for info in infos:
        _check(info, where)
    first = infos[0]
    name = (
        f"valkey {first['valkey_version']}"
        if "valkey_version" in first
        else f"redis {first['redis_version']}"
    )
    limits = [int(info.get("maxmemory", 0)) for info in infos]
    return Engine(name, first.get("aof_enabled") == "1", sum(limits) if all(limits) else None)


def servers_of(infos: Sequence[Info]) -> str:
    """Return the names that the processes of all servers gave themselves when they began."""
    return " ".join(sorted(info.get("run_id", "") for info in infos if info.get("role") != "slave"))


def _check(info: Info, where: str) -> None:
    version, policy = info.get("redis_version", "0"), info.get("maxmemory_policy", "noeviction")
    if info.get("loading") == "1":
        raise LinkDown(f"expected {where} to serve, it is reading its data: try again")
    if int(version.partition(".")[0]) < _VERSION:
        raise LinkRefused(f"expected Redis {_VERSION} or Valkey at {where}, it is {version}: upgrade it")
    if policy != "noeviction" and info.get("maxmemory", "0") != "0":
        raise LinkRefused(
            f"expected a server that refuses data when it is full, {where} removes some "
            f"(maxmemory-policy {policy}): set maxmemory-policy noeviction there"
        )
    if info.get("role") == "slave" and info.get("cluster_enabled") != "1":
        raise LinkDown(f"expected a primary at {where}, it is a replica: name the primary, or wait for one")


def key_slot(key: bytes) -> int:
    """Return the slot of a cluster in which a key is; of its name only what is in {} counts, if there is any.

    https://valkey.io/topics/cluster-spec/: CRC16/XMODEM, modulo 16,384.
    """
    begin = key.find(b"{")
    end = key.find(b"}", begin + 1)
    counts = key[begin + 1 : end] if begin >= 0 and end > begin + 1 else key
    return binascii.crc_hqx(counts, 0) % 16384

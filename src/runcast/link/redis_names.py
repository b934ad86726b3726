"""What is called how in Redis, and the verbs about names that all hosts share.

A name is a key of its own, in whatever slot it falls; that of a run's key goes away by itself if its run
is not made in time, so that who dies in between blocks nobody.
"""

from __future__ import annotations

from runcast.link import redis_scripts as scripts
from runcast.link.base import Link
from runcast.link.redis_wire import RedisWire
from runcast.link.reply import Reply
from runcast.link.rules import key_name
from runcast.link.steps import Steps, take_steps

__all__ = ["RedisNames"]

_KEY_MS = 60_000  # for which a key is held without its run


class RedisNames(Link):
    """The part of a link that is about names."""

    _wire: RedisWire
    _prefix: bytes

    def _key(self, name: bytes) -> bytes:
        return self._prefix + name

    def _of(self, run: str) -> bytes:
        """Return the channel of a run, with which its keys begin."""
        return b"%b{%b}" % (self._prefix, run.encode())

    def create(self, run: str, request: bytes, host: str, key: str | None = None) -> Reply[str]:
        """Make a run."""
        return take_steps(self._create(run, request, host, key))

    def _create(self, run: str, request: bytes, host: str, key: str | None) -> Steps[str]:
        taken = b""
        if key is not None:
            taken = self._key(key_name(key).encode())
            holder = yield self._wire.request(taken, "SET", taken, run, "NX", "GET", "PX", _KEY_MS)
            if holder and holder.decode() != run:
                return str(holder.decode())
        mine = self._of(run)
        yield self._wire.run(scripts.CREATE, (mine + b"run",), request, host, taken, mine)
        runs = self._key(b"runs")
        listed = self._wire.request(runs, "ZADD", runs, 0, run)
        noted = self._wire.request(runs, "SPUBLISH", runs, b"")
        if taken:
            yield self._wire.request(taken, "PERSIST", taken)
        yield listed
        yield noted
        return run

    def claim(self, name: str, value: bytes) -> Reply[bytes]:
        """Give a name a value."""

        def steps() -> Steps[bytes]:
            key = self._key(name.encode())
            found = yield self._wire.request(key, "SET", key, value, "NX", "GET")
            return value if found is None else bytes(found)

        return take_steps(steps())

    def named(self, name: str) -> Reply[bytes | None]:
        """Look at a name."""
        key = self._key(name.encode())
        return self._wire.request(key, "GET", key)

    def free(self, name: str, value: bytes) -> Reply[None]:
        """Take a name's value away."""

        def steps() -> Steps[None]:
            yield self._wire.run(scripts.FREE, (self._key(name.encode()),), value)

        return take_steps(steps())

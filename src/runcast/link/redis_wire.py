"""Requests to a server of Redis or Valkey, or to a cluster of them, and what comes back.

Owns connections, which server has which slot, redirections, and the one state that a link is in: up
or down. Knows channels, but not what runs are. All in the thread that calls `step`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from runcast.errors import LinkDown, UsageError
from runcast.link.background import Opening
from runcast.link.redis_connection import RedisConnection
from runcast.link.redis_errors import error_of
from runcast.link.redis_opening import place_of
from runcast.link.redis_scripts import SCRIPTS, Script
from runcast.link.redis_sentinel import parse_sentinels
from runcast.link.redis_servers import Info, info_of, key_slot
from runcast.link.reply import Reply
from runcast.link.resp import ServerError
from runcast.link.steps import Steps
from runcast.link.wire import Wire

__all__ = ["RedisWire"]

Address = tuple[str, int]
_REDIRECTS = 5  # of one request


class RedisWire(Wire):
    """The connections of one link.

    Args:
        url: `redis://`, `rediss://` or `unix://`, as `redis_opening.parse_url` has them, or of sentinels.
        push: called with each channel that has a message, and that; or with None, when one is subscribed to.

    Raises:
        UsageError: this is no such URL.
    """

    def __init__(self, url: str, push: Callable[[bytes, bytes | None], None]) -> None:
        try:
            self._options, self._sentinels = parse_sentinels(url)
        except (ValueError, KeyError):  # its text may have the password
            raise UsageError(
                "expected redis://HOST:PORT/DB, rediss://… or redis+sentinel://HOST:PORT,HOST:PORT/NAME/DB, "
                "with special letters of user and password as %XX, got another URL"
            ) from None
        self._search: tuple[Opening[Address], Reply[Address]] | None = None
        super().__init__()
        self._push = push
        self._seed: Address = (
            str(self._options.get("host", "localhost")),
            int(self._options.get("port", 6379)),
        )
        self._slots: list[Address] | None = None
        self._nodes: dict[Address, RedisConnection] = {}
        self._listeners: dict[Address, RedisConnection] = {}
        self._channels: set[bytes] = set()

    @property
    def where(self) -> str:
        """Where the server is, for people."""
        return place_of(self._options | dict(zip(("host", "port"), self._seed, strict=True)))

    def timeout(self) -> float | None:
        """Return the seconds until there is something to do."""
        if self.down is not None and not self._nodes:
            return None
        connections = [*self._nodes.values(), *self._listeners.values()]
        if any(one.unsent for one in connections):
            return 0.0
        due = min((one.due() for one in connections), default=float("inf"))
        return None if due == float("inf") else max(0.0, due - time.monotonic())

    def _turn(self) -> None:
        self._take_found()
        self._flush()
        for descriptor in self._polling.ready():
            self._receive(descriptor)
        now = time.monotonic()
        for one in [*self._nodes.values(), *self._listeners.values()]:
            one.beat(now)
        self._flush()

    def _flush(self) -> None:
        for one in [*self._nodes.values(), *self._listeners.values()]:
            one.flush()

    def _receive(self, descriptor: int) -> None:
        for one in [*self._nodes.values()]:
            if one.descriptor == descriptor:
                one.receive()
        for one in [*self._listeners.values()]:
            if one.descriptor == descriptor:
                one.receive(self._hear)

    def _disconnect(self) -> None:
        for one in [*self._nodes.values(), *self._listeners.values()]:
            one.close()
        self._nodes, self._listeners, self._slots, self._search = {}, {}, None, None

    # Requests

    def request(
        self,
        key: bytes,
        *arguments: bytes | str | int,
        to: Address | None = None,
        even_down: bool = False,
        convert: Callable[[Any], Any] | None = None,
    ) -> Reply[Any]:
        """Send a request to the server that has a key, or to one server; reply with what it replies."""
        reply = Reply(convert)
        if self.down is not None and not even_down:
            reply.fail(self.down)
            return reply
        self._waiting[reply] = None
        self._send(reply, key, arguments, to or self._address(key), 0)
        return reply

    def run(
        self,
        script: Script,
        keys: tuple[bytes, ...],
        *arguments: bytes | str | int,
        even_down: bool = False,
        convert: Callable[[Any], Any] | None = None,
    ) -> Reply[Any]:
        """Run a script."""
        request = b"EVALSHA", script.digest, len(keys), *keys, *arguments
        return self.request(keys[0], *request, even_down=even_down, convert=convert)

    def _send(
        self,
        reply: Reply[Any],
        key: bytes,
        arguments: tuple[bytes | str | int, ...],
        address: Address,
        redirects: int,
    ) -> None:
        node = self._node(self._nodes, address)

        def settle(value: object) -> None:
            if not isinstance(value, ServerError):
                self._waiting.pop(reply, None)
                reply.succeed(value)
            elif value.code == "NOSCRIPT":
                self._send(
                    reply, key, ("EVAL", SCRIPTS[str(arguments[1])], *arguments[2:]), address, redirects
                )
            elif value.code in ("MOVED", "ASK") and self._slots is not None and redirects < _REDIRECTS:
                target = self._moved(value, node)
                if value.code == "ASK":
                    self._node(self._nodes, target).send(("ASKING",), lambda value: None)
                self._send(reply, key, arguments, target, redirects + 1)
            else:
                error = error_of(value, node.where)
                if isinstance(error, LinkDown):
                    raise error
                self._waiting.pop(reply, None)
                reply.fail(error)

        node.send(arguments, settle)

    def _moved(self, error: ServerError, node: RedisConnection) -> Address:
        """Return the server that a redirection names, and note it if that is for good."""
        _, slot, where = error.text.split()[:3]
        host, _, port = where.rpartition(":")
        target = host or node.host, int(port)
        if error.code == "MOVED" and self._slots is not None:
            self._slots[int(slot)] = target
        return target

    def _address(self, key: bytes) -> Address:
        return self._seed if self._slots is None else self._slots[key_slot(key)]

    def _node(self, nodes: dict[Address, RedisConnection], address: Address) -> RedisConnection:
        node = nodes.get(address)
        if node is None:
            options = dict(self._options)
            if address != self._seed or self._sentinels is not None:
                options["host"], options["port"] = address
            node = nodes[address] = RedisConnection(options, self._polling.poller, self._polling.ring)
        return node

    # Connecting

    def open(self) -> Steps[list[Info]]:
        """Connect; return what each server says of itself. If that will do, the caller clears `down`."""
        self._connects()
        if self._sentinels is not None:
            found: Reply[Address] = Reply()
            self._search = Opening(self._sentinels.find, lambda address: None, self._polling.ring), found
            self._waiting[found] = None
            self._seed = yield found
        infos = [info_of((yield self.request(b"", "INFO", to=self._seed, even_down=True)))]
        if infos[0].get("cluster_enabled") == "1":
            slots = yield self.request(b"", "CLUSTER", "SLOTS", to=self._seed, even_down=True)
            self._slots = self._table(slots)
            replies = [
                self.request(b"", "INFO", to=address, even_down=True)
                for address in sorted({*self._slots} - {self._seed})
            ]
            for reply in replies:
                infos.append(info_of((yield reply)))
        return infos

    def _take_found(self) -> None:
        """Take where the sentinels say that the primary is, if they have."""
        if self._search is None or (address := self._search[0].take()) is None:
            return
        reply, self._search = self._search[1], None
        self._waiting.pop(reply, None)
        reply.succeed(address)

    def _table(self, slots: list[Any]) -> list[Address]:
        table: list[Address | None] = [None] * 16384
        for first, last, master, *_ in slots:
            address = (master[0] or b"").decode() or self._seed[0], int(master[1])
            table[first : last + 1] = [address] * (last + 1 - first)
        if not all(table):
            raise LinkDown(f"expected a cluster with all slots at {self.where}, some have no server: mend it")
        return [address for address in table if address]

    # Channels

    def subscribe(self, channels: Collection[bytes]) -> None:
        """Have messages of these channels pushed; each is pushed once when that begins."""
        self._channels |= set(channels)
        if self.down is None:
            for channel in channels:
                self._listener(channel).send(("SSUBSCRIBE", channel), None)

    def unsubscribe(self, channels: Collection[bytes]) -> None:
        """End that."""
        self._channels -= set(channels)
        if self.down is None:
            for channel in channels:
                self._listener(channel).send(("SUNSUBSCRIBE", channel), None)

    def resubscribe(self) -> None:
        """Subscribe to all channels on new connections."""
        self.subscribe(self._channels)

    def _listener(self, channel: bytes) -> RedisConnection:
        return self._node(self._listeners, self._address(channel))

    def _hear(self, message: object) -> None:
        match message:
            case [b"smessage", bytes() as channel, bytes() as said]:
                self._push(channel, said)
            case [b"ssubscribe", bytes() as channel, *_]:
                self._push(channel, None)
            case [b"sunsubscribe", bytes() as channel, *_]:
                if channel in self._channels:  # its slot has gone to another server
                    self._listener(channel).send(("SSUBSCRIBE", channel), None)
            case ServerError(code="MOVED") if self._slots is not None:
                slot = int(message.text.split()[1])
                self._moved(message, self._node(self._listeners, self._slots[slot]))
                self.subscribe([channel for channel in self._channels if key_slot(channel) == slot])
            case ServerError():
                raise error_of(message, self.where)

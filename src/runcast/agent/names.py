"""What all hosts share beside runs: keys, the places of polls, and the secret of fingerprints.

Owns what processes of this host want of names at the link, and what other hosts want of this one's runs: a
key is freed on the host of its run as well, and the place of polls is kept there. Must not know how keys are
claimed (claims.py), nor what a poll is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from runcast.agent.claims import Claims
from runcast.agent.connection import Connection
from runcast.errors import LinkDown, LinkError
from runcast.ids import is_run_id
from runcast.json_objects import parse_object
from runcast.link import Reply
from runcast.link.rules import key_name
from runcast.store.files import StoreFiles
from runcast.store.keys import free_key
from runcast.store.links import LinkFile
from runcast.store.positions import Position
from runcast.store.shared_secret import SharedSecret

__all__ = ["HERE", "ON_HOST", "Names"]

HERE: Final = frozenset({"free", "key", "place", "stream"})
"""What processes of this host want."""
ON_HOST: Final = frozenset({"free", "place"})
"""What is done on the host of a run."""
_SECRET: Final = "secret"
STREAM: Final = "stream:"

Say = Callable[[dict[str, Any]], object]


class Names:
    """Names at the link.

    Args:
        connection: the link.
        files: of the store.
        settings: of the link.
        claims: what waits for mirrors.
    """

    def __init__(self, connection: Connection, files: StoreFiles, settings: LinkFile, claims: Claims) -> None:
        self._connection, self._files, self._settings, self._claims = connection, files, settings, claims
        self._secret = SharedSecret(files.path)
        self.pass_on: Callable[[str, dict[str, Any]], Reply[bytes]] = lambda host, request: Reply()

    # Processes of this host

    def wanted(self, request: dict[str, Any], say: Say) -> None:
        """Do what a process wants: `say` gets the answer, or `alone` and why, if nobody can say.

        `key`: `holder`, the run that has a key, once it is here, or None; `free`: have a key name nothing, if
        it names a run; `place`: what the host of a run says of a place of polls; `stream`: see `_stream`.
        """
        key, run_id = str(request.get("key")), str(request.get("run"))
        if not self._connection.up:
            say({"alone": "the link is down", "again": self._connection.soon})
        elif (reason := self._claims.refused()) is not None:
            say({"alone": reason})
        elif request["op"] == "key":
            self._connection.link.named(key_name(key)).then(partial(self._named, say))
        elif request["op"] == "free":
            freed = self._connection.link.free(key_name(key), run_id.encode())
            freed.then(partial(self._on_host, run_id, request, say))
        elif request["op"] == "stream":
            self._stream(request, say)
        elif self._host_of(run_id) is None:
            say({"error": "expected a run of another host"})
        else:
            self._on_host(run_id, request, say)

    def _stream(self, request: dict[str, Any], say: Say) -> None:
        """Claim, find or free the name of a stream: `host` is another one that has it, or None."""
        name, mine = STREAM + str(request.get("digest")), self._settings.host.encode()
        if request.get("do") == "free":
            self._connection.link.free(name, mine).then(partial(self._of_stream, say))
        elif request.get("do") == "claim":
            self._connection.link.claim(name, mine).then(partial(self._of_stream, say))
        else:
            self._connection.link.named(name).then(partial(self._of_stream, say))

    def _of_stream(self, say: Say, reply: Reply[Any]) -> None:
        try:
            host = (reply.result() or b"").decode("utf-8", "replace")
        except LinkError as error:
            return self._failed(error, say)
        say({"host": None if host in ("", self._settings.host) else host})

    def _named(self, say: Say, reply: Reply[bytes | None]) -> None:
        try:
            holder = (reply.result() or b"").decode("ascii", "replace")
        except LinkError as error:
            self._failed(error, say)
        else:
            self._claims.await_mirror(holder, say) if is_run_id(holder) else say({"holder": None})

    def _host_of(self, run_id: str) -> str | None:
        return self._files.run(run_id).mirror_of if is_run_id(run_id) else None

    def _on_host(
        self, run_id: str, request: dict[str, Any], say: Say, reply: Reply[None] | None = None
    ) -> None:
        """Have the host of a run do it, if that is another one."""
        try:
            if reply is not None:
                reply.result()
        except LinkError as error:
            return self._failed(error, say)
        host = self._host_of(run_id)
        if host is None:
            say({"ok": True})
        else:
            self.pass_on(host, request).then(partial(self._passed_on, say))

    def _passed_on(self, say: Say, reply: Reply[bytes]) -> None:
        try:
            say(parse_object(reply.result()))
        except ValueError as error:
            say({"error": str(error)})
        except LinkError as error:
            self._failed(error, say)

    def _failed(self, error: LinkError, say: Say) -> None:
        if isinstance(error, LinkDown):
            self._connection.lost(error)
        say({"alone": str(error)})

    # Other hosts

    def on_host(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what another host wants of a run of this one; return the answer.

        Raises:
            OSError: the store cannot be written to.
            ValueError: the request has no meaning.
        """
        run_id = str(request.get("run"))
        if request["op"] == "free":
            free_key(self._files.path, str(request.get("key")), run_id)
            return {"ok": True}
        position, number, offset = (
            Position(self._files.path, run_id),
            request.get("number"),
            request.get("offset"),
        )
        match request.get("do"):
            case "begin" if number is None or _is_count(number):
                begins, reply = position.begin(number)
                return {"offset": begins, "number": reply}
            case "end" if _is_count(number) and _is_count(offset):
                position.end(number, offset)  # type: ignore[arg-type]
            case "forget":
                position.forget()
            case other:
                raise ValueError(f"expected begin, end or forget, and numbers, got {other!r:.40}")
        return {"ok": True}

    # After each connection

    def rejoin(self) -> None:
        """Agree with the others on a secret of fingerprints, and claim the names of this host's streams."""
        for digest in self._files.stream_names():  # made while the link was down, or before there was one
            self._connection.link.claim(STREAM + digest, self._settings.host.encode())
        mine = self._secret.engine or os.urandom(32).hex()
        self._connection.link.claim(_SECRET, mine.encode()).then(self._agreed)

    def _agreed(self, reply: Reply[bytes]) -> None:
        try:
            value = reply.result().decode("ascii", "replace")
        except LinkDown as error:
            return self._connection.lost(error)
        except LinkError as error:  # no room: the next connection tries again
            return self._connection.note("secret", str(error))
        with contextlib.suppress(OSError):  # a full disk: then a masked run has a key on its own host only
            self._secret.write(value, self._settings.common_secret)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63

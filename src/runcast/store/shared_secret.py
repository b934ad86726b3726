"""The key with which hosts that share their runs make fingerprints of masked ones: `.mask-key-link`.

An object with `secret`, which the engine has as well, and `keys`, each made of such a secret and of what the
engine has not: the newest first. docs/explanation/more-than-one-machine.md says who may know what.
"""

from __future__ import annotations

import contextlib
import json
import os

from runcast.ids import new_run_id
from runcast.json_objects import read_json
from runcast.sysio.writes import replace

__all__ = ["SharedSecret"]

FILE = ".mask-key-link"
_KEYS = 4  # that are remembered: a password may change


class SharedSecret:
    """The key of fingerprints that hosts share.

    Attributes:
        engine: the part of it that the engine has; None before the first agreement.
        keys: the newest first.
    """

    def __init__(self, store: str) -> None:
        self._path = f"{store}/{FILE}"
        self.engine: str | None = None
        self.keys: list[bytes] = []
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            value = read_json(self._path)
            self.engine, self.keys = str(value["secret"]), [bytes.fromhex(key) for key in value["keys"]]

    @property
    def _is_newest(self) -> bool:
        """Whether it was made of what the link's file says now."""
        store, _ = os.path.split(self._path)
        with contextlib.suppress(OSError):
            return os.stat(self._path).st_mtime_ns > os.stat(f"{store}/link.json").st_mtime_ns
        return False

    @property
    def agreed(self) -> bool:
        """Whether hosts have agreed on one."""
        return bool(self.keys)

    def write(self, engine: str, common: str) -> None:
        """Keep what was agreed upon.

        Args:
            engine: what the engine has.
            common: what all hosts have, and the engine has not; may be empty.

        Raises:
            OSError: the store cannot be written to.
        """
        if engine == self.engine and self._is_newest:
            return
        import hashlib
        import hmac  # both load OpenSSL, and an agent is small

        key = hmac.new(engine.encode(), b"runcast fingerprints " + common.encode(), hashlib.sha256).digest()
        if engine == self.engine and self.keys[:1] == [key]:
            return
        self.engine, self.keys = engine, [key, *(old for old in self.keys if old != key)][:_KEYS]
        data = json.dumps({"secret": engine, "keys": [key.hex() for key in self.keys]}).encode()
        replace(f"{self._path}-{new_run_id()}", self._path, data)

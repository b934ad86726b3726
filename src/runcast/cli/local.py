"""The runs of a store, as verbs know runs."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from runcast.cli.terminal import tell
from runcast.model import CHUNK_BYTES, Channel, Chunk
from runcast.readers import begin
from runcast.run import Run
from runcast.server.registry import servers
from runcast.store import Store

if TYPE_CHECKING:
    from runcast.cli.where import AnyRun
    from runcast.run_base import Place
    from runcast.sources.command import Command

__all__ = ["Local"]


class Local:
    """The runs of a store."""

    def __init__(self, where: str | None) -> None:
        self._where = where
        self._store = Store.open(where)

    @property
    def said(self) -> str:
        return f"the store {self._store.path}"

    @property
    def option(self) -> str:
        return f"--store {shlex.quote(self._where)} " if self._where else ""

    def start(self, command: Command, stdin: bool, options: Mapping[str, Any]) -> Run:
        reads: str | int = "pipe" if self.forwards() else 0
        return self._store.start(command, stdin=reads if stdin else None, **options)

    def forwards(self) -> bool:
        return os.isatty(0)  # a run of another session cannot read a terminal

    def started(self, run: AnyRun) -> None:
        _ = run.pid  # waits out the start

    def link(self, run: AnyRun) -> str | None:
        return next((f"{url.rstrip('/')}/runs/{run.id}" for url in servers(self._store.path)), None)

    def get(self, run_id: str) -> Run:
        return self._store.get(run_id)

    def list(self, limit: int | None = None) -> Iterator[Run]:
        return self._store.list(limit)

    def remove(self, run: AnyRun) -> None:
        self._store.remove(cast(Run, run))

    def so_far(self, run: AnyRun, channels: Collection[str], place: Place) -> Iterator[Chunk]:
        log = cast(Run, run).open_log()
        wanted = frozenset(map(Channel, channels)) or None
        tail = log.tail_offset
        offset = begin(log, channels=wanted, **place)
        while offset < tail:
            reading = log.read(offset, min(CHUNK_BYTES, tail - offset), wanted)
            yield from reading.chunks
            offset = reading.next

    @contextlib.contextmanager
    def reading(self, run: AnyRun) -> Iterator[None]:
        """Pass over a run that was removed meanwhile; tell of one whose files are damaged, and go on."""
        try:
            yield
        except (OSError, ValueError, KeyError, TypeError) as error:
            if os.path.isdir(cast(Run, run).directory.path):
                tell(f"run {run.id} cannot be read: {error}")

"""The runs of a store, as verbs know runs."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from runcast.cli.terminal import tell
from runcast.errors import RuncastError, RunNotFound
from runcast.ids import is_run_id
from runcast.model import CHUNK_BYTES, Channel, Chunk
from runcast.readers import begin
from runcast.run import Run
from runcast.store import Store

if TYPE_CHECKING:
    from runcast.cli.where import AnyRun
    from runcast.run_base import Place
    from runcast.sources.command import Command
    from runcast.web.durable.pages import StreamRuns

__all__ = ["Local"]

_LEAST_LETTERS = 4  # of a part of an id


class Local:
    """The runs of a store, and the streams that others appended to there."""

    def __init__(self, where: str | None) -> None:
        self._where = where
        self._store = Store.open(where)

    @cached_property
    def _streams(self) -> StreamRuns | None:
        if not os.path.isdir(f"{self._store.path}/.streams"):  # most stores have none: load nothing for them
            return None
        from runcast.web.durable.pages import streams_in

        return streams_in(self._store.path)

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
        from runcast.server.registry import servers  # only `runcast run` asks, once its command runs

        return next((f"{url.rstrip('/')}/runs/{run.id}" for url in servers(self._store.path)), None)

    def get(self, run_id: str) -> Run:
        streams = self._streams
        if streams is None:
            return self._store.get(run_id)
        wanted = run_id.lower()
        found = streams.get(wanted) if is_run_id(wanted) else streams.named(run_id)
        if found is not None:
            return found
        alike = streams.matching(wanted) if len(wanted) >= _LEAST_LETTERS else []
        if not alike:
            return self._store.get(run_id)
        ids = [run.id for run in self._store.list()]
        alike += [one for one in ids if one.startswith(wanted) or one.endswith(wanted)]
        if len(alike) == 1 and (found := streams.get(alike[0])) is not None:
            return found
        raise RunNotFound(run_id, self.said, tuple(alike[:3]))

    def list(self, limit: int | None = None) -> Iterator[Run]:
        runs = self._store.list(limit)
        if self._streams is None:
            return runs
        from runcast.web.durable.pages import newest_first

        return islice(newest_first(runs, self._streams.list()), limit)

    def remove(self, run: AnyRun, *, force: bool = False) -> None:
        found = cast(Run, run)
        if self._streams is not None and self._streams.get(run.id) is not None:
            self._streams.remove(found, force=force)
        else:
            self._store.remove(found)

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
        """Pass over a run that was removed meanwhile; tell of one that cannot be read at all, and go on."""
        try:
            yield
        except (OSError, RuncastError) as error:
            if os.path.isdir(cast(Run, run).directory.path):
                tell(f"run {run.id} cannot be read: {error}")

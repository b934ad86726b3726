"""The runs of a store, for verbs."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, cast

from runcast.cli.terminal import report
from runcast.errors import RuncastError, RunNotFound, UsageError
from runcast.ids import is_run_id
from runcast.log.fetch import patient
from runcast.model import CHUNK_BYTES, Channel, Chunk
from runcast.readers import begin
from runcast.run import Run
from runcast.run.base import files_of
from runcast.runs import Store
from runcast.store.files import StoreFiles
from runcast.store.sharing import notice

if TYPE_CHECKING:
    from runcast.cli.any_runs import AnyRun
    from runcast.client import ShareLink
    from runcast.durable.stream_run import StreamRuns
    from runcast.keep import Keep
    from runcast.options.typed import StartOptions
    from runcast.retention.prune import Pruned
    from runcast.run.arguments import Place
    from runcast.sources.command import Command

__all__ = ["Local"]

_LEAST_LETTERS = 4  # of a part of an id


class Local:
    """The runs of a store, and its streams."""

    def __init__(self, where: str | None) -> None:
        self._where = where
        self._store = Store.open(where)

    @cached_property
    def _streams(self) -> StreamRuns | None:
        if not StoreFiles(self._store.path).has_streams:  # most stores have none: do not load the code
            return None
        from runcast.durable.stream_run import streams_in

        return streams_in(self._store.path)

    @property
    def notice(self) -> str | None:
        return notice(self._store.path)

    @property
    def description(self) -> str:
        return f"the store {self._store.path}"

    @property
    def option(self) -> str:
        return f"--store {shlex.quote(self._where)} " if self._where else ""

    def start(
        self, command: Command, stdin: bool, options: StartOptions, at: StartOptions | None = None
    ) -> Run:
        options = {**options, **(at or {})}
        if "params" in options:
            raise UsageError("expected --server and the name of one of its commands with -p, got a store")
        if stdin:
            options["stdin"] = "pipe" if self.forwards() else 0
        return self._store.start(command, **options)

    def forwards(self) -> bool:
        return os.isatty(0)  # a run of another session cannot read a terminal

    def started(self, run: AnyRun) -> None:
        _ = run.pid  # waits out the start

    def prune(self, keep: Keep, *, name: str | None, mirrors: bool, dry_run: bool) -> Iterator[Pruned]:
        from runcast.retention.prune import prune  # late: few verbs remove anything

        return prune(self._store.path, keep, name=name, mirrors=mirrors, dry_run=dry_run)

    def disk_use(self) -> Mapping[str, tuple[int, int]]:
        from runcast.retention.disk_use import disk_use  # late: few verbs want to know

        return disk_use(self._store.path)

    def link(self, run: AnyRun) -> str | None:
        url = self._server()  # where the cookie of this machine's browser counts
        return None if url is None else f"{url.rstrip('/')}/runs/{run.id}"

    def _server(self) -> str | None:
        from runcast.store.servers import servers  # late: few verbs need it

        return next(iter(servers(self._store.path)), None)

    def share(self, run: AnyRun, expires: float) -> ShareLink:
        if (url := self._server()) is None:
            raise UsageError(
                f"expected a server that shows {self.description}, which has no address of its own: "
                "run `runcast serve`, or name a server with --server URL"
            )
        from dataclasses import replace

        from runcast.client import Client
        from runcast.client.server import TOKEN_VARIABLE
        from runcast.store.servers import outside_url
        from runcast.store.token import kept_token

        token = os.environ.get(TOKEN_VARIABLE) or kept_token(self._store.path)
        with Client(url, token) as client:
            link = client.get(run.id).share(expires=expires)
        outside = outside_url(self._store.path, url)  # where the guest is
        return replace(link, url=outside.rstrip("/") + link.url.removeprefix(url.rstrip("/")))

    def hint(self, run: AnyRun) -> str | None:
        return run.hint

    def get(self, run_id: str) -> Run:
        streams = self._streams
        if streams is None:
            return self._store.get(run_id)
        part = run_id.lower()
        found = streams.get(part) if is_run_id(part) else streams.named(run_id)
        if found is not None:
            return found
        alike = streams.matching(part) if len(part) >= _LEAST_LETTERS else []
        if not alike:
            return self._store.get(run_id)
        ids = [run.id for run in self._store.list()]
        alike += [one for one in ids if one.startswith(part) or one.endswith(part)]
        if len(alike) == 1 and (found := streams.get(alike[0])) is not None:
            return found
        raise RunNotFound(run_id, self.description, tuple(alike[:3]))

    def list(self, limit: int | None = None, *, key: str | None = None) -> Iterator[Run]:
        runs = self._store.list(limit, key=key)
        if self._streams is None or key is not None:
            return runs
        from runcast.durable.stream_run import newest_first

        return islice(newest_first(runs, self._streams.list()), limit)

    def remove(self, run: AnyRun, *, force: bool = False) -> None:
        found = cast(Run, run)
        if self._streams is not None and self._streams.get(run.id) is not None:
            self._streams.remove(found, force=force)
        else:
            self._store.remove(found)

    def so_far(self, run: AnyRun, channels: Collection[str], place: Place) -> Iterator[Chunk]:
        log = patient(cast(Run, run).log())
        chosen = frozenset(map(Channel, channels)) or None
        tail = log.tail_offset
        offset = begin(log, channels=chosen, **place)
        while offset < tail:
            reading = log.read(offset, min(CHUNK_BYTES, tail - offset), chosen)
            yield from reading.chunks
            offset = reading.next

    @contextlib.contextmanager
    def reading(self, run: AnyRun) -> Iterator[None]:
        """Skip a run that was removed meanwhile; report a run that cannot be read, and continue."""
        try:
            yield
        except (OSError, RuncastError) as error:
            if files_of(cast(Run, run)).exists:
                report(f"run {run.id} cannot be read: {error}")

"""A stream as lists, pages, the API and the command line know a run: output that comes, and an end.

Owns what is different: nobody here started it, so there is nothing to stop, and nobody's death
ends it. What is not overridden reads the folder, which is like any run's.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Iterator
from typing import Any

from runcast.durable import FileStreams, Streams
from runcast.durable.stream_log import StreamLog
from runcast.errors import RunActive, RunFinished, StoreUnusable, StreamNotFound, UsageError
from runcast.ids import is_run_id
from runcast.model import Outcome, State
from runcast.run import Run
from runcast.store.audit import audited

__all__ = ["StreamRun", "StreamRuns", "newest_first", "stream_runs", "streams_in"]

_SOURCE = "stream"


class StreamRun(Run):
    """A stream in files, to look at."""

    @property
    def request(self) -> dict[str, Any]:
        """What its `run.json` says, as far as that can be read. Where it lies makes it a stream."""
        return {**super().request, "source": _SOURCE}

    @property
    def state(self) -> State:
        """Where it is in its life: it goes on until it is closed."""
        return State.RUNNING if self.outcome is None else State.EXITED

    @property
    def started_at(self) -> float:
        """When it was made, in seconds since the epoch."""
        return self.created_at

    def log(self) -> StreamLog:
        """Return the log, for reading at offsets."""
        return StreamLog(self._files.path)

    def _removed(self) -> StreamNotFound:
        return StreamNotFound(self.id)

    def _settled(self) -> Outcome | None:
        return self.outcome  # it has no supervisor that could be lost

    def _control(self, request: dict[str, Any], data: bytes = b"") -> None:
        raise RunFinished(f"expected a run, {self.id} is a stream that others append to: stop them instead")

    def _pin(self, pinned: bool) -> None:
        raise UsageError(f"expected a run, {self.id} is a stream, which no sweep takes: it cannot be pinned")


class StreamRuns:
    """The streams of a folder, as runs."""

    def __init__(self, streams: FileStreams) -> None:
        self._streams = streams

    def _shown(self, stream_id: str) -> StreamRun:
        return StreamRun(f"{self._streams.path}/{stream_id}")

    def get(self, stream_id: str) -> StreamRun | None:
        """Return the stream with an id."""
        streams = self._streams
        there = is_run_id(stream_id) and (streams.by_id(stream_id) or streams.damaged(stream_id))
        return self._shown(stream_id) if there else None

    def named(self, name: str) -> StreamRun | None:
        """Return the stream with a name."""
        try:
            return self._shown(self._streams.get(name).id)
        except (UsageError, LookupError, StoreUnusable):  # it is no name; there is none, or no more
            return None

    def matching(self, part: str) -> list[str]:
        """Return the ids of streams that begin or end so."""
        found = [one for one in self._streams.ids() if one.startswith(part) or one.endswith(part)]
        return sorted(one for one in found if self.get(one) is not None)

    def list(self, before: str | None = None) -> Iterator[StreamRun]:
        """Yield the streams, newest first, or those that are older than an id; damaged ones among them."""
        for stream_id in sorted(self._streams.ids(), reverse=True):
            if (before is None or stream_id < before) and (stream := self.get(stream_id)) is not None:
                yield stream

    def remove(self, run: Run, *, force: bool = False) -> None:
        """Delete a stream.

        Args:
            run: the stream.
            force: also one that is open.

        Raises:
            RunActive: it is open.
            StreamNotFound: it is not there any more.
        """
        with audited(os.path.dirname(self._streams.path), "delete", run.id, run.name):
            self._remove(run, force)

    def _remove(self, run: Run, force: bool) -> None:
        if not force and not run.closed and not self._streams.damaged(run.id):
            raise RunActive(
                f"the stream {run.name[:80]!r} is open, others may go on to append to it: close it first, or "
                "remove it as it is (runcast rm --force, or DELETE of its own address)"
            )
        self._streams.delete_id(run.id)


def stream_runs(streams: Streams) -> StreamRuns | None:
    """Return streams as runs; None where they have no files that could be looked at."""
    return StreamRuns(streams) if isinstance(streams, FileStreams) else None


def streams_in(store: str) -> StreamRuns | None:
    """Return the streams in a store's folder; None if there never were any."""
    return StreamRuns(FileStreams(store)) if os.path.isdir(f"{store}/.streams") else None


def newest_first(runs: Iterable[Run], streams: Iterable[Run]) -> Iterator[Run]:
    """Merge two iterators that are sorted newest first; reads no further than needed."""
    return heapq.merge(runs, streams, key=lambda run: run.id, reverse=True)

"""A stream as the page and the API of runs know a run: output that comes, and an end.

Owns what is different: nobody here started it, so there is nothing to stop, and nobody's death
ends it. What is not overridden reads the folder, which is like any run's.
"""

from __future__ import annotations

from typing import Any

from runcast.durable import FileStreams, Streams
from runcast.durable.stream_log import StreamLog
from runcast.errors import RunFinished
from runcast.model import Outcome, State
from runcast.run import Run

__all__ = ["StreamRun", "stream_run"]


class StreamRun(Run):
    """A stream in files, to look at."""

    @property
    def state(self) -> State:
        """Where it is in its life: it goes on until it is closed."""
        return State.RUNNING if self.outcome is None else State.EXITED

    def open_log(self) -> StreamLog:
        """Return the log, for reading at offsets."""
        return StreamLog(self.directory.path)

    def _settled(self) -> Outcome | None:
        return self.outcome  # it has no supervisor that could be lost

    def _control(self, request: dict[str, Any], data: bytes = b"") -> None:
        raise RunFinished(f"expected a run, {self.id} is a stream that others append to: stop them instead")


def stream_run(streams: Streams, stream_id: str) -> StreamRun | None:
    """Return the stream of an id as a run; None if there is none that has a page."""
    if not isinstance(streams, FileStreams):
        return None
    stream = streams.by_id(stream_id)
    return None if stream is None else StreamRun(f"{streams.path}/{stream.id}")

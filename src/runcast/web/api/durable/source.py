"""What can be read by the protocol: a stream, or a run, which is one that others cannot append to."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

from runcast.durable import Stream
from runcast.durable.streams import expect_boundary
from runcast.log import Log
from runcast.run import Run
from runcast.run.base import files_of
from runcast.web.api.past_end import past_end
from runcast.web.live.watched import note_watched
from runcast.wire.durable import OCTETS

__all__ = ["RunSource", "Source", "StreamSource"]


class Source(Protocol):
    """What reading needs to know.

    Attributes:
        id: of this very stream, whatever its name.
        key: equal for equal streams, in this process.
        content_type: as its maker wrote it.
        media_type: the same without parameters, in lower case.
        immutable: the name is never given to another one.
    """

    @property
    def id(self) -> str: ...
    @property
    def key(self) -> Hashable: ...
    @property
    def content_type(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def immutable(self) -> bool: ...
    @property
    def lifetime(self) -> Sequence[tuple[str, str]]:
        """Headers that say when it will be deleted."""

    def open_log(self) -> Log:
        """Return the log, for reading at offsets."""

    def settle(self) -> None:
        """Check that the writer and the stream still exist."""

    def touch(self) -> None:
        """Note that it is being read."""

    def want(self, offset: int) -> None:
        """Tell that somebody waits at an offset for more."""

    def expect_boundary(self, log: Log, offset: int) -> None:
        """Refuse an offset within a message."""

    def past_end(self, log: Log, offset: int, tail: int) -> int:
        """Return where a reader goes on whose offset lies past the tail, or refuse it."""


class StreamSource:
    """A stream."""

    immutable = False

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.id = stream.id
        self.key: Hashable = (stream.id,)
        self.content_type = stream.settings.content_type
        self.media_type = stream.media_type
        self.open_log = stream.open_log
        self.settle = stream.check_exists
        self.touch = stream.touch

    @property
    def lifetime(self) -> list[tuple[str, str]]:
        """Headers that say when it will be deleted."""
        settings = self._stream.settings
        headers = []
        if settings.ttl is not None:
            headers.append(("Stream-TTL", str(settings.ttl)))
        if settings.expires_at is not None:
            headers.append(("Stream-Expires-At", settings.expires_at))
        return headers

    def want(self, offset: int) -> None:
        """Do nothing: appends do not depend on readers."""

    def expect_boundary(self, log: Log, offset: int) -> None:
        """Refuse an offset within a message."""
        expect_boundary(self._stream, log, offset)

    def past_end(self, log: Log, offset: int, tail: int) -> int:
        """Refuse it."""
        raise log.beyond(offset, tail)


class RunSource:
    """A run: bytes, whatever they are, from channels together."""

    content_type = media_type = OCTETS
    immutable = True
    lifetime: tuple[tuple[str, str], ...] = ()

    def __init__(self, run: Run) -> None:
        self.id = run.id
        self.key: Hashable = files_of(run).path
        self.open_log = run.log
        self.settle = run.settle
        self.want = run.want
        self._run = run

    def touch(self) -> None:
        """Note that somebody watches, where the run ends if nobody does."""
        note_watched(self._run)

    def expect_boundary(self, log: Log, offset: int) -> None:
        """Do nothing: a run has bytes, and each of them may be the first."""

    def past_end(self, log: Log, offset: int, tail: int) -> int:
        """Go on at the end of a run that was lost; refuse it otherwise."""
        return past_end(self._run, log, offset, tail)

"""Errors of streams that clients append to."""

from __future__ import annotations

from runcast.errors.root import RuncastError

__all__ = [
    "CapReached",
    "ProducerFenced",
    "ProducerGap",
    "StreamConflict",
    "StreamElsewhere",
    "StreamFull",
    "StreamGone",
    "StreamNotFound",
]


class StreamNotFound(RuncastError, LookupError):
    """No stream has this name."""

    http_status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"no stream {name[:80]!r} here: create it first (PUT)")
        self.name = name


class StreamGone(RuncastError, LookupError):
    """A stream that was deleted; its name stays taken as long as it has forks."""

    http_status = 410

    def __init__(self, name: str) -> None:
        super().__init__(f"the stream {name[:80]!r} was deleted, only its forks are left")
        self.name = name


class StreamElsewhere(RuncastError):
    """A stream is on another host of a shared store, which alone appends to it and reads it.

    Attributes:
        host: its name.
    """

    http_status = 421

    def __init__(self, name: str, host: str) -> None:
        super().__init__(
            f"expected the stream {name[:80]!r} on this host, it is on host {host!r}: send this there"
        )
        self.name, self.host = name, host


class StreamConflict(RuncastError):
    """The stream is not as the request expects it.

    Attributes:
        tail: its tail offset, where it is relevant.
        closed: whether the conflict is that it is closed.
    """

    http_status = 409

    def __init__(self, message: str, *, tail: int | None = None, closed: bool = False) -> None:
        super().__init__(message)
        self.tail = tail
        self.closed = closed


class ProducerGap(StreamConflict):
    """A producer's sequence number that skips others."""

    def __init__(self, expected: int, received: int) -> None:
        super().__init__(f"expected Producer-Seq {expected}, got {received}: send those in between first")
        self.expected = expected
        self.received = received


class ProducerFenced(RuncastError):
    """A producer of an epoch that is over; `epoch` is the current one."""

    http_status = 403

    def __init__(self, given: int, epoch: int) -> None:
        super().__init__(f"expected Producer-Epoch {epoch} or later, got {given}: another one took over")
        self.epoch = epoch


class StreamFull(RuncastError):
    """An append for which there is no room; nothing of it was stored, and `tail` is where it would begin."""

    http_status = 507

    def __init__(self, tail: int, message: str | None = None) -> None:
        super().__init__(
            message
            or "expected room for the append on the server's disk, there is none: nothing of it was stored, "
            f"the stream ends at {tail}; send it again later"
        )
        self.tail = tail


class CapReached(StreamFull):
    """An append beyond the cap of one stream; `cap` is that, in bytes. Sending it again does not help."""

    def __init__(self, tail: int, cap: int) -> None:
        super().__init__(
            tail,
            f"expected a stream of at most {cap} bytes of its own, this append would make it longer: nothing "
            f"of it was stored, the stream ends at {tail}; begin another one, or raise the server's limit "
            "(runcast serve --stream-cap)",
        )
        self.cap = cap

"""Every error that runcast raises on purpose, as one tree.

    RuncastError
    ├── UsageError                 the caller's input is not what was expected (400)
    │   ├── CommandRefused         a command string that only a shell would understand
    │   └── BadOffset              an offset that is no offset
    ├── RunNotFound                no run has this id (404)
    ├── RunExists                  the key already names another request (409)
    ├── RunActive                  the run goes on, so this cannot be done to it (409)
    ├── RunFinished                the run has ended, so this cannot be done to it (409)
    ├── RunElsewhere               the run is another host's, where alone this can be done (409)
    ├── RunFailed                  `check=True` and the outcome was not ok
    │   └── StartFailed            … because the command could not be started
    ├── SupervisorLost             the run's supervisor does not answer (503)
    ├── LogClosed                  an append to a log that takes no more bytes (409)
    ├── OffsetBeyondTail           an offset past the last byte (416)
    ├── OffsetGone                 an offset whose bytes were dropped (410)
    ├── NotAcceptable              a client that takes none of the forms there are (406)
    ├── StreamNotFound             no stream has this name (404)
    ├── StreamGone                 a stream that was deleted, and whose forks are still there (410)
    ├── StreamConflict             the stream is not as the request expects it (409)
    │   └── ProducerGap            … because something is missing between it and the request before
    ├── ProducerFenced             a producer that a later one of its name has replaced (403)
    ├── StreamFull                 an append for which there is no room (507)
    │   └── CapReached             … because the stream may have no more bytes
    ├── StoreUnusable              the store cannot be used as it is (503)
    │   ├── FileDamaged            … because a file in it is not what it should be
    │   ├── StoreUnwritable        … because it cannot be written to (503), or is full (507)
    │   └── FormatTooNew           … because a newer runcast wrote it
    ├── ServerUnreachable          a server does not answer its client, or no longer (502)
    ├── NotRuncast                 what answers a client is no server that it understands (502)
    ├── AccessRefused              a server does not let its client do this (403)
    └── WaitTimeout                the deadline of a wait passed; nothing else happened (504)

`RunStopped`, which is raised inside a function whose run is being stopped, is no error and stands
apart: like KeyboardInterrupt it passes what catches `Exception`.

A message is one sentence that says what was expected, what came, and what to do about it.
`http_status` is a hint for whoever answers over HTTP; `exit_code` one for the command line.
This module imports nothing of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runcast.model import Outcome

__all__ = [
    "AccessRefused",
    "BadOffset",
    "CapReached",
    "CommandRefused",
    "FileDamaged",
    "FormatTooNew",
    "LogClosed",
    "NotAcceptable",
    "NotRuncast",
    "OffsetBeyondTail",
    "OffsetGone",
    "ProducerFenced",
    "ProducerGap",
    "RunActive",
    "RunElsewhere",
    "RunExists",
    "RunFailed",
    "RunFinished",
    "RunNotFound",
    "RunStopped",
    "RuncastError",
    "ServerUnreachable",
    "StartFailed",
    "StoreUnusable",
    "StoreUnwritable",
    "StreamConflict",
    "StreamFull",
    "StreamGone",
    "StreamNotFound",
    "SupervisorLost",
    "UsageError",
    "WaitTimeout",
]


class RuncastError(Exception):
    """The root: catch this to catch everything that runcast raises on purpose."""

    http_status: int = 500
    exit_code: int = 2

    def __reduce__(self) -> tuple[Any, ...]:
        # Some of them take other arguments than their message: make no detour over `__init__`
        # when one comes back from a pool of processes.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[RuncastError], args: tuple[Any, ...], values: dict[str, Any]) -> RuncastError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(values)
    return error


class UsageError(RuncastError, ValueError):
    """The caller's input is not what was expected."""

    http_status = 400


class CommandRefused(UsageError):
    """A command that would silently do something else than it says, such as `"a && b"` with no shell."""


class BadOffset(UsageError):
    """A text that is no offset."""


class RunNotFound(RuncastError, LookupError):
    """No run of the store has this id; `near` holds ids that look alike."""

    http_status = 404

    def __init__(self, run_id: str, where: str, near: tuple[str, ...] = ()) -> None:
        hint = f"; did you mean {' or '.join(near)}?" if near else "; `runcast ls` lists the runs"
        super().__init__(f"no run {run_id!r} in {where}{hint}")
        self.run_id = run_id
        self.near = near


class RunExists(RuncastError):
    """The key already names a run that was asked for differently."""

    http_status = 409


class RunActive(RuncastError):
    """The run still goes on, so it cannot be removed."""

    http_status = 409


class RunFinished(RuncastError):
    """The run has ended, so it can no longer be stopped, signalled or sent anything."""

    http_status = 409


class RunElsewhere(RuncastError):
    """The run belongs to another host, which alone knows how it stands; `host` is its name."""

    http_status = 409

    def __init__(self, run_id: str, host: str) -> None:
        super().__init__(
            f"expected a run of this host, {run_id} belongs to the host {host!r}: follow it to its end, stop "
            "or remove it there"
        )
        self.run_id = run_id
        self.host = host


class RunStopped(BaseException):
    """Raised in a function at its next print or progress when its run is being stopped."""


class RunFailed(RuncastError):
    """`check=True` was asked for and the outcome is not ok; `outcome` tells why."""

    def __init__(self, run_id: str, outcome: Outcome) -> None:
        super().__init__(f"run {run_id} was not ok: {outcome}")
        self.run_id = run_id
        self.outcome = outcome


class StartFailed(RunFailed):
    """The run's command could not be started at all."""


class SupervisorLost(RuncastError):
    """The supervisor of a run, or the server that starts them, does not answer."""

    http_status = 503


class LogClosed(RuncastError):
    """An append to a log that is closed, or that another writer holds."""

    http_status = 409


class OffsetBeyondTail(RuncastError):
    """An offset past the last byte; `tail` is the furthest that can be asked for now."""

    http_status = 416

    def __init__(self, offset: int, tail: int) -> None:
        super().__init__(
            f"expected an offset up to the tail, which is {tail} now, got {offset}: "
            f"use {tail} (or `now`) to wait for what comes next"
        )
        self.offset = offset
        self.tail = tail


class OffsetGone(RuncastError):
    """The bytes at an offset were dropped; `next` is the first offset that can be read."""

    http_status = 410

    def __init__(self, offset: int, next_offset: int) -> None:
        super().__init__(
            f"the bytes from offset {offset} to {next_offset} are no longer kept: read on from {next_offset}"
        )
        self.offset = offset
        self.next = next_offset


class NotAcceptable(RuncastError):
    """A client asked for media types that cannot be served; `offered` holds those that can."""

    http_status = 406

    def __init__(self, accept: str, offered: tuple[str, ...]) -> None:
        super().__init__(f"expected Accept to take one of {', '.join(offered)}, got {accept[:200]!r}")
        self.offered = offered


class StreamNotFound(RuncastError, LookupError):
    """No stream has this name."""

    http_status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"no stream {name[:80]!r} here: make it first (PUT)")
        self.name = name


class StreamGone(RuncastError, LookupError):
    """A stream that was deleted; its name is kept from others as long as it has forks."""

    http_status = 410

    def __init__(self, name: str) -> None:
        super().__init__(f"the stream {name[:80]!r} was deleted, only its forks are left")
        self.name = name


class StreamConflict(RuncastError):
    """The stream is not as the request expects it.

    Attributes:
        tail: its tail offset, where that helps.
        closed: whether the reason is that it is closed.
    """

    http_status = 409

    def __init__(self, message: str, *, tail: int | None = None, closed: bool = False) -> None:
        super().__init__(message)
        self.tail = tail
        self.closed = closed


class ProducerGap(StreamConflict):
    """A producer's sequence number that leaves some out."""

    def __init__(self, expected: int, received: int) -> None:
        super().__init__(f"expected Producer-Seq {expected}, got {received}: send what lies between first")
        self.expected = expected
        self.received = received


class ProducerFenced(RuncastError):
    """A producer of an epoch that is over; `epoch` is the one that counts now."""

    http_status = 403

    def __init__(self, given: int, epoch: int) -> None:
        super().__init__(f"expected Producer-Epoch {epoch} or later, got {given}: another one took over")
        self.epoch = epoch


class StreamFull(RuncastError):
    """An append for which there is no room; nothing of it was kept, and `tail` is where it would begin."""

    http_status = 507

    def __init__(self, tail: int, message: str | None = None) -> None:
        super().__init__(
            message
            or "expected room for the append on the server's disk, there is none: nothing of it was kept, "
            f"the stream ends at {tail}; send it again later"
        )
        self.tail = tail


class CapReached(StreamFull):
    """An append beyond what one stream may have; `cap` is that, in bytes. To send it again is of no use."""

    def __init__(self, tail: int, cap: int) -> None:
        super().__init__(
            tail,
            f"expected a stream of at most {cap} bytes of its own, this append would make it longer: nothing "
            f"of it was kept, the stream ends at {tail}; begin another one, or have the server keep more "
            "(runcast serve --stream-cap)",
        )
        self.cap = cap


class StoreUnusable(RuncastError):
    """The store cannot be used: not a directory, not writable, or somebody else's."""

    http_status = 503


class FileDamaged(StoreUnusable, OSError):
    """A file of a store is not what it should be: cut, no JSON, of a wrong type, or no file at all."""


class StoreUnwritable(StoreUnusable):
    """The store can be read and not be written to: it is read-only, not ours to write, or full."""

    def __init__(self, why: str, *, full: bool) -> None:
        super().__init__(f"expected a store that can be written to, it cannot: {why}")
        self.http_status = 507 if full else 503


class FormatTooNew(StoreUnusable):
    """A newer version of runcast wrote this, in a format that this one does not know."""


class ServerUnreachable(RuncastError, ConnectionError):
    """A server cannot be reached, or could not be for longer than the client's patience. Its runs go on."""

    http_status = 502


class NotRuncast(RuncastError):
    """What answers is no runcast server, or one of a version that the client does not understand."""

    http_status = 502


class AccessRefused(RuncastError):
    """A server refuses its client: the token is missing or wrong, or the operator does not allow this."""

    http_status = 403


class WaitTimeout(RuncastError, TimeoutError):
    """The deadline of a wait passed. The run goes on: a wait only looks."""

    http_status = 504

"""Every error that runcast raises on purpose, as one tree.

    RuncastError
    ├── UsageError                 the caller's input is not what was expected (400)
    │   ├── CommandRefused         a command string that only a shell would understand
    │   └── BadOffset              an offset that is no offset
    ├── RunNotFound                no run has this id (404)
    ├── ArtifactNotFound           the run has no file of this name (404)
    ├── ArtifactAway               a file that is on another host, and was not brought here (503)
    ├── RunExists                  the key already names another request, or a live one (409)
    ├── RunActive                  the run is active, so this cannot be done to it (409)
    ├── RunFinished                the run has ended, so this cannot be done to it (409)
    ├── RunPinned                  the run is pinned, so it cannot be removed (409)
    ├── RunMasked                  the run was masked, so it cannot be started again (409)
    ├── UploadGone                 a file that the run was started with is not there any more (409)
    ├── RunElsewhere               the run belongs to another host, and this must be done there (409)
    ├── RunFailed                  `check=True` and the outcome was not ok
    │   └── StartFailed            … because the command could not be started
    ├── LineNotFound               the run has ended without the line that was expected
    ├── SupervisorLost             the run's supervisor does not answer (503)
    │   └── HostUnreachable        … because it is on another host, which cannot be reached
    ├── LogClosed                  an append to a closed log (409)
    ├── OffsetBeyondTail           an offset past the last byte (416)
    ├── OffsetGone                 an offset whose bytes were dropped (410)
    ├── SegmentAway                bytes that are the log's, but not on this disk (503)
    │   └── MirrorBehind           … because this host's copy of the run has not come so far (503)
    ├── NotAcceptable              a client that accepts none of the forms offered (406)
    ├── StreamNotFound             no stream has this name (404)
    ├── StreamGone                 a stream that was deleted, but still has forks (410)
    ├── StreamElsewhere            the stream is on another host, where this must be done (421)
    ├── StreamConflict             the stream is not as the request expects it (409)
    │   └── ProducerGap            … because requests of the producer are missing before this one
    ├── ProducerFenced             a producer that a later one of its name has replaced (403)
    ├── StreamFull                 an append for which there is no room (507)
    │   └── CapReached             … because of the stream's cap
    ├── StoreUnusable              the store cannot be used as it is (503)
    │   ├── FileDamaged            … because a file in it is invalid
    │   ├── StoreUnwritable        … because it cannot be written to (503), or is full (507)
    │   └── FormatTooNew           … because a newer runcast wrote it
    ├── ServerUnreachable          a server does not answer its client, or no longer (502)
    ├── NotRuncast                 the server is not a runcast server that the client understands (502)
    ├── AccessRefused              a server does not allow its client to do this (403)
    ├── LinkError                  the link between hosts (`runcast.link`) did not do this
    │   ├── LinkDown               … because it is down, so whether it was done is unknown (503)
    │   ├── LinkRefused            … because its engine cannot be used as it is set up (503)
    │   ├── Fenced                 … because somebody else has ended the run, or holds the host (409)
    │   ├── Full                   … because the engine has no room (507)
    │   ├── NoRun                  … because it has no such run (404)
    │   ├── NoHost                 … because the host does not answer (503)
    │   └── Late                   … because no answer of the host came in time (504)
    ├── ShelfError                 the shelf (`runcast.shelf`), where finished output is kept, did not do this
    │   ├── ShelfDown              … because it cannot be reached, or is another one (503)
    │   ├── ShelfFull              … because it has no room (507)
    │   ├── ShelfMissing           … because it has no such object (404)
    │   ├── ShelfDamaged           … because its object is not what was kept (503)
    │   └── ShelfTaken             … because it has another object of that name (409)
    └── WaitTimeout                the deadline of a wait passed; nothing else happened (504)

`RunStopped`, which is raised inside a function whose run is being stopped, is not an error and not
part of the tree: like KeyboardInterrupt it is not caught by `except Exception`.

A message is one sentence: what was expected, what came, and what to do about it. `http_status` is the
status for HTTP replies, `exit_code` the exit code of the command line. This room imports nothing
else of runcast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runcast.errors.artifacts import ArtifactAway, ArtifactNotFound
from runcast.errors.link import Fenced, Full, Late, LinkDown, LinkError, LinkRefused, NoHost, NoRun
from runcast.errors.logs import LogClosed, MirrorBehind, OffsetBeyondTail, OffsetGone, SegmentAway
from runcast.errors.root import RuncastError
from runcast.errors.shelf import (
    ShelfDamaged,
    ShelfDown,
    ShelfError,
    ShelfFull,
    ShelfMissing,
    ShelfTaken,
)
from runcast.errors.streams import (
    CapReached,
    ProducerFenced,
    ProducerGap,
    StreamConflict,
    StreamElsewhere,
    StreamFull,
    StreamGone,
    StreamNotFound,
)

if TYPE_CHECKING:
    from runcast.model import Outcome

__all__ = [
    "AccessRefused",
    "ArtifactAway",
    "ArtifactNotFound",
    "BadOffset",
    "CapReached",
    "CommandRefused",
    "Fenced",
    "FileDamaged",
    "FormatTooNew",
    "Full",
    "HostUnreachable",
    "Late",
    "LineNotFound",
    "LinkDown",
    "LinkError",
    "LinkRefused",
    "LogClosed",
    "MirrorBehind",
    "NoHost",
    "NoRun",
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
    "RunMasked",
    "RunNotFound",
    "RunPinned",
    "RunStopped",
    "RuncastError",
    "SegmentAway",
    "ServerUnreachable",
    "ShelfDamaged",
    "ShelfDown",
    "ShelfError",
    "ShelfFull",
    "ShelfMissing",
    "ShelfTaken",
    "StartFailed",
    "StoreUnusable",
    "StoreUnwritable",
    "StreamConflict",
    "StreamElsewhere",
    "StreamFull",
    "StreamGone",
    "StreamNotFound",
    "SupervisorLost",
    "UploadGone",
    "UsageError",
    "WaitTimeout",
]


class UsageError(RuncastError, ValueError):
    """The caller's input is not what was expected."""

    http_status = 400


class CommandRefused(UsageError):
    """A command that would silently do something else, such as `"a && b"` without a shell."""


class BadOffset(UsageError):
    """A text that is not an offset."""


class RunNotFound(RuncastError, LookupError):
    """No run of the store has this id; `near` holds ids that look alike."""

    http_status = 404

    def __init__(self, run_id: str, where: str, near: tuple[str, ...] = ()) -> None:
        hint = f"; did you mean {' or '.join(near)}?" if near else "; `runcast ls` lists the runs"
        super().__init__(f"no run {run_id!r} in {where}{hint}")
        self.run_id = run_id
        self.near = near


class RunExists(RuncastError):
    """The key already names a run with another request, or one that goes on where a new attempt begins.

    Attributes:
        run_id: of that run; empty where a server said so.
    """

    http_status = 409

    def __init__(self, message: str, run_id: str = "") -> None:
        super().__init__(message)
        self.run_id = run_id


class RunActive(RuncastError):
    """The run is still active, so it cannot be removed; or it is queued, so there is no process to signal."""

    http_status = 409


class RunFinished(RuncastError):
    """The run has ended, so it can no longer be stopped, signalled or sent anything."""

    http_status = 409


class RunPinned(RuncastError):
    """The run `run_id` is pinned, so it cannot be removed."""

    http_status = 409

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} is pinned: unpin it first, then remove it")
        self.run_id = run_id


class RunMasked(RuncastError):
    """The run cannot be started again: its record has no secrets, so they are to be given again."""

    http_status = 409


class UploadGone(RuncastError):
    """The run cannot be started again: a file that it was started with is not there any more."""

    http_status = 409


class RunElsewhere(RuncastError):
    """The run belongs to another host, which alone knows its state; `host` is its name.

    `unshared`: it came from there, and the store is shared with no host any more, so that nothing follows.
    """

    http_status = 409
    unshared = False

    def __init__(self, run_id: str, host: str, *, unshared: bool = False) -> None:
        now = ", and the store is shared with no host any more" if unshared else ""
        again = "open the store by the URL of its engine again, or " if unshared else ""
        super().__init__(
            f"expected a run of this host, {run_id} belongs to the host {host!r}{now}: {again}follow it to "
            "its end, stop or remove it there"
        )
        self.run_id = run_id
        self.host = host
        self.unshared = unshared


class RunStopped(BaseException):
    """Raised in a function at its next print or progress when its run is being stopped."""


class RunFailed(RuncastError):
    """The outcome is not ok, with `check=True`; `outcome` has the reason."""

    def __init__(self, run_id: str, outcome: Outcome) -> None:
        super().__init__(f"run {run_id} was not ok: {outcome}")
        self.run_id = run_id
        self.outcome = outcome


class StartFailed(RunFailed):
    """The run's command could not be started at all."""


class LineNotFound(RuncastError, LookupError):
    """A run has ended without the line that was expected.

    Attributes:
        run_id: the id of the run.
        state: its state.
        expected: the text or the regular expression.
        lines: how many lines were searched.
    """

    exit_code = 1  # as grep(1)

    def __init__(self, run_id: str, state: str, expected: str, lines: int) -> None:
        super().__init__(
            f"expected a line with {expected!r}, run {run_id} is {state} after {lines} lines without it"
        )
        self.run_id = run_id
        self.state = state
        self.expected = expected
        self.lines = lines


class SupervisorLost(RuncastError):
    """The supervisor of a run, or the server that starts them, does not answer."""

    http_status = 503


class HostUnreachable(SupervisorLost):
    """A run goes on at another host, which does not answer, or to which there is no link."""


class NotAcceptable(RuncastError):
    """A client accepts only media types that cannot be served; `offered` has those that can."""

    http_status = 406

    def __init__(self, accept: str, offered: tuple[str, ...]) -> None:
        super().__init__(f"expected Accept to take one of {', '.join(offered)}, got {accept[:200]!r}")
        self.offered = offered


class StoreUnusable(RuncastError):
    """The store cannot be used: not a directory, not writable, or another user's."""

    http_status = 503


class FileDamaged(StoreUnusable, OSError):
    """A file of a store is invalid: truncated, not JSON, with a value of a wrong type, or not a file."""


class StoreUnwritable(StoreUnusable):
    """The store can be read but not written to: it is read-only, not writable for this user, or full."""

    def __init__(self, why: str, *, full: bool) -> None:
        super().__init__(f"expected a writable store, it cannot be written to: {why}")
        self.http_status = 507 if full else 503


class FormatTooNew(StoreUnusable):
    """A newer version of runcast wrote this, in a format unknown to this version."""


class ServerUnreachable(RuncastError, ConnectionError):
    """A server cannot be reached, or not for longer than the client's `patience`. Its runs continue."""

    http_status = 502


class NotRuncast(RuncastError):
    """The server is not a runcast server, or of a version that the client does not understand."""

    http_status = 502


class AccessRefused(RuncastError):
    """A server refuses its client: the token is missing or wrong, or the configuration forbids this."""

    http_status = 403


class WaitTimeout(RuncastError, TimeoutError):
    """The deadline of a wait passed. The run continues."""

    http_status = 504

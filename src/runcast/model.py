"""The shared values: channels, chunks, states, outcomes.

Owns the terms of the glossary as types, and their text on the wire. Rules: values are frozen, offsets
are ints, times are seconds since the epoch (UTC) as floats. Must not know files, processes, sockets or
HTTP. Imports nothing of runcast but how quantities are written, and who somebody is.
"""

from __future__ import annotations

import signal as _signal
import time
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from runcast.quantities import duration_text
from runcast.who import Who

__all__ = [
    "CHUNK_BYTES",
    "Artifact",
    "Channel",
    "Chunk",
    "Host",
    "LeftOut",
    "Note",
    "Outcome",
    "Reading",
    "Reason",
    "State",
    "TerminalSize",
    "Usage",
    "Waiting",
]

CAP_BYTES = 1024 * 1024 * 1024  # of one run's output: the first half is kept, and the newest of the rest
CELLS_MOST = 65535  # columns or rows of a terminal: the kernel keeps each in 16 bits, see ioctl_tty(2)
CHUNK_BYTES = 64 * 1024  # one read or write: the capacity of a Linux pipe; larger Python blocks are slower


class Channel(StrEnum):
    """The origin of bytes. `UNKNOWN` and `GAP` are produced by readers, never written by sources."""

    STDOUT = "stdout"
    STDERR = "stderr"
    DATA = "data"
    """One JSON value per line, such as the values of a generator."""
    UNKNOWN = "unknown"
    """The bytes are intact, but their channel is not known, for the index is damaged here."""
    GAP = "gap"
    """The range from `offset` to `next` was dropped, and there are no bytes of it."""


class Chunk(NamedTuple):
    """Contiguous bytes of one channel, as a reader gets them.

    Attributes:
        offset: of the first byte, in bytes from the start of the log, whatever the channel.
        next: the offset behind this chunk, at which to continue.
        channel: the channel of the bytes.
        time: when the writer read them, in seconds since the epoch; 0.0 if that is not known.
        data: the bytes; empty for a gap.
    """

    offset: int
    next: int
    channel: Channel
    time: float
    data: bytes


class Reading(NamedTuple):
    """The result of one read: the chunks, and the offset at which to continue.

    `next` can advance without a chunk, if everything was filtered out. There is nothing to read now
    only if it equals the offset of the read.
    """

    chunks: list[Chunk]
    next: int


class TerminalSize(NamedTuple):
    """The size of a run's terminal from an offset on.

    Attributes:
        offset: of the first byte behind the change; 0 for the size at the start.
        columns: its width in cells.
        rows: its height in cells.
        time: of the change, in seconds since the epoch; 0.0 for the size at the start.
    """

    offset: int
    columns: int
    rows: int
    time: float = 0.0


class Note(NamedTuple):
    """A note that a program wrote about its run; no output.

    Attributes:
        offset: of the output behind it: it stands before the byte at this offset.
        line: the number of the line that it stands in, from 1, counted as the log counts lines.
        time: when it was written, in seconds since the epoch.
        text: one line, at most 500 characters.
    """

    offset: int
    line: int
    time: float
    text: str


class Artifact(NamedTuple):
    """A file that is kept with a run.

    Attributes:
        name: its path within the folder of the run.
        bytes: its size.
    """

    name: str
    bytes: int


class LeftOut(NamedTuple):
    """A file that was not kept, or a pattern that no file matched.

    Attributes:
        name: its path, or the pattern.
        why: the reason, in a few words.
    """

    name: str
    why: str


class State(StrEnum):
    """The stage of a run's life cycle. How it ended is its `Outcome`."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    EXITED = "exited"
    LOST = "lost"


WaitKind = Literal["input", "password"]


class Waiting(NamedTuple):
    """What a run may be waiting for.

    Attributes:
        kind: `password` where its terminal does not show what is typed, else `input`.
        question: the unfinished line at the end of its output, at most 200 characters.
    """

    kind: WaitKind
    question: str

    def to_json(self) -> dict[str, str]:
        """Return it as JSON values."""
        return {"for": self.kind, "question": self.question}

    @classmethod
    def of(cls, question: str, *, hidden: bool) -> Waiting:
        """Return what a question is for, by whether what is typed now is not shown."""
        return cls("password" if hidden else "input", question)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Waiting:
        """Restore it from `to_json`."""
        return cls.of(str(value.get("question", "")), hidden=value.get("for") == "password")


class Host(NamedTuple):
    """Where a run of a store that is shared with other hosts is, and how it can be reached.

    Attributes:
        name: of its host, among those of the link.
        here: whether that is this one.
        silent_since: when another host was heard of last, in seconds since the epoch, where it is silent; the
            state of the run is the last one known. None where it is not, or the run is over.
        unshared_since: since when the link of this host is down, likewise, where that matters to the run:
            what is new of it does not reach the others, or does not come here.
    """

    name: str
    here: bool
    silent_since: float | None = None
    unshared_since: float | None = None

    def __str__(self) -> str:
        said = "on this host" if self.here else f"on host {self.name}"
        if self.silent_since is not None:
            said += f", silent for {duration_text(max(0.0, time.time() - self.silent_since))}"
        if self.unshared_since is not None:
            since = time.strftime("%H:%M", time.localtime(self.unshared_since))
            said += f", not shared since {since}"
        return said

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "here": self.here,
            "silent_since": rfc3339(self.silent_since),
            "unshared_since": rfc3339(self.unshared_since),
        }


class Reason(StrEnum):
    """Why a run is over."""

    EXITED = "exited"
    SIGNALED = "signaled"
    STOPPED = "stopped"
    TIMED_OUT = "timed out"
    IDLE_TIMED_OUT = "idle timed out"
    FAILED_TO_START = "failed to start"
    OUT_OF_MEMORY = "out of memory"
    LOST = "lost"


class Usage(NamedTuple):
    """What the processes of a run used that had ended by its end.

    Attributes:
        cpu_seconds: of all of them, in user and in kernel mode.
        peak_memory_bytes: the most that one of them had resident; None where it was less than the supervisor
            has, some 15 MB: the kernel counts what a process has before it is a program (getrusage(2)).
            Of a run with limits of all processes together it is the most that all had, page cache included.
        read_bytes: that came from disks, and not from the page cache.
        written_bytes: that went to disks, or will.
    """

    cpu_seconds: float
    peak_memory_bytes: int | None
    read_bytes: int
    written_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return self._asdict()


class Outcome(NamedTuple):
    """How a run ended. Written once.

    Attributes:
        reason: why it is over.
        code: the exit code, 0 to 255; None if a signal ended it, or its end was not observed.
        signal: the number of the signal that ended it, if one did.
        message: one sentence for people, where the other fields need an explanation.
        value: the result of a function.
        dropped: bytes of output that could not be written (a full disk).
        truncated: whether the cap on the log's size dropped output.
        ended_at: when, in seconds since the epoch.
        started_at: when it had started; 0.0 if it had not, or that is not known. For `text`.
        traceback: the last 64 KiB of the traceback of a function or a generator that failed; not
            for every viewer who may see the outcome.
        usage: what its processes used; None of a run that had none of its own, or that was lost.
        stopped_by: who had it stopped; None where nobody had, or that is not known.
    """

    reason: Reason
    code: int | None = None
    signal: int | None = None
    message: str = ""
    value: Any = None
    dropped: int = 0
    truncated: bool = False
    ended_at: float = 0.0
    traceback: str = ""
    started_at: float = 0.0
    usage: Usage | None = None
    stopped_by: Who | None = None

    @property
    def ok(self) -> bool:
        """Whether it ended on its own with exit code 0."""
        return self.reason is Reason.EXITED and self.code == 0

    @property
    def exit_status(self) -> int:
        """The exit code as a shell has it, 128 + N for signal N, 1 if neither is known."""
        if self.code is not None:
            return self.code
        return 128 + self.signal if self.signal else 1

    @property
    def text(self) -> str:
        """A sentence or two for people on how it ended, such as "Failed with exit code 2 after 3.1 s."."""
        ended = signal_name(self.signal) if self.signal is not None else f"exit code {self.code}"
        known = self.signal is not None or self.code is not None
        after = ""
        if self.started_at and self.ended_at:
            after = f" after {duration_text(self.ended_at - self.started_at)}"
        match self.reason:
            case Reason.EXITED:
                said = f"{'Finished' if self.ok else 'Failed'} with {ended}{after}"
            case Reason.SIGNALED:
                said = f"Killed by {ended}{after}"
            case Reason.STOPPED:
                said = f"Stopped{after}" + (f", with {ended}" if known else "")
            case Reason.TIMED_OUT:
                said = "Stopped because its time was up" + (after and f",{after}")
            case Reason.IDLE_TIMED_OUT:
                said = "Stopped because it printed nothing for too long" + (after and f",{after}")
            case Reason.FAILED_TO_START:
                said = "Could not be started"
            case Reason.OUT_OF_MEMORY:
                said = f"Killed for lack of memory{after}"
            case Reason.LOST:
                said = "Lost: its end was not observed"
        said += f": {self.message}" if self.message else ""
        sentences = [said if said.endswith(".") else f"{said}."]
        if self.dropped:
            sentences.append(f"{self.dropped:,} bytes of its output could not be kept.")
        if self.truncated:
            sentences.append("The middle of its output was dropped, at the cap on its size.")
        return " ".join(sentences)

    def __str__(self) -> str:
        if self.signal is not None:
            how = f"killed by {signal_name(self.signal)}"
        elif self.code is not None:
            how = f"exit code {self.code}"
        else:
            how = ""
        if not how or self.reason is Reason.FAILED_TO_START:
            text = str(self.reason)
        else:
            text = how if self.reason in (Reason.EXITED, Reason.SIGNALED) else f"{self.reason}, {how}"
        return f"{text} ({self.message})" if self.message else text

    def to_json(self) -> dict[str, Any]:
        """Return the fields for every viewer as JSON values, including `ok` and `text`."""
        return {
            "ok": self.ok,
            "reason": self.reason.value,
            "code": self.code,
            "signal": self.signal,
            "message": self.message,
            "value": self.value,
            "dropped": self.dropped,
            "truncated": self.truncated,
            "ended_at": self.ended_at,
            "started_at": self.started_at,
            "text": self.text,
            "usage": self.usage and self.usage.to_json(),
            "stopped_by": self.stopped_by and self.stopped_by.to_json(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Outcome:
        """Restore an outcome from `to_json`; keys of later versions are ignored."""
        known = {name: value[name] for name in cls._fields if name in value}
        if known.get("usage") is not None:
            known["usage"] = Usage(*(known["usage"].get(name) for name in Usage._fields))
        known["stopped_by"] = Who.from_json(value.get("stopped_by"))
        try:
            known["reason"] = Reason(known["reason"])
        except ValueError:  # a reason of a later version: the run is certainly over
            known["message"] = f"{known['reason']}: {known.get('message', '')}".rstrip(": ")
            if known.get("signal") is not None:
                known["reason"] = Reason.SIGNALED
            elif known.get("code") is None:
                known["reason"] = Reason.LOST
            else:  # must not become ok if the writer's outcome was not
                known["reason"] = Reason.EXITED if known["code"] or value.get("ok") else Reason.STOPPED
        return cls(**known)


def signal_name(number: int) -> str:
    """Return `SIGTERM` for 15; real-time signals without a name as `signal 40`."""
    try:
        return _signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def rfc3339(seconds: float | None) -> str | None:
    """Return a time in RFC 3339, in UTC, to the microsecond; None for 0.0, which means unknown."""
    if not seconds:
        return None
    whole, micro = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_second(whole)}.{micro:06d}Z"

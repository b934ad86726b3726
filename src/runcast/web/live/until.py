"""`?until=TEXT`: the line with which a reply ends, looked for ahead of what is sent.

Owns that a regular expression is tried in a process of its own, which can be killed: one that runs away
must not stop those who are served by this process. A text is looked for right here. A reply sends nothing
beyond what was searched, so in each form it ends with the same line. Must not know forms.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import weakref
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from runcast.errors import RuncastError
from runcast.model import Channel
from runcast.own_thread import Background, begin
from runcast.readers import Wait, fetched, hub
from runcast.run import Run
from runcast.run.base import files_of
from runcast.search import Expression
from runcast.search.first import FirstMatch, line_json
from runcast.search.lines import Hit
from runcast.supervisor.launch import environment
from runcast.web.live.search_stream import search_command
from runcast.wire import Query, ResumePoint

__all__ = ["MOST_EXPRESSIONS", "Line", "TooManyExpressions", "Until", "until_of"]

MOST_EXPRESSIONS: Final = 16  # regular expressions that are waited for: each has a process and a thread
_SECONDS = 1.0  # that an expression may take for what came at once
_LOOK_SECONDS = 1.0


class TooManyExpressions(RuncastError):
    """More regular expressions than may be waited for at a time."""

    http_status = 503


Result = TypeVar("Result")
Steps = Generator[Wait, None, Result]


class Line(NamedTuple):
    """The line with which a reply ends.

    Attributes:
        channel: of the line.
        next: the offset behind it.
        value: it as JSON values; those of no line say why.
    """

    channel: Channel
    next: int
    value: Mapping[str, object]


class Until:
    """The search for the line with which one reply ends.

    Args:
        run: the run.
        text: what the line has.
        start: where the reply begins.
        again: whether it goes on for a client that had the beginning, see `FirstMatch`.
        channels: only these; None for all.
        regex: whether the text is a regular expression.

    Attributes:
        stopped: why the search has ended without a line, though the log goes on: `time`, or None.
    """

    def __init__(
        self,
        run: Run,
        text: str,
        start: int,
        channels: frozenset[Channel] | None,
        *,
        regex: bool,
        again: bool = False,
    ) -> None:
        self.text, self.regex = text, regex
        self.stopped: str | None = None
        self._run, self._channels = run, channels
        self._here: FirstMatch | None = None
        self._child: _Child | None = None
        if regex:
            given = {"path": files_of(run).path, "q": text, "start": start, "again": again}
            self._child = _Child(
                {**given, "seconds": _SECONDS, "channels": sorted(channels or ()), "until": True}
            )
            weakref.finalize(self, self._child.leave).atexit = False
        else:
            self._here = FirstMatch(run.log(), Expression(text), start, channels, again=again)

    def begun_at(self, start: int) -> Until:
        """Return the same search for a reply that begins elsewhere."""
        return Until(self._run, self.text, start, self._channels, regex=self.regex)

    def up_to(self, offset: int) -> Steps[Line | None]:
        """Return the first line that ends before an offset."""
        if self._here is not None:
            here = self._here
            return _line((yield from fetched(here.log, lambda: here.up_to(offset))))
        return (yield from self._ask({"up_to": offset}))

    def rested(self) -> Steps[Line | None]:
        """Return a line without an end that matches, if nothing was added to it for a while."""
        if self._here is not None:
            return _line(self._here.rested())
        return (yield from self._ask({"rested": True}))

    def last(self) -> Steps[Line | None]:
        """Return a line without an end that matches; none will come any more."""
        if self._here is not None:
            return _line(self._here.last())
        return (yield from self._ask({"last": True}))

    def _ask(self, question: Mapping[str, object]) -> Steps[Line | None]:
        assert self._child is not None
        if self.stopped:
            return None
        child = self._child
        watch = hub().watch(child)
        try:
            child.ask(question)
            while True:
                seen = [(watch, watch.version)]
                if (answer := child.take()) is not None:
                    break
                yield Wait(seen, _LOOK_SECONDS)
        finally:
            watch.close()
        if "stopped" in answer:
            self.stopped = answer["stopped"]
            return None
        found = answer["line"]
        return found and Line(Channel(found["channel"]), int(found["next"]), found)


def _line(hit: Hit | None) -> Line | None:
    return None if hit is None else Line(hit.channel, hit.next, line_json(hit))


class _Child:
    """A process that answers questions about one log, one after the other; the hub can watch it."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._given = [_encoded(given)]
        self._lock = threading.Lock()
        self._answers: list[dict[str, Any]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._begun = self._over = self._left = False
        self._wake: Callable[[], None] = lambda: None

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` when there is an answer."""
        self._wake = wake
        return lambda: None

    def watch_paths(self) -> list[str]:
        """Return nothing: no folder is watched for it."""
        return []

    def growing(self) -> None:
        """Return None: no file is watched for it."""

    def ask(self, question: Mapping[str, object]) -> None:
        """Have the process answer; the first question starts it.

        Raises:
            SupervisorLost: no thread can be started.
        """
        with self._lock:
            self._given.append(_encoded(question))
            self._write()
        if not self._begun:
            self._begun = True
            _expressions.add(self)
            begin(Background(target=self._read, name="runcast waits for a line"))

    def take(self) -> dict[str, Any] | None:
        """Return the answer if there is one."""
        if self._answers:
            return self._answers.pop(0)
        return {"stopped": "time"} if self._over else None

    def leave(self) -> None:
        """End the process."""
        self._left = True
        _expressions.discard(self)
        if self._process is not None:
            self._process.kill()

    def _write(self) -> None:
        if self._process is None or self._process.stdin is None:
            return
        with contextlib.suppress(OSError):
            self._process.stdin.write(b"".join(self._given))
            self._process.stdin.flush()
        self._given.clear()

    def _read(self) -> None:
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        try:
            with subprocess.Popen(
                search_command(), stdin=pipe, stdout=pipe, stderr=null, env=environment()
            ) as process:
                with self._lock:
                    self._process = process
                    self._write()
                if self._left:
                    process.kill()
                assert process.stdout is not None
                for line in process.stdout:
                    self._answers.append(json.loads(line))
                    self._wake()
        finally:
            self._over = True
            _expressions.discard(self)
            self._wake()


def until_of(run: Run, query: Query) -> Callable[[ResumePoint], Until]:
    """Return what makes the search that a query demands, from a resume point on.

    Raises:
        UsageError: the text is none, or no regular expression.
        TooManyExpressions: so many are being waited for.
    """
    text = query.until or ""
    Expression(text, regex=query.regex)
    if query.regex and len(_expressions) >= MOST_EXPRESSIONS:
        raise TooManyExpressions(
            f"expected at most {MOST_EXPRESSIONS} regular expressions to be waited for, as many are: "
            "wait for a text instead, or try again"
        )

    def begin_at(point: ResumePoint) -> Until:
        return Until(run, text, point.offset, query.channels, regex=query.regex, again=point.resumed)

    return begin_at


_expressions: set[_Child] = set()


def _encoded(value: Mapping[str, object]) -> bytes:
    return json.dumps(value).encode() + b"\n"

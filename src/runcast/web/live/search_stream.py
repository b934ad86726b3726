"""The reply to a search: the lines of a process that searches, as they come.

Owns that process: how many there are at a time, how it is started, and its end, which is the end of its
last viewer at the latest. Must not know what is searched for, or routes.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import weakref
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

from runcast.own_thread import Background, begin
from runcast.readers import Steps, Wait, hub
from runcast.supervisor.launch import PACKAGE_ROOT, environment, interpreter
from runcast.web.http.response_stream import ResponseStream
from runcast.wire.sse import event

__all__ = ["MOST_WAITING", "SearchStream", "search_command", "waiting"]

MOST_WAITING = 20  # searches that wait for their turn: each has a thread
_SEARCHES = 2  # processes at a time
_LOOK_SECONDS = 1.0
_READ_BYTES = 64 * 1024
_CODE = f"import sys; sys.path.insert(0, {PACKAGE_ROOT!r}); from runcast.search.process import main; main()"


def search_command() -> list[str]:
    """Return the command of a process that searches, which imports little."""
    return [interpreter(), "-I", "-S", "-X", "utf8", "-c", _CODE]


class _Results:
    """What a process has printed so far; the hub can watch it."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []  # each of whole lines
        self.over = self.left = False
        self.process: subprocess.Popen[bytes] | None = None
        self._wake: Callable[[], None] = lambda: None

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` when there is more."""
        self._wake = wake
        return lambda: None

    def watch_paths(self) -> list[str]:
        """Return nothing: no folder is watched for it."""
        return []

    def growing(self) -> None:
        """Return None: no file is watched for it."""

    def search(self, given: bytes) -> None:
        """Have a process search, and keep what it prints. Blocks until it has ended."""
        _waiting.add(self)
        try:
            with _turns:
                _waiting.discard(self)
                if not self.left:
                    self._read(given)
        finally:
            _waiting.discard(self)
            self.over = True
            self._wake()

    def _read(self, given: bytes) -> None:
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        with subprocess.Popen(
            search_command(), stdin=pipe, stdout=pipe, stderr=null, env=environment()
        ) as process:
            self.process = process
            if self.left:
                process.kill()
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
                stdin.write(given)
            rest = b""
            while data := process.stdout.read1(_READ_BYTES):  # type: ignore[attr-defined]
                whole, end, rest = (rest + data).rpartition(b"\n")
                if end:
                    self.parts.append(whole + end)
                    self._wake()

    def leave(self) -> None:
        """End the process: nobody reads what it finds."""
        self.left = True
        if self.process is not None:
            self.process.kill()


_turns = threading.BoundedSemaphore(_SEARCHES)
_waiting: set[_Results] = set()


def waiting() -> int:
    """Return how many searches wait for their turn."""
    return len(_waiting)


class _Viewers:
    """What the copies of a stream share; when the last of them is gone, the process is ended."""

    def __init__(self, results: _Results) -> None:
        self.results = results
        weakref.finalize(self, results.leave).atexit = False


class SearchStream(ResponseStream):
    """The reply to one search. It begins when the reply does.

    Args:
        given: what the process is given (search/process.py).
        events: send events for `EventSource` in place of lines of JSON.
    """

    kind = "search"

    def __init__(self, given: Mapping[str, Any], *, events: bool) -> None:
        self._given = json.dumps(given).encode() + b"\n"
        self._events = events
        results = _Results()
        self._viewers = _Viewers(results)
        self.form = ("search", id(results))
        self.offset = 0  # in parts

    @property
    def position(self) -> int:
        """How many parts it has sent."""
        return self.offset

    def copy(self) -> SearchStream:
        """Return a stream that goes on where this one is, with the same process."""
        return copy(self)

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        """Yield what is found, until all of the log was searched, or the time is up."""
        results = self._viewers.results
        watch = hub().watch(results)
        try:
            if begin:
                start(results, self._given)
            while not self.stopping:
                seen = [(watch, watch.version)]
                over = results.over
                while self.offset < len(results.parts):
                    self.offset += 1
                    part = results.parts[self.offset - 1]
                    yield _as_events(part) if self._events else part
                if over:
                    break
                yield Wait(seen, _LOOK_SECONDS)
            self.finished = results.over
            self.cut = not self.finished or not _is_whole(results.parts)
        finally:
            watch.close()


def start(results: _Results, given: bytes) -> None:
    """Begin a search in a thread.

    Raises:
        SupervisorLost: no thread can be started.
    """
    begin(Background(target=results.search, args=(given,), name="runcast searches"))


def _is_whole(parts: list[bytes]) -> bool:
    """Return whether the process has come to its last line: else it was killed."""
    return bool(parts) and b'{"done":true' in parts[-1]


def _as_events(lines: bytes) -> bytes:
    return b"".join(
        event(line, name="done" if line.startswith(b'{"done":') else "") for line in lines.splitlines()
    )

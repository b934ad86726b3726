"""The verbs of a run, blocking: signatures, docstrings, and which steps each of them performs.

Generated from verbs_aio.py by scripts/twins.py: edit that, and run `make format`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from signal import SIGKILL, SIGTERM
from types import TracebackType
from typing import Final, Literal, Self, Unpack, overload

from runcast.errors import LineNotFound, RunFinished, WaitTimeout
from runcast.model import Chunk, Outcome
from runcast.readers.line_search import FoundLine, LineSearch
from runcast.readers.lines import Line
from runcast.run.arguments import Channels, Place, check_terminal, grace_of, pattern_of, signal_of, size_of
from runcast.run.artifacts import PART_BYTES
from runcast.run.output import Output
from runcast.run.steps import Action, Result, Routine, RunSteps, Steps, Value
from runcast.supervisor.words import note_text
from runcast.sysio.saved import Saved

__all__ = ["Verbs"]

_TICK_SECONDS: Final = 0.1  # of silence, after which `wait_for` looks at its deadline and at unfinished lines


class Verbs(RunSteps[Action]):
    """What one does with a run. Waiting blocks the calling thread."""

    def _drive(self, steps: Steps[Value, Action]) -> Iterator[Value]:
        """Yield the values that steps give, and perform the actions among them."""
        raise NotImplementedError

    def _perform(self, routine: Routine[Action, Result]) -> Result:
        """Perform the actions of a routine; return its result."""
        raise NotImplementedError

    def follow(
        self, *, channel: Channels = None, timeout: float | None = None, **place: Unpack[Place]
    ) -> Iterator[Chunk | None]:
        """Yield chunks as they come, from the beginning or another place, until the log is closed.

        A lost connection to a server is made again, and goes on behind the last byte that came.

        Args:
            channel: only this channel, or these.
            timeout: yield None whenever nothing came for so many seconds.
            place: where to begin, one of `offset`, `tail`, `tail_bytes`, `line`, `since`; see `Place`.

        Raises:
            OffsetBeyondTail, OffsetGone: `offset` cannot be read.
            ServerUnreachable: the server has been silent for longer than the client's patience.
        """
        return self._drive(self._chunk_steps(timeout, channel, place))

    @overload
    def lines(
        self,
        *,
        channel: Channels = None,
        timeout: float | None = None,
        partial: Literal[True],
        progress: bool = False,
        **place: Unpack[Place],
    ) -> Iterator[Line | None]: ...

    @overload
    def lines(
        self,
        *,
        channel: Channels = None,
        timeout: float | None = None,
        partial: bool = False,
        progress: bool = False,
        **place: Unpack[Place],
    ) -> Iterator[str | None]: ...

    def lines(
        self,
        *,
        channel: Channels = None,
        timeout: float | None = None,
        partial: bool = False,
        progress: bool = False,
        **place: Unpack[Place],
    ) -> Iterator[str | None]:
        """Yield lines as they come, without their LF or CRLF; see `follow` for where to begin.

        Args:
            channel: only this channel, or these.
            timeout: yield None whenever nothing came for so many seconds.
            partial: yield `Line`s, and of a line that rests for a second what there is of it, such as
                a prompt: its attribute `partial` is true then, and the next item of the channel is the
                rest of the line, which is empty where only its end came. Nothing is yielded twice.
            progress: of a line that is drawn over by CRs, as progress bars are, yield the last state
                only; with `partial`, one a second while it goes on.
            place: where to begin; see `follow`. For `tail`, each state that a CR ends is a line.
        """
        return self._drive(self._line_steps(timeout, channel, partial, progress, place))

    @overload
    def output(
        self,
        *,
        channel: Channels = None,
        encoding: str = "utf-8",
        timeout: float | None = None,
        check: bool | None = None,
    ) -> str: ...

    @overload
    def output(
        self,
        *,
        channel: Channels = None,
        encoding: None,
        timeout: float | None = None,
        check: bool | None = None,
    ) -> bytes: ...

    def output(
        self,
        *,
        channel: Channels = None,
        encoding: str | None = "utf-8",
        timeout: float | None = None,
        check: bool | None = None,
    ) -> str | bytes:
        """Wait for the end and return all output, stdout and stderr as they came, or one `channel`.

        Args:
            channel: only this channel, or these.
            encoding: None returns bytes; what is invalid is replaced.
            timeout: seconds to wait for the end at most.
            check: raise `RunFailed` unless the outcome is ok; by default as `start` was called.

        Raises:
            WaitTimeout, RunFailed: see `wait`.
        """
        self.wait(timeout=timeout, check=check)
        output = Output(encoding)
        for chunk in self.follow(channel=channel):
            output.add(chunk)
        return output.value()

    def wait(self, timeout: float | None = None, *, check: bool | None = None) -> Outcome:
        """Wait for the end and return the outcome.

        Args:
            timeout: seconds to wait at most.
            check: raise `RunFailed` unless the outcome is ok; by default as `start` was called.

        Raises:
            WaitTimeout: it did not end in time; the run goes on.
            RunFailed: `check`, and it was not ok.
            ServerUnreachable: see `follow`.
        """
        return self._judge(self._perform(self._wait_steps(timeout)), timeout, check)

    def wait_for(
        self,
        text: str,
        *,
        regex: bool = False,
        timeout: float | None = None,
        channel: Channels = None,
    ) -> FoundLine:
        """Wait for the first line that holds a text and return it, also if it came before.

        A line counts when it ends, or as far as it has come: when nothing was added to it for a second,
        as to a prompt, or at 1 MiB, behind which the last MiB of it is searched.

        Args:
            text: the text; or, with `regex`, a regular expression of `re`, which matches anywhere in
                the line. One that takes for ever blocks the thread of its caller, an event loop included,
                and nothing else; no timeout ends it.
            regex: whether `text` is a regular expression.
            timeout: seconds to wait at most, in which the lines so far are read, too.
            channel: search only this channel, or these.

        Raises:
            LineNotFound: the log was closed without such a line.
            WaitTimeout: it did not come in time; the run goes on.
            UsageError: no line can hold the text, or the expression is invalid.
            ServerUnreachable: see `follow`.
        """
        search = LineSearch(pattern_of(text, regex=regex))
        deadline = None if timeout is None else time.monotonic() + timeout
        tick = _TICK_SECONDS if timeout is None else min(timeout, _TICK_SECONDS)
        for chunk in self.follow(channel=channel, timeout=tick):
            if found := search.feed(chunk):
                return found
            if deadline is not None and time.monotonic() >= deadline:
                raise WaitTimeout(
                    f"run {self.id} is still {self.state} after {timeout:g} s without a line with {text!r}; "
                    "it goes on"
                )
        if found := search.flush():
            return found
        raise LineNotFound(self.id, self.state, text, search.lines)

    def stop(self, *, grace: float = 5.0, signal: int = SIGTERM) -> None:
        """Ask the run to end; kill all of it if it has not within `grace` seconds. Does not wait.

        Raises:
            RunFinished, SupervisorLost: it has ended already; its supervisor does not answer.
            ServerUnreachable: its server does not answer.
        """
        params = {"signal": signal_of(signal), "grace": grace_of(grace)}
        self._perform(self._control_steps("stop", params))

    def kill(self) -> None:
        """Kill the run and everything it started, at once. Does not wait. Raises what `stop` does."""
        self._perform(self._control_steps("stop", {"signal": int(SIGKILL), "grace": 0}))

    def signal(self, number: int) -> None:
        """Send a signal to the run's process group. Raises what `stop` does."""
        self._perform(self._control_steps("signal", {"signal": signal_of(number)}))

    def send(self, data: bytes | str, *, eof: bool = False) -> None:
        """Write to the run's stdin (`start(stdin="pipe")`); returns when the program has taken it.

        With `eof`, its input ends behind `data`; a run with a terminal gets a Ctrl-D then, and may be sent
        more. Raises what `stop` does, also where it reads no stdin, and `UsageError` where a terminal would
        cut a line.
        """
        self._perform(self._send_steps(data.encode() if isinstance(data, str) else data, eof))

    def resize(self, columns: int, rows: int) -> None:
        """Give the run's terminal another size; its foreground gets a SIGWINCH. Raises what `stop` does.

        Raises:
            UsageError: it has no terminal, or there is no such size.
        """
        check_terminal(self.id, self.tty)
        self._perform(self._control_steps("resize", size_of(columns, rows)))

    def note(self, text: str) -> None:
        """Note something about the run, at the place where its output is now: one line, 500 characters.

        Control characters become spaces. Of more than 100 notes the oldest go. Raises what `stop` does,
        and `UsageError` where the text is empty or too long.
        """
        self._perform(self._control_steps("note", {"text": note_text(text)}))

    def read_artifact(self, name: str) -> bytes:
        """Return a file that is kept with the run (`artifacts`), all of it in memory.

        Raises:
            ArtifactNotFound: there is none of this name, or the run has not ended.
            RunNotFound: the run was removed.
            ServerUnreachable: its server does not answer.
        """
        parts: list[bytes] = []
        while not parts or len(parts[-1]) == PART_BYTES:
            offset = len(parts) * PART_BYTES
            parts.append(self._perform(self._artifact_steps(name, offset, PART_BYTES)))
        return b"".join(parts)

    def save_artifacts(self, folder: str | os.PathLike[str], *names: str) -> list[str]:
        """Save files that are kept with the run below a folder, and return their paths.

        Each is whole or not there. What is there already is replaced. No name leads out of the folder.

        Args:
            folder: where; it is made if it is not there.
            names: of the files; all of them where none is given.

        Raises:
            UsageError: a name leads out of the folder.
            OSError: one cannot be written.
            ArtifactNotFound, RunNotFound, ServerUnreachable: see `read_artifact`.
        """
        saved = []
        for name in names or tuple(self._perform(self._artifact_names_steps())):
            first = self._perform(self._artifact_steps(name, 0, PART_BYTES))  # before anything is made
            file = Saved(folder, name)
            with file.whole():
                part, offset = first, 0
                file.write(part)
                while len(part) == PART_BYTES:
                    offset += PART_BYTES
                    part = self._perform(self._artifact_steps(name, offset, PART_BYTES))
                    file.write(part)
            saved.append(file.path)
        return saved

    def pin(self) -> None:
        """Keep the run: nothing removes it before `unpin`. One that is pinned stays so.

        Raises:
            RunNotFound, StoreUnusable: it was removed; its store cannot be written to.
            UsageError: it is a stream.
            ServerUnreachable: its server does not answer.
        """
        self._perform(self._pin_steps(True))

    def unpin(self) -> None:
        """Keep the run no longer. One that is not pinned stays so. Raises what `pin` does."""
        self._perform(self._pin_steps(False))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        """Wait for the end; stop the run first if the block was left by an error."""
        if kind is not None and not self.closed:
            try:
                self.stop()
            except RunFinished:
                return False
        if kind is None:
            self.wait()
        else:
            self.wait(check=False)
        return False

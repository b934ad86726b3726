"""What each kind of run offers to the verbs: facts, and generators of steps in place of waiting.

A generator of steps never blocks. Where it would, it yields an action, such as "wait for this log"
or "send this request", and whatever drives it performs the action and sends the result back in.
That is how the logic of a verb is written once and used by a thread and by an event loop. Owns the
types and what both kinds of run share; must not know files, sockets or servers.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Generic, Literal, TypeVar

from runcast.errors import RunFailed, StartFailed, WaitTimeout
from runcast.model import Chunk, Outcome, Reason, State
from runcast.run.arguments import Channels, Place

__all__ = ["Action", "Result", "Routine", "RunSteps", "Steps", "Value"]

Action = TypeVar("Action")
Value = TypeVar("Value")
Result = TypeVar("Result")

Steps = Generator[Value | Action, Any, None]
"""Steps that give values as they come; everything else that they yield is an action."""
Routine = Generator[Action, Any, Result]
"""Steps that give nothing on their way and return one result."""


class RunSteps(Generic[Action]):
    """A run of any kind, as its verbs see it; `Action` is what its steps yield."""

    _check: bool
    """Whether `wait` and `output` raise `RunFailed` by default."""

    @property
    def id(self) -> str:
        """The id: sortable by time, unguessable."""
        raise NotImplementedError

    @property
    def state(self) -> State:
        """Where it is in its life."""
        raise NotImplementedError

    @property
    def tty(self) -> bool | Literal["stdout"]:
        """Whether it has a terminal of its own, or `"stdout"` where only its stdout is one."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """Whether no more output will ever come."""
        raise NotImplementedError

    def _chunk_steps(
        self, timeout: float | None, channel: Channels, place: Place
    ) -> Steps[Chunk | None, Action]:
        """Check the arguments now; give chunks until the log is closed, None after each silence."""
        raise NotImplementedError

    def _line_steps(
        self, timeout: float | None, channel: Channels, partial: bool, progress: bool, place: Place
    ) -> Steps[str | None, Action]:
        """Check the arguments now; give lines until the log is closed, None after each silence."""
        raise NotImplementedError

    def _wait_steps(self, timeout: float | None) -> Routine[Action, Outcome | None]:
        """Return the outcome, or None where the run still goes on after `timeout` seconds."""
        raise NotImplementedError

    def _control_steps(self, verb: str, params: Mapping[str, Any]) -> Routine[Action, None]:
        """Have the run's supervisor do something: `verb` is its operation, `params` are JSON values."""
        raise NotImplementedError

    def _send_steps(self, data: bytes, eof: bool) -> Routine[Action, None]:
        """Write to the run's stdin, and end it with `eof`; done when the program has taken it all."""
        raise NotImplementedError

    def _pin_steps(self, pinned: bool) -> Routine[Action, None]:
        """Pin the run, or unpin it."""
        raise NotImplementedError

    def _artifact_steps(self, name: str, offset: int, most: int) -> Routine[Action, bytes]:
        """Read so many bytes of a kept file, fewer at its end.

        Raises:
            ArtifactNotFound: there is no such file.
        """
        raise NotImplementedError

    def _artifact_names_steps(self) -> Routine[Action, list[str]]:
        """Return the names of the files that are kept now."""
        raise NotImplementedError

    def _judge(self, outcome: Outcome | None, timeout: float | None, check: bool | None) -> Outcome:
        """Return the outcome; raise an error if there is none yet, or if it is not ok and is checked."""
        if outcome is None:
            raise WaitTimeout(f"run {self.id} is still {self.state} after {timeout:g} s; it goes on")
        if (self._check if check is None else check) and not outcome.ok:
            raise (StartFailed if outcome.reason is Reason.FAILED_TO_START else RunFailed)(self.id, outcome)
        return outcome

"""Replies: what a request to a link will have returned, or raised.

A link's requests are queued, so that a single thread can have many under way and wait in its own
`poll`. Each returns a `Reply`, which `Link.step` settles. Nothing here blocks, and nothing is
thread-safe: all of it happens in the thread that uses the link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

__all__ = ["CallbackFailed", "Reply", "fail_all"]

T = TypeVar("T")


class CallbackFailed(RuntimeError):
    """A callback of a reply has raised what is the cause of this: a mistake of the caller's."""


class Reply(Generic[T]):
    """The reply to one request.

    Args:
        convert: makes the value of what the engine said, or raises what that means.

    Attributes:
        done: whether it has come, or has failed.
    """

    __slots__ = ("_calls", "_convert", "_error", "_value", "done")

    _value: T

    def __init__(self, convert: Callable[[Any], T] | None = None) -> None:
        self.done = False
        self._convert = convert
        self._error: Exception | None = None
        self._calls: list[Callable[[Reply[T]], object]] | None = None

    def result(self) -> T:
        """Return what the request returned.

        Raises:
            LinkError: it failed; each request says in which ways it may.
            RuntimeError: there is no reply yet: see `done`.
        """
        if not self.done:
            raise RuntimeError("expected a reply that has come, it has not: wait for it")
        if self._error is not None:
            raise self._error
        return self._value

    def then(self, call: Callable[[Reply[T]], object]) -> None:
        """Have `call` called with the reply once it has come: from within `step`, or at once.

        It may make requests, and must raise nothing: what it raises comes out of `step`, as the cause
        of a `CallbackFailed`, and the link is down then.
        """
        if self.done:
            call(self)
        elif self._calls is None:
            self._calls = [call]
        else:
            self._calls.append(call)

    def succeed(self, value: T) -> None:
        """Settle it, with what `convert` makes of this. Backends call it once; nothing changes it later."""
        if self.done:
            return
        try:
            self._value = value if self._convert is None else self._convert(value)
        except Exception as error:
            self._error = error
        self._settle()

    def fail(self, error: Exception) -> None:
        """Settle it with an error."""
        if not self.done:
            self._error = error
            self._settle()

    def _settle(self) -> None:
        self.done = True
        if self._calls is not None:
            calls, self._calls = self._calls, None
            failed: CallbackFailed | None = None
            for call in calls:
                try:
                    call(self)
                except CallbackFailed as error:
                    failed = error
                except Exception as error:
                    failed = CallbackFailed("expected a callback that raises nothing, one did: see its error")
                    failed.__cause__ = error
            if failed is not None:
                raise failed


def fail_all(replies: Iterable[Reply[Any]], error: Exception) -> None:
    """Settle replies with an error, all of them, whatever a callback does.

    Raises:
        CallbackFailed: of the first callback that raised.
    """
    failed: CallbackFailed | None = None
    for reply in replies:
        try:
            reply.fail(error)
        except CallbackFailed as other:
            failed = failed or other
    if failed is not None:
        raise failed

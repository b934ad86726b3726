"""Several requests for one reply: a generator yields what it waits for, and is sent the results."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from runcast.errors import LinkError
from runcast.link.reply import Reply

__all__ = ["Steps", "take_steps"]

T = TypeVar("T")
Steps = Generator[Reply[Any], Any, T]


def take_steps(steps: Steps[T]) -> Reply[T]:
    """Reply with what a generator returns, once all that it waits for has come."""
    whole: Reply[T] = Reply()

    def go_on(reply: Reply[Any] | None) -> None:
        while True:
            try:
                if reply is None:
                    reply = next(steps)
                else:
                    try:
                        value = reply.result()
                    except LinkError as error:
                        reply = steps.throw(error)
                    else:
                        reply = steps.send(value)
            except StopIteration as end:
                whole.succeed(end.value)
                return
            except Exception as error:
                whole.fail(error)
                return
            if not reply.done:
                reply.then(go_on)
                return

    go_on(None)
    return whole

"""A coroutine that was stepped by hand, and what is left of it when it suspends.

Owns the protocol of awaiting in the middle: code that steps a coroutine to save a task hands the
rest, and what it suspended on, to a task.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any

__all__ = ["SteppedAwaitable"]


class SteppedAwaitable:
    """Awaits the rest of a coroutine that was stepped until it suspended on `future`."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], future: object) -> None:
        self._coroutine, self._future = coroutine, future

    def __await__(self) -> Generator[Any, Any, None]:
        while True:
            try:
                value = yield self._future
            except BaseException as error:
                step = partial(self._coroutine.throw, error)
            else:
                step = partial(self._coroutine.send, value)
            try:
                self._future = step()
            except StopIteration:
                return

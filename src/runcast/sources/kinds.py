"""What a source is: a command, a function, a generator, and of which kind.

Owns the distinction, and the refusal of what is none of them or cannot be run (again). Commands are
told first: `inspect`, which the others need, takes longer to load than a command to start.
"""

from __future__ import annotations

import functools
import os
import weakref
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from enum import Enum
from typing import Any

from runcast.errors import UsageError
from runcast.sources.command import Command

__all__ = ["AHEAD", "Kind", "Source", "check_arguments", "kind_of", "name_of", "take"]

AHEAD = 16  # values that a generator may be ahead of the foremost reader

Source = Command | Callable[..., Any] | Iterable[Any] | AsyncIterable[Any] | Coroutine[Any, Any, Any]


class Kind(Enum):
    """What a source is."""

    COMMAND = "command"
    FUNCTION = "function"
    ASYNC_FUNCTION = "async function"
    COROUTINE = "coroutine"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async generator"

    @property
    def is_function(self) -> bool:
        """Whether it is called or awaited, once."""
        return self in (Kind.FUNCTION, Kind.ASYNC_FUNCTION, Kind.COROUTINE)

    @property
    def is_generator(self) -> bool:
        """Whether it gives values."""
        return self in (Kind.GENERATOR, Kind.ASYNC_GENERATOR)


def kind_of(source: object) -> Kind:
    """Return what a source is.

    Raises:
        UsageError: it is nothing that can be run, or cannot be run again.
    """
    if isinstance(source, (str, os.PathLike, list, tuple)):
        return Kind.COMMAND
    import inspect

    if callable(source):
        function = _unwrapped(source)
        if inspect.isgeneratorfunction(function):
            return Kind.GENERATOR
        if inspect.isasyncgenfunction(function):
            return Kind.ASYNC_GENERATOR
        return Kind.ASYNC_FUNCTION if inspect.iscoroutinefunction(function) else Kind.FUNCTION
    if inspect.iscoroutine(source):
        return _fresh(source, Kind.COROUTINE)
    if isinstance(source, AsyncIterable):
        return _fresh(source, Kind.ASYNC_GENERATOR)
    if isinstance(source, Iterable) and not isinstance(source, (bytes, bytearray, memoryview, Mapping)):
        return _fresh(source, Kind.GENERATOR)
    raise UsageError(
        f"expected a command (a list of strings or a string), a function or a generator, got {source!r:.80}: "
        'write ["program", "argument"], or pass a function with its arguments behind it'
    )


_taken: weakref.WeakSet[Any] = weakref.WeakSet()  # generators and coroutines that belong to a run


def take(source: object) -> None:
    """Note that a run has this source: what can be gone through once belongs to one run."""
    if isinstance(source, (Generator, AsyncGenerator, Coroutine)):
        _taken.add(source)


def _fresh(source: object, kind: Kind) -> Kind:
    """Refuse a generator or coroutine that is another run's, runs already, or has ended.

    Raises:
        UsageError: it is, does, or has.
    """
    import inspect

    what = ""
    if isinstance(source, (Generator, AsyncGenerator, Coroutine)) and source in _taken:
        what = "is another run's"
    elif inspect.isgenerator(source):
        what = _STATES.get(inspect.getgeneratorstate(source), "")
    elif inspect.iscoroutine(source):
        what = _STATES.get(inspect.getcoroutinestate(source), "")
    elif getattr(source, "ag_running", False):
        what = "runs already"
    if what:
        raise UsageError(
            f"expected a fresh {kind.value}, this one {what}: call its function again for a new one, "
            "or pass the function itself"
        )
    return kind


_STATES = {
    "GEN_RUNNING": "runs already",
    "GEN_CLOSED": "has ended",
    "CORO_RUNNING": "runs already",
    "CORO_SUSPENDED": "runs already",
    "CORO_CLOSED": "has ended",
}


def check_arguments(source: object, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse arguments that a function does not take, while whoever gives them is there to hear it.

    Raises:
        UsageError: it does not take them.
    """
    import inspect

    if not callable(source):
        if args or kwargs:
            raise UsageError(
                f"expected arguments with a function only, got them with {source!r:.80}: "
                "a command is written as one list, a generator is made with its arguments"
            )
        return
    try:
        signature = inspect.signature(source)
    except (TypeError, ValueError):  # some built-in functions have none
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise UsageError(
            f"expected the arguments that {name_of(source)}{signature} takes: {error}; positional ones "
            "follow the function, others go into kwargs={...}"
        ) from None


def _unwrapped(source: Any) -> Any:
    """Return the function that is called in the end: of a partial, of an object with `__call__`."""
    import inspect

    while isinstance(source, functools.partial):
        source = source.func
    if inspect.isroutine(source) or isinstance(source, type):
        return source
    return getattr(type(source), "__call__", source)  # noqa: B004


def name_of(source: object) -> str:
    """Return a name for people."""
    while isinstance(source, functools.partial):
        source = source.func
    name = getattr(source, "__qualname__", None) or getattr(source, "__name__", None) or type(source).__name__
    return str(name).rpartition("<locals>.")[2]

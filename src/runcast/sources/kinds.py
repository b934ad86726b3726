"""The kind of a source: a command, a function, a generator, and which sort of these.

Owns the distinction, and the refusal of anything else, or of what cannot be run again. Commands are
recognized first: `inspect`, which the other checks need, takes longer to load than a command to start.
"""

from __future__ import annotations

import functools
import os
import weakref
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from enum import Enum
from typing import Any

from runcast.errors import UsageError
from runcast.options import OPTIONS, nearest
from runcast.sources.command import Command

__all__ = [
    *("Kind", "Source", "check_arguments", "is_command", "kind_of", "name_of", "parameters_of", "take"),
    "unknown_option",
]

Source = Command | Callable[..., Any] | Iterable[Any] | AsyncIterable[Any] | Coroutine[Any, Any, Any]


class Kind(Enum):
    """The kind of a source."""

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
        """Whether it yields values."""
        return self in (Kind.GENERATOR, Kind.ASYNC_GENERATOR)


def is_command(source: object) -> bool:
    """Return whether a source is a command: a program and its arguments."""
    return isinstance(source, (str, os.PathLike, list, tuple))


def kind_of(source: object) -> Kind:
    """Return the kind of a source.

    Raises:
        UsageError: it cannot be run, or cannot be run again.
    """
    if is_command(source):
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
    """Note that a run uses this source: what can be iterated only once belongs to one run."""
    if isinstance(source, (Generator, AsyncGenerator, Coroutine)):
        _taken.add(source)


def _fresh(source: object, kind: Kind) -> Kind:
    """Check that a generator or coroutine belongs to no other run, is not running, and has not ended.

    Raises:
        UsageError: one of these.
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
    """Check that a function accepts the arguments, so that the caller of `start` gets the error.

    Raises:
        UsageError: it does not.
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


def parameters_of(source: object) -> Collection[str]:
    """Return the names of a function's parameters, as far as they are known; of anything else none."""
    import inspect

    try:
        return inspect.signature(source).parameters if callable(source) else ()
    except (TypeError, ValueError):  # some built-in functions have none
        return ()


def _unwrapped(source: Any) -> Any:
    """Return the function behind a partial or an object with `__call__`."""
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


def unknown_option(source: object, given: Mapping[str, Any]) -> UsageError:
    """Return the error for names that are no options: a function's own arguments, or misspelt ones."""
    own = {name: given[name] for name in given if name in parameters_of(source)}
    name, value = next(iter((own or given).items()))
    hint = nearest(name, OPTIONS)
    if own or (callable(source) and not hint):
        written = ", ".join(f'"{name}": {value!r:.40}' for name, value in (own or given).items())
        hint = f": arguments of {name_of(source)} by name go into kwargs={{{written}}}"
    return UsageError(
        f"expected an option of start, got {name}={value!r:.80}{hint or ': there is none of this name'}"
    )

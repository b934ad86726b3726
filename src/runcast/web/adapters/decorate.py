"""`stream` as a decorator: a view of a generator or a function, in any framework.

Owns what such a view passes on, and the refusal of what could not work as it is written.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from runcast.errors import RuncastError, UsageError
from runcast.run import Run
from runcast.starting import Start

__all__ = ["decorated", "refuse_mistakes"]


def refuse_mistakes(source: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """Refuse what cannot be started as it is written, where nothing is started yet.

    Raises:
        UsageError: the arguments are not the function's, for one.
    """
    if not isinstance(source, Run):
        Start(source, args, {name: value for name, value in options.items() if name != "interval"})


def decorated(
    stream: Callable[..., Any],
    source: Any,
    options: Mapping[str, Any],
    views: Iterable[object] = (),
) -> Callable[..., Any]:
    """Return a view that streams a function; where there is none yet, a decorator that does.

    Args:
        stream: the adapter's; is called with the function, a view's arguments and `options`.
        source: the function, or None.
        options: of the decorator.
        views: what the framework calls already, as far as that is known.

    Raises:
        UsageError: it decorates no function, or one that the framework would call itself.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(function):
            raise _stray_stream()
        if any(view is function for view in views):
            name = getattr(function, "__qualname__", repr(function))
            raise UsageError(
                f"expected stream below the decorator of the route, {name} has its route already, which "
                "would call it without streaming: write the line of the route first, then that of stream"
            )

        @functools.wraps(function)
        def view(*args: Any, **kwargs: Any) -> Any:
            named = {"kwargs": kwargs} if kwargs else {}
            return stream(function, *args, **named, **options)

        # FastAPI reads the parameters, and would look through to the generator and feed it itself.
        with contextlib.suppress(ValueError, TypeError, NameError):
            view.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
        del view.__wrapped__
        return view

    return decorate if source is None else decorate(source)


def _stray_stream() -> RuncastError:
    """Return the error of a `stream` that has no request to answer."""
    return UsageError(
        "expected stream() in a view, while a request is answered, or as a decorator of a function: "
        "to run something without a viewer, use start()"
    )

"""What functions and generators need that run outside a request: connections closed, apps set up.

Django closes a thread's connections at the end of a request; a run is none. Without this each
run would leave a connection open until its thread's memory is collected. A process of a run's own
has no connections yet, and no apps: models can be imported there only when Django is set up.
"""

from __future__ import annotations

import functools
import inspect
import os
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.db import connections

__all__ = ["closing"]


class _SetUp:
    """A function that is called in another process, with Django set up before it is even imported."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __reduce__(self) -> Any:
        return _set_up, (pickle.dumps(self._function),)


def _set_up(pickled: bytes) -> Any:
    if not apps.ready and (settings.configured or os.environ.get("DJANGO_SETTINGS_MODULE")):
        django.setup()
    return pickle.loads(pickled)


def closing(source: Any, *, process: bool = False) -> Any:
    """Return a source that closes the connections that it opened when it ends; a command is one already.

    With `process` it is called in another process, whose end closes all.
    """
    if process and inspect.isroutine(source) and not inspect.isgeneratorfunction(source):
        return source if inspect.isasyncgenfunction(source) else _SetUp(source)
    if not inspect.isroutine(source) and not isinstance(source, functools.partial):
        return source
    if inspect.isasyncgenfunction(source):

        @functools.wraps(source)
        async def agenerate(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            try:
                async for value in source(*args, **kwargs):
                    yield value
            finally:
                connections.close_all()

        return agenerate
    if inspect.isgeneratorfunction(source):

        @functools.wraps(source)
        def generate(*args: Any, **kwargs: Any) -> Iterator[Any]:
            try:
                yield from source(*args, **kwargs)
            finally:
                connections.close_all()

        return generate
    if inspect.iscoroutinefunction(source):

        @functools.wraps(source)
        async def arun(*args: Any, **kwargs: Any) -> Any:
            try:
                return await source(*args, **kwargs)
            finally:
                connections.close_all()

        return arun

    @functools.wraps(source)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return source(*args, **kwargs)
        finally:
            connections.close_all()

    return run

"""Database connections of functions and generators that run outside a request.

Django closes a thread's connections at the end of a request; a run is none. Without this each
run would leave a connection open until its thread's memory is collected.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.db import connections

__all__ = ["closing"]


def closing(source: Any) -> Any:
    """Return a source that closes the connections that it opened when it ends; a command is one already."""
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

"""The root of all errors that runcast raises on purpose."""

from __future__ import annotations

from typing import Any

__all__ = ["RuncastError"]


class RuncastError(Exception):
    """The root: catch this to catch everything that runcast raises on purpose."""

    http_status: int = 500
    exit_code: int = 2

    def __reduce__(self) -> tuple[Any, ...]:
        # Some classes take other arguments than the message, so unpickling (from a pool of processes)
        # must not call `__init__`.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[RuncastError], args: tuple[Any, ...], values: dict[str, Any]) -> RuncastError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(values)
    return error

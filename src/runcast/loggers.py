"""The loggers of the library, below `runcast`: an application that has set up logging hears them.

Owns what holds for each record: nothing is printed where logging is not set up (a `NullHandler`),
no run captures it, and the fault of a handler is not ours. `logging` takes longer to load than most
commands to start, so it is never loaded for a record: where nobody has loaded it, nobody listens.

The command line has no logging: it prints the warnings that it listens to. What adapters and the
server say of themselves is theirs. docs/reference/logging.md has all names and messages.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

__all__ = ["debug", "error", "info", "listen", "warning", "warning_once"]

_DEBUG, _INFO, _WARNING, _ERROR = 10, 20, 30, 40  # as `logging` has them
_MOST_ONCE = 4096  # sentences that are remembered; then all of them may come again

_once: set[tuple[object, ...]] = set()
_listeners: dict[str, Callable[[str], object]] = {}


def debug(name: str, message: str, *args: object) -> None:
    """Log a step in the life of something."""
    if "logging" in sys.modules:
        _log(_DEBUG, name, message, args)


def info(name: str, message: str, *args: object) -> None:
    """Log what somebody did."""
    if "logging" in sys.modules:
        _log(_INFO, name, message, args)


def warning(name: str, message: str, *args: object) -> None:
    """Log what an operator should know."""
    if name in _listeners:
        _listeners[name](message % args)
    if "logging" in sys.modules:
        _log(_WARNING, name, message, args)


def warning_once(name: str, message: str, *args: object) -> None:
    """Log what an operator should know, the first time: it is found again with each look."""
    if "logging" in sys.modules and (message, *args) not in _once:
        if len(_once) >= _MOST_ONCE:
            _once.clear()
        _once.add((message, *args))
        _log(_WARNING, name, message, args)


def listen(name: str, say: Callable[[str], object]) -> None:
    """Have the warnings of a logger said by a program that has no logging."""
    _listeners[name] = say


def error(name: str, message: str, *args: object, failure: BaseException) -> None:
    """Log an exception that nobody else sees, with its traceback."""
    if "logging" in sys.modules:
        _log(_ERROR, name, message, args, failure)


def _log(
    level: int, name: str, message: str, args: tuple[object, ...], failure: BaseException | None = None
) -> None:
    import logging
    from contextvars import Context  # a forkserver logs nothing, and is to be small

    with contextlib.suppress(Exception):  # a handler's fault, or `logging` is just being loaded
        logger = logging.getLogger(f"runcast.{name}")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        if logger.isEnabledFor(level):
            exc_info = None if failure is None else (type(failure), failure, failure.__traceback__)
            Context().run(logger.log, level, message, *args, exc_info=exc_info)

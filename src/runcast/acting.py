"""Who acts now: for the code that is called while a request or a command is carried out.

Owns the context. The doors enter it (the command line, a request, a sweep), what records a start, a
stop or a removal reads it. Outside of all doors it is the user of this process, by Python.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import lru_cache
from typing import NamedTuple

from runcast.who import Kind, Who

__all__ = ["acting", "acting_kind", "acting_peer", "acting_who", "is_acting", "system_user"]


class _Actor(NamedTuple):
    who: Callable[[], Who]  # called when somebody needs to know: it may cost a look into a database
    peer: str


_actor: ContextVar[_Actor | None] = ContextVar("runcast actor", default=None)


@contextlib.contextmanager
def acting(who: Who | Callable[[], Who], peer: str = "") -> Iterator[None]:
    """Have what is done in this context be done by somebody.

    Args:
        who: the person or program, or what finds that out.
        peer: the address that it comes from; empty where there is none.
    """
    before = _actor.set(_Actor((lambda: who) if isinstance(who, Who) else who, peer))
    try:
        yield
    finally:
        _actor.reset(before)


def acting_kind(kind: str) -> contextlib.AbstractContextManager[None]:
    """Have what is done in this context be done by the user of this process, known in some way."""
    return acting(lambda: Who(kind, system_user()))


def is_acting() -> bool:
    """Return whether a door of this context says who acts."""
    return _actor.get() is not None


def acting_who() -> Who:
    """Return who acts now."""
    actor = _actor.get()
    return Who(Kind.PYTHON, system_user()) if actor is None else actor.who()


def acting_peer() -> str:
    """Return the address from which somebody acts now; empty where there is none."""
    actor = _actor.get()
    return "" if actor is None else actor.peer


def system_user() -> str:
    """Return the name of the user that this process has; the number of one without a name."""
    return _name_of(os.getuid())


@lru_cache(8)
def _name_of(uid: int) -> str:
    import pwd  # few processes start a run

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)

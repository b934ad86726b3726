"""Runs: what is known of one, what one does with it, and the faces that wait.

    arguments    types and checks of what verbs are called with
    steps        what each kind of run offers to the verbs
    verbs_aio    the verbs, awaited; verbs_sync, its twin, is generated
    base, local  a run of this machine: facts, and steps
    sync, aio    its two faces, `Run` and `AsyncRun`

Names are loaded when they are first used: the client shares the verbs, and needs no file of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runcast.run.aio import AsyncRun
    from runcast.run.arguments import Channels, Place
    from runcast.run.sync import Run

__all__ = ["AsyncRun", "Channels", "Place", "Run"]

_HOMES = {"AsyncRun": "aio", "Channels": "arguments", "Place": "arguments", "Run": "sync"}


def __getattr__(name: str) -> object:
    import importlib

    if (home := _HOMES.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value

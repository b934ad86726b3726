"""The client: runs of another machine, or of another process, by the HTTP API of its server.

    from runcast.client import Client

    with Client("http://laptop:8765/", token) as client:
        run = client.start(["make", "-j4"])
        for line in run.lines():
            print(line)
        print(run.wait())

A run there has the verbs of a run here. Needs httpx2: `pip install "runcast[client]"`.
Names are loaded when they are first used: `Client` loads no event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runcast.client.aio import AsyncClient, AsyncRemoteRun
    from runcast.client.base import PATIENCE, ShareLink
    from runcast.client.sync import Client, RemoteRun

__all__ = ["PATIENCE", "AsyncClient", "AsyncRemoteRun", "Client", "RemoteRun", "ShareLink"]

_HOMES = {
    "PATIENCE": "base",
    "AsyncClient": "aio",
    "AsyncRemoteRun": "aio",
    "Client": "sync",
    "RemoteRun": "sync",
    "ShareLink": "base",
}


def __getattr__(name: str) -> object:
    import importlib

    if (home := _HOMES.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value

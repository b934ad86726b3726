"""The client: runs of another machine, or of another process, by the HTTP API of its server.

    from runcast.client import Client

    with Client("http://laptop:8765/", token) as client:
        run = client.start(["make", "-j4"])
        for line in run.lines():
            print(line)
        print(run.wait())

A run there has the verbs of a run here. Needs httpx2: `pip install "runcast[client]"`.
"""

from runcast.client.aio import AsyncClient, AsyncRemoteRun
from runcast.client.base import PATIENCE
from runcast.client.sync import Client, RemoteRun

__all__ = ["PATIENCE", "AsyncClient", "AsyncRemoteRun", "Client", "RemoteRun"]

"""Two hosts that share their runs, each with a public server, for tests of what stands before both."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from runcast import Run
from tests.helpers.engines import serving, valkey
from tests.helpers.link_hosts import PATIENCE, Host, linked_hosts
from tests.helpers.servers import Server
from tests.helpers.wait import wait_until

__all__ = ["Cache", "Hosts", "two_hosts"]

_PUBLIC = """
    from runcast import Store
    from runcast.web.asgi import RunsASGI
    app = RunsASGI(Store.open(), allow_any_command=True)
    app.durable.public = True
"""


class Cache(Server):
    """A cache at a port, asked as one asks a server."""

    def __init__(self, port: int) -> None:
        self.port, self.process = port, None


class Hosts(NamedTuple):
    """Two hosts and their servers."""

    hosts: list[Host]
    servers: list[Server]

    @property
    def ports(self) -> list[int]:
        """Where the servers listen."""
        return [server.port for server in self.servers]

    def finished(self, command: list[str]) -> Run:
        """Return a run of the first host that is over, and whole on both."""
        run = self.hosts[0].store.start(command)
        run.wait(timeout=PATIENCE)
        mirror = self.hosts[1].get(run)
        assert mirror.output(timeout=PATIENCE) == run.output()
        wait_until(lambda: mirror.closed, timeout=PATIENCE)
        return run


@contextlib.contextmanager
def two_hosts(folder: Path) -> Iterator[Hosts]:
    """Give two hosts and their servers; all of them end with the context."""
    with (
        serving(valkey(), folder / "valkey") as engine,
        linked_hosts(folder, engine.url, "edge:") as hosts,
        contextlib.ExitStack() as stack,
    ):
        servers = []
        for host in hosts:
            place = folder / f"server-{host.name}"
            place.mkdir()
            servers.append(stack.enter_context(Server(place, "uvicorn", _PUBLIC, store=host.store)))
        yield Hosts(hosts, servers)

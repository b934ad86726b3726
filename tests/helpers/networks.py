"""Machines of their own: namespaces of network, processes, mounts and host name, joined by a bridge.

Needs root. Nothing of it is in the network of the test: the bridge is in a namespace, too, that has no
address, so that what is not forwarded is nobody's. What runs on a machine sees no process of another one,
has a machine id, a boot id and a host name of its own, and is killed by the kernel with that machine's first
process.
"""

import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runcast import Run
from tests.helpers.cli import LONG, RUNCAST, Done
from tests.helpers.engines import Server, valkey
from tests.helpers.programs import program, unshare
from tests.helpers.wait import wait_until
from tests.helpers.workers import children_of

__all__ = ["ENGINE", "TOKEN", "Engine", "Machine", "Network", "Site", "networked"]

ENGINE = "192.0.2.254"  # of the addresses that are nobody's (RFC 5737)
TOKEN = "t" * 32
_PORT = 6379
_NETWORK = 0x40000000  # CLONE_NEWNET
# Takes over what others leave, as the first process of a machine does, and ends when the test does.
_FIRST = (
    "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); print(flush=True); sys.stdin.read()"
)


class Machine:
    """A machine; its file system is that of the test.

    Attributes:
        name: its host name.
        address: in the network.
        pid: of its first process, as the test sees it.
    """

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address
        options = ("--net", "--pid", "--mount", "--uts", "--fork", "--mount-proc", "--kill-child")
        command = [*unshare(*options), sys.executable, "-I", "-S", "-c", _FIRST]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"\n"
        outer = self._process.pid
        self.pid = int(Path(f"/proc/{outer}/task/{outer}/children").read_text())
        self.run("hostname", name)
        self.run("ip", "link", "set", "lo", "up")

    def identify(self, folder: Path) -> None:
        """Give it a machine id and a boot id of its own."""
        for place in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
            path = folder / f"{Path(place).name}-{self.name}"
            path.write_text(os.urandom(16).hex() + "\n")
            self.run("mount", "--bind", str(path), place)

    def command(self, *command: str, only_network: bool = False) -> list[str]:
        """Return what runs a command there, or here with nothing but the network from there."""
        spaces = ["--net"] if only_network else ["--net", "--pid", "--mount", "--uts"]
        return [program("nsenter"), "--target", str(self.pid), *spaces, "--", *command]

    def run(self, *command: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Run a command there to its end, which must be a good one."""
        done = subprocess.run(
            self.command(*command), capture_output=True, timeout=LONG, check=False, **options
        )
        assert done.returncode == 0, (command, done.stderr)
        return done

    def cli(self, *arguments: object, **options: Any) -> Done:
        """Run `runcast` there with these arguments to its end."""
        pipes = {"stdin": subprocess.DEVNULL} if "input" not in options else {}
        command = self.command(RUNCAST, *map(str, arguments))
        done = subprocess.run(command, capture_output=True, timeout=LONG, check=False, **pipes, **options)
        return Done(done.returncode, done.stdout, done.stderr.decode())

    @contextlib.contextmanager
    def begun(self, *command: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
        """Begin a command there; it is killed at the end of the block."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(self.command(*command), bufsize=0, **(pipes | options))
        try:
            yield process
        finally:
            for pid in children_of(process.pid) if process.poll() is None else ():
                with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                    os.kill(pid, signal.SIGKILL)  # nsenter waits for it, and passes no signal on
            process.communicate()

    def connect(self, port: int, timeout: float = LONG) -> http.client.HTTPConnection:
        """Return a connection that is made from there to a server there."""
        found: list[socket.socket | OSError] = []
        connection = http.client.HTTPConnection(self.address, port, timeout=timeout)

        def enter() -> None:  # a thread has a network of its own; a socket stays in that where it was made
            with open(f"/proc/{self.pid}/ns/net", "rb") as space:
                assert ctypes.CDLL(None).setns(space.fileno(), _NETWORK) == 0
            try:
                found.append(socket.create_connection((self.address, port), timeout=timeout))
            except OSError as error:
                found.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        (made,) = found
        if isinstance(made, OSError):
            raise made
        connection.sock = made
        return connection

    def end(self) -> None:
        """End it, with all that runs there."""
        self._process.communicate()


class Network:
    """Machines and an engine at one bridge.

    Attributes:
        machines: by name.
        place: of the engine, a machine, too.
    """

    def __init__(self, folder: Path, names: str) -> None:
        self._folder = folder
        self._switch = Machine("switch", "")
        self._joined: list[Machine] = []
        self.machines: dict[str, Machine] = {}
        try:
            self._ip("link", "add", "bridge", "type", "bridge")
            self._ip("link", "set", "bridge", "up")
            self.place = self._join("engine", ENGINE)
            for number, name in enumerate(names, 1):
                self.machines[name] = self._join(name, f"192.0.2.{number}")
        except BaseException:
            self.end()
            raise

    def _join(self, name: str, address: str) -> Machine:
        machine = Machine(name, address)
        self._joined.append(machine)
        machine.identify(self._folder)
        ends = ("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "net")
        # From here, where the other machine's process has this id.
        command = self._switch.command(*ends, "netns", str(machine.pid), only_network=True)
        subprocess.run(command, check=True, timeout=LONG)
        self._mend(name)
        machine.run("ip", "addr", "add", f"{address}/24", "dev", "net")
        machine.run("ip", "link", "set", "net", "up")
        return machine

    def _ip(self, *arguments: str) -> None:
        self._switch.run("ip", *arguments)

    @contextlib.contextmanager
    def cut(self, name: str, *, silently: bool = False) -> Iterator[None]:
        """Take a machine from the network for a while; silently: its link stays up, and all is dropped."""
        self._ip("link", "set", f"to-{name}", *(("nomaster",) if silently else ("down",)))
        try:
            yield
        finally:
            self._mend(name)

    def _mend(self, name: str) -> None:
        self._ip("link", "set", f"to-{name}", "master", "bridge")
        self._ip("link", "set", f"to-{name}", "up")

    @contextlib.contextmanager
    def engine(self, *options: str) -> Iterator["Engine"]:
        """Give a server of Valkey in it."""
        engine = Engine(self.place, self._folder / "engine", *options)
        try:
            engine.start()
            yield engine
        finally:
            engine.kill()

    def end(self) -> None:
        """End all of it."""
        for machine in [*self._joined, self._switch]:
            machine.end()


@contextlib.contextmanager
def networked(folder: Path, names: str = "ab") -> Iterator[Network]:
    """Give machines with these names, of one letter each, at one bridge."""
    network = Network(folder, names)
    try:
        yield network
    finally:
        network.end()


class Site:
    """A store on a machine that is shared with others through an engine, and used by the command line there.

    Attributes:
        machine: where it is.
        path: of the store.
        url: of the store, for the command line.
    """

    def __init__(self, machine: Machine, path: Path, engine: str, **words: object) -> None:
        self.machine, self.path = machine, path
        asked = "".join(f"&{name}={value}" for name, value in words.items())
        self.url = f"{engine}?store={path}&host={machine.name}{asked}"

    def cli(self, *arguments: object, **options: Any) -> Done:
        """Run `runcast` with this store."""
        return self.machine.cli("--store", self.url, *arguments, **options)

    def start(self, *command: str, **options: Any) -> str:
        """Start a run with options of `Store.start`; return its id."""
        code = "import json, runcast, sys; url, command, options = map(json.loads, sys.argv[1:]); "
        code += "print(runcast.Store.open(url).start(command, **options).id)"
        given = map(json.dumps, (self.url, command, options))
        return self.machine.run(sys.executable, "-c", code, *given).stdout.decode().strip()

    def listed(self, run_id: str) -> dict[str, Any] | None:
        """Return what the list says of a run; None if it has none."""
        found = (json.loads(line) for line in self.cli("ls", "--all", "--json").out.splitlines())
        return next((one for one in found if one["id"] == run_id), None)

    def run(self, run_id: str) -> Run:
        """Return a run as the files have it, for what needs no agent: one would be on the test's machine."""
        return Run(f"{self.path}/{run_id}")

    @property
    def status(self) -> str:
        """What `ls` says of the link."""
        return self.cli("ls").err

    @contextlib.contextmanager
    def serving(self, port: int, *arguments: str) -> Iterator[None]:
        """Serve the store there."""
        options = ("--host", "0.0.0.0", "--port", str(port), "--token", TOKEN, *arguments)
        command = [RUNCAST, "serve", "--store", self.url, *options]
        with self.machine.begun(*command):
            wait_until(lambda: self._answers(port), LONG, f"a server at {self.machine.name}")
            yield

    def _answers(self, port: int) -> bool:
        with contextlib.suppress(OSError):
            self.machine.connect(port).close()
            return True
        return False

    def ask(self, port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Return status and body of one request to the server that serves there."""
        connection = self.machine.connect(port)
        try:
            headers = {"Authorization": f"Bearer {TOKEN}", "X-Runcast": "1"}
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


class Engine(Server):
    """A server of Valkey that is reached from the machines of a network only."""

    def __init__(self, machine: Machine, folder: Path, *options: str) -> None:
        options = ("--bind", machine.address, "127.0.0.1", "--protected-mode", "no", *options)
        super().__init__(valkey(), folder, *options, port=_PORT)
        self.before = machine.command(only_network=True)
        self._machine = machine

    @property
    def url(self) -> str:
        """The address, for a link."""
        return f"redis://{self._machine.address}:{_PORT}/0"

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "server.log").read_text()
        with contextlib.suppress(OSError):
            self._machine.connect(_PORT).close()
            return True
        return False

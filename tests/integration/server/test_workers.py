"""`runcast serve --workers 2`: several processes that are one server, whichever of them answers."""

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runcast import Run, Store
from runcast.client import Client
from runcast.server.attempts import FAILURES
from runcast.store.servers import servers
from tests.helpers.certificates import certificate
from tests.helpers.cli import LONG, RUNCAST, cli, cli_begun
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow

TICKS = ["sh", "-c", "i=0; while read -r line; do i=$((i+1)); echo line $i; done; echo last"]
"""Prints a line for each that it is sent."""


class Server:
    """A server with two workers.

    Attributes:
        process: its parent.
        url: of its first line, with the token.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        assert line.endswith("\n"), process.communicate()[1].decode()
        self.url = line.rstrip("\n")
        self.token = parse_qs(urlsplit(self.url).query)["token"][0]
        self._log = ""

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.url).port or 0

    def workers(self) -> list[int]:
        """Return the processes of its workers."""
        pid = self.process.pid
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

    @contextlib.contextmanager
    def get(self, path: str, token: str | None = None, **headers: str) -> Iterator["Reply"]:
        """Give the reply to a GET, whose body has not been read, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(
                "GET", path, headers={"Authorization": f"Bearer {token or self.token}"} | fields
            )
            peer = connection.sock.getsockname()[1]
            yield Reply(connection.getresponse(), self._worker_of(peer))
        finally:
            connection.close()

    def get_of_each(
        self, stack: contextlib.ExitStack, path: str, token: str | None = None, **headers: str
    ) -> list["Reply"]:
        """Return replies that are held open until each worker has given two; on a quiet machine four do."""
        found: list[Reply] = []
        while len(found) < 100:
            found.append(stack.enter_context(self.get(path, token, **headers)))
            counts = Counter(one.worker for one in found)
            if len(counts) == 2 and min(counts.values()) == 2:
                return found
        raise AssertionError(f"expected replies of both workers, got {counts}")

    def _worker_of(self, port: int) -> int:
        """Return the process that has accepted the connection from a port."""
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(f":{self.port:04X}") and fields[2].endswith(f":{port:04X}"):
                name = f"socket:[{fields[9]}]"
                for pid in self.workers():
                    with contextlib.suppress(OSError):
                        if any(str(fd.readlink()) == name for fd in Path(f"/proc/{pid}/fd").iterdir()):
                            return pid
        return 0

    def metrics(self) -> dict[tuple[str, ...], float]:
        """Return what a Prometheus reads, by name and labels."""
        with self.get("/metrics") as reply:
            return read(reply)

    def metrics_of_each(self) -> list[dict[tuple[str, ...], float]]:
        """Return the same, as all workers give it."""
        with contextlib.ExitStack() as stack:
            return [read(reply) for reply in self.get_of_each(stack, "/metrics")]

    def logged(self, text: str) -> str:
        """Return the log when it has a text."""
        assert self.process.stderr is not None
        while text not in self._log:
            line = self.process.stderr.readline().decode()
            assert line, f"expected {text!r}, got {self._log}"
            self._log += line
        return self._log

    def rest(self) -> str:
        """Return the whole log of a server that has ended."""
        return self._log + self.process.communicate(timeout=LONG)[1].decode()


class Reply:
    """A reply, and the process of the worker that gives it."""

    def __init__(self, reply: http.client.HTTPResponse, worker: int) -> None:
        self.http, self.worker = reply, worker


def read(reply: Reply) -> dict[tuple[str, ...], float]:
    """Return the metrics of a reply, by name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(reply.http.read().decode())
        for sample in family.samples
    }


@contextlib.contextmanager
def serving(*arguments: object, **options: Any) -> Iterator[Server]:
    """Give a server with two workers that starts anything."""
    words = ("serve", "--allow-any-command", "--workers", 2, *arguments)
    with cli_begun(*words, start_new_session=True, **options) as process:
        server = Server(process)
        try:
            yield server
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def begun(store: Store) -> Run:
    """Return a run that prints a line for each that it is sent."""
    return store.start(TICKS, stdin="pipe")


def lines_of(reply: Reply, count: int) -> list[bytes]:
    """Return so many lines of a reply that goes on."""
    return [reply.http.readline() for _ in range(count)]


def test_one_server(store: Store):
    """Viewers of all workers see the same, and each worker counts them all."""
    with serving("--port", 0) as server, contextlib.ExitStack() as stack:
        assert len(server.workers()) == 2
        assert servers(store.path) == [server.url.partition("?")[0]]
        assert len(list(Path(f"{store.path}/.servers").iterdir())) == 1
        assert len(list(Path(f"/proc/{server.process.pid}/task").iterdir())) == 1  # so that it may fork

        run = begun(store)
        viewers = server.get_of_each(stack, f"/runs/{run.id}/log")
        run.send("a\nb\n")
        assert {tuple(lines_of(viewer, 2)) for viewer in viewers} == {(b"line 1\n", b"line 2\n")}

        with server.get("/runs", Accept="application/json") as reply:
            assert run.id in reply.http.read().decode()
        for found in server.metrics_of_each():
            assert found["runcast_viewers", "text"] == len(viewers)
            assert found["runcast_workers",] == 2
            assert found["runcast_runs_started_total",] == 0
        requests = server.metrics()["runcast_http_requests_total", "GET", "200"]

        with Client(server.url) as runs:
            for _ in range(4):
                runs.start(["true"]).wait()
        for found in server.metrics_of_each():
            assert found["runcast_runs_started_total",] == 4
            assert found["runcast_runs_ended_total", "true", "ok"] == 4  # and not once for each worker
            assert found["runcast_http_requests_total", "GET", "200"] > requests
        run.send(b"", eof=True)
        assert {viewer.http.read() for viewer in viewers} == {b"last\n"}


def test_killed(store: Store):
    """A worker that is killed is replaced; its viewers go on, its runs as well, and no counter goes down."""
    with serving("--port", 0) as server, contextlib.ExitStack() as stack:
        run = begun(store)
        clients = [stack.enter_context(Client(server.url)) for _ in range(4)]
        followers = [client.get(run.id).follow() for client in clients]
        run.send("a\n")
        seen = [next(follower).data for follower in followers]
        direct = server.get_of_each(stack, f"/runs/{run.id}/log")
        store.start(["true"]).wait()
        before = server.metrics()
        victim = direct[0].worker

        os.kill(victim, signal.SIGKILL)

        server.logged(f"(process {victim}) was ended by SIGKILL: another is started, runs go on")
        wait_until(lambda: len(server.workers()) == 2, timeout=LONG)
        wait_until(lambda: server.metrics()["runcast_workers",] == 2, timeout=LONG)
        counters = [key for key in before if key[0].endswith("_total")]
        assert {("process_cpu_seconds_total",), ("runcast_runs_ended_total", "true", "ok")} <= {*counters}
        for after in server.metrics_of_each():
            assert after["runcast_workers_restarted_total",] == 1
            assert {key for key in counters if after[key] < before[key]} == set()
            assert after["runcast_viewers", "text"] == sum(one.worker != victim for one in direct)
        run.send("b\n")
        run.send(b"", eof=True)
        for number, follower in enumerate(followers):
            seen[number] += b"".join(chunk.data for chunk in follower)
        assert seen == [b"line 1\nline 2\nlast\n"] * 4


def test_token_of_a_program_is_revoked(store: Store):
    """A revoked token ends live replies of all workers, and none answers it any more."""
    token = cli("token", "add", "ci", "--may", "read").out.decode().split()[0]
    run = begun(store)
    with serving("--port", 0) as server, contextlib.ExitStack() as stack:
        watching = server.get_of_each(stack, f"/runs/{run.id}/log", token)
        assert {one.http.status for one in watching} == {200}

        assert cli("token", "revoke", "ci").code == 0

        for one in watching:
            with contextlib.suppress(http.client.IncompleteRead):
                assert one.http.read() == b""
        assert {one.http.status for one in server.get_of_each(stack, "/runs", token)} == {401}
    run.kill()


def test_wrong_tokens(store: Store):
    """So many wrong tokens are answered as by one process, whichever worker they come to."""
    with serving("--port", 0) as server, contextlib.ExitStack() as stack:
        server.get_of_each(stack, "/healthz")
        replies = [stack.enter_context(server.get("/runs", "x" * 20)) for _ in range(2 * FAILURES)]
        assert len({one.worker for one in replies}) == 2
        found = Counter(one.http.status for one in replies)
        assert set(found) == {401, 429}
        assert FAILURES <= found[401] <= FAILURES + 3  # one more every 6 s, and the machine may be slow


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals(store: Store, number: signal.Signals):
    """A signal, Ctrl-C as well, ends all workers gently: each viewer reads that it is to come back."""
    with serving("--port", 0) as server, contextlib.ExitStack() as stack:
        run = begun(store)
        viewers = server.get_of_each(stack, f"/runs/{run.id}/log", Accept="text/event-stream")
        workers = server.workers()
        if number == signal.SIGINT:  # a terminal sends it to all of them
            os.killpg(server.process.pid, number)
        else:
            server.process.send_signal(number)

        for viewer in viewers:
            assert b"event: restart\n" in viewer.http.read()
        assert server.process.wait(LONG) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
        assert servers(store.path) == []
        log = server.rest()
        assert "Traceback" not in log
        assert log.count(f"run {run.id}") == 1  # goes on
        run.kill()


def test_parent_is_killed(store: Store):
    """Workers do not outlive their parent."""
    with serving("--port", 0) as server:
        workers = server.workers()

        server.process.kill()

        wait_until(lambda: not any(alive(pid) for pid in workers), timeout=LONG, what="the end of workers")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))


def alive(pid: int) -> bool:
    """Return whether a process goes on."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    return False


def test_cannot_begin(store: Store, tmp_path: Path):
    """A worker that cannot begin ends the server with its reason, once."""
    (tmp_path / "uvloop.py").write_text("def new_event_loop():\n    raise OSError(24, 'no loop today')\n")

    result = cli("serve", "--port", 0, "--workers", 2, env=os.environ | {"PYTHONPATH": str(tmp_path)})

    assert (result.code, result.out) == (2, b"")
    assert result.err.endswith("runcast: a worker cannot serve: OSError: [Errno 24] no loop today\n")
    assert result.err.count("no loop today") == 1


def test_one_worker_is_the_server(store: Store):
    """With one worker there is no process beside the server; a store of one process has no workers."""
    with cli_begun("serve", "--workers", 1, "--port", 0) as process:
        server = Server(process)
        assert server.workers() == []
        assert ("runcast_workers",) not in server.metrics()

    assert "expected a folder as the store" in cli("--store", "memory:", "serve", "--workers", 2).err


def test_tls(store: Store, tmp_path: Path):
    """A TLS session goes on with any worker; each, a new one too, has a renewed certificate."""
    pair, renewed = certificate(tmp_path, "first"), certificate(tmp_path, "second")
    with serving("--port", 0, *pair.options) as server:
        trusting = ssl.create_default_context(cafile=str(pair.cert))
        session, reused, held = None, [], contextlib.ExitStack()
        with held:
            for _ in range(4):  # held open, so both have to do with it
                raw = socket.create_connection(("127.0.0.1", server.port), timeout=LONG)
                one = held.enter_context(
                    trusting.wrap_socket(raw, server_hostname="localhost", session=session)
                )
                one.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert b" 200 " in one.recv(1000)
                reused.append(one.session_reused)
                session = one.session
        assert reused == [False, True, True, True]

        old = ssl.get_server_certificate(("127.0.0.1", server.port), timeout=LONG)
        os.replace(renewed.cert, pair.cert)
        os.replace(renewed.key, pair.key)

        def renewed_by_all() -> bool:
            with contextlib.ExitStack() as held:
                unverified = ssl._create_unverified_context()
                found = set()
                for _ in range(4):
                    raw = socket.create_connection(("127.0.0.1", server.port), timeout=LONG)
                    one = held.enter_context(unverified.wrap_socket(raw))
                    found.add(ssl.DER_cert_to_PEM_cert(one.getpeercert(binary_form=True) or b""))
                return old not in found

        wait_until(renewed_by_all, timeout=LONG)
        server.logged("the TLS certificate was renewed")
        victim = server.workers()[0]
        os.kill(victim, signal.SIGKILL)
        server.logged(f"(process {victim}) was ended by SIGKILL: another is started")
        wait_until(lambda: len(server.workers()) == 2, timeout=LONG, what="another worker")
        assert all(renewed_by_all() for _ in range(100))
        server.process.terminate()
        assert server.rest().count("the TLS certificate was renewed") == 1


def test_unix(store: Store, tmp_path: Path):
    """On a Unix socket, which the parent alone removes."""
    path = tmp_path / "http"
    with serving("--unix", path) as server:
        with Client(server.url) as runs:
            assert [chunk.data for chunk in runs.start(["echo", "one"]).follow()] == [b"one\n"]
        os.kill(server.workers()[0], signal.SIGTERM)  # a worker that ends leaves the socket
        server.logged("ended with code 0: another is started")
        assert path.exists()
        with Client(server.url) as runs:
            assert len(list(runs.list())) == 1

        server.process.terminate()
        assert server.process.wait(LONG) == 0
    assert not path.exists()


ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execvp(sys.argv[2], sys.argv[2:])
"""


def test_systemd(store: Store, tmp_path: Path):
    """On systemd's socket; it is notified once, by the process that it started, when all workers serve."""
    notified = tmp_path / "notify"
    with (
        socket.create_server(("127.0.0.1", 0)) as opened,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hears,
    ):
        hears.bind(str(notified))
        hears.settimeout(LONG)
        words = [sys.executable, "-c", ACTIVATE, str(opened.fileno()), RUNCAST, "serve", "--workers", "2"]
        with (
            subprocess.Popen(
                words,
                pass_fds=[opened.fileno()],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=os.environ | {"NOTIFY_SOCKET": str(notified)},
            ) as process,
            contextlib.ExitStack() as stack,
        ):
            stack.callback(process.kill)
            server = Server(process)
            assert server.port == opened.getsockname()[1]
            assert hears.recv(1000).startswith(b"READY=1\n")
            server.get_of_each(stack, "/healthz")
            process.terminate()
            assert hears.recv(1000) == b"STOPPING=1"
            assert process.wait(LONG) == 0
            hears.setblocking(False)
            with pytest.raises(BlockingIOError):
                hears.recv(1000)

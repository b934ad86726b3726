"""Where `runcast serve` listens beside plain TCP: TLS, a Unix socket, and the sockets of systemd."""

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.sync.client import connect

from runcast import Store
from runcast.client import Client
from tests.helpers.certificates import Pair, certificate, encrypted
from tests.helpers.cli import LONG, RUNCAST, cli, cli_begun
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def serving(*arguments: object, **options: Any) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Give a server that starts anything, and the URL of its first line."""
    with cli_begun("serve", "--allow-any-command", *arguments, **options) as process:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        assert line.endswith("\n"), process.communicate()[1].decode()
        yield process, line.rstrip("\n")


def refused(*arguments: object, **options: Any) -> str:
    """Return the one line with which a server does not start."""
    result = cli("serve", *arguments, **options)
    assert result.code in (1, 2), result
    assert result.out == b""
    return result.err


# TLS


@pytest.fixture(name="pair", scope="module")
def pair_fixture(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A certificate of this machine."""
    return certificate(tmp_path_factory.mktemp("tls"))


def trusting(pair: Pair) -> ssl.SSLContext:
    """Return a context that trusts this certificate alone."""
    return ssl.create_default_context(cafile=str(pair.cert))


def test_tls(store: Store, pair: Pair, monkeypatch: pytest.MonkeyPatch):
    """Programs, WebSockets and browsers have everything over TLS; the cookie is for TLS only."""
    with serving("--port", 0, *pair.options) as (_, url):
        parts = urlsplit(url)
        assert parts.scheme == "https"
        token = parse_qs(parts.query)["token"][0]
        monkeypatch.setenv("SSL_CERT_FILE", str(pair.cert))
        with Client(url) as runs:
            run = runs.start(["sh", "-c", "echo one; echo two >&2; exit 3"])
            assert sorted(chunk.data for chunk in run.follow()) == [b"one\n", b"two\n"]
            assert run.outcome is not None
            assert run.outcome.code == 3

        headers = {"Authorization": f"Bearer {token}"}
        with connect(
            f"wss://{parts.netloc}/runs/{run.id}/log", ssl=trusting(pair), additional_headers=headers
        ) as socket:
            assert b"one" in "".join(str(message) for message in socket).encode()

        connection = http.client.HTTPSConnection("localhost", parts.port or 0, context=trusting(pair))
        connection.request("GET", f"/?token={token}")
        assert "Secure" in str(connection.getresponse().getheader("set-cookie"))
        connection.close()


def test_plain_http_meets_tls(store: Store, pair: Pair):
    """Somebody who speaks plain HTTP there gets the end of the connection, and no one else notices."""
    with serving("--port", 0, *pair.options) as (_, url):
        port = urlsplit(url).port or 0
        with socket.create_connection(("127.0.0.1", port), LONG) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert b"HTTP" not in plain.recv(100)

        connection = http.client.HTTPSConnection("localhost", port, context=trusting(pair), timeout=LONG)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()


def test_handshakes_that_do_not_end(store: Store, pair: Pair):
    """Clients that connect and say nothing keep nobody out: the oldest make room."""
    limited = ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", RUNCAST]
    command = [*limited, "serve", "--port", "0", *pair.options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        port, token = urlsplit(url).port or 0, url.partition("=")[2]
        with contextlib.ExitStack() as stack:
            silent = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(400)]
            connection = http.client.HTTPSConnection("localhost", port, context=trusting(pair), timeout=LONG)
            connection.request("GET", "/runs", headers={"Authorization": f"Bearer {token}"})
            assert connection.getresponse().status == 200
            connection.close()
            silent[0].settimeout(LONG)
            with contextlib.suppress(ConnectionResetError):
                assert silent[0].recv(1) == b""
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 0


def serial(port: int) -> int:
    """Return which certificate a server has."""
    found = ssl.get_server_certificate(("127.0.0.1", port), timeout=LONG)
    return hash(found)


def test_renewed(store: Store, tmp_path: Path):
    """A renewed certificate is used without a restart and cuts nothing; a wrong one is not used."""
    first, second = certificate(tmp_path, "first"), certificate(tmp_path, "second")
    with serving("--port", 0, *first.options) as (process, url):
        port = urlsplit(url).port or 0
        old = serial(port)
        open_one = http.client.HTTPSConnection("localhost", port, context=trusting(first), timeout=LONG)
        open_one.connect()

        os.replace(second.cert, first.cert)  # the key is not there yet
        assert process.stderr is not None
        wait_until(lambda: b"is not renewed" in process.stderr.readline(), timeout=LONG)  # type: ignore[union-attr]
        assert serial(port) == old
        os.replace(second.key, first.key)
        wait_until(lambda: serial(port) != old, timeout=LONG)

        open_one.request("GET", "/healthz")
        assert open_one.getresponse().status == 200
        open_one.close()


def test_wrong_certificates(store: Store, pair: Pair, tmp_path: Path, serve_refused: Callable[..., str]):
    """What is wrong with a certificate or its key is said in one sentence, before anything is served."""
    other = certificate(tmp_path)
    missing, text = tmp_path / "none.pem", tmp_path / "text"
    text.write_text("no PEM")

    def tls(cert: Path, key: Path) -> str:
        return serve_refused("--port", 0, "--tls-cert", cert, "--tls-key", key)

    assert "expected --tls-cert beside --tls-key" in serve_refused("--port", 0, "--tls-key", pair.key)
    assert f"cannot read --tls-cert {missing}: no such file" in tls(missing, pair.key)
    assert f"cannot read --tls-key {missing}: no such file" in tls(pair.cert, missing)
    assert "expected the key of the certificate" in tls(pair.cert, other.key)
    assert "expected PEM with a certificate" in tls(text, pair.key)
    assert "in the same file, got something else" in serve_refused("--port", 0, "--tls-cert", pair.cert)
    assert "expected a key without a passphrase" in tls(pair.cert, encrypted(pair.key))


def test_plain_beyond_this_machine(store: Store, pair: Pair):
    """Plain HTTP for the network gets a warning, TLS none."""
    for options, warned in (([], True), (pair.options, False)):
        with serving("--host", "0.0.0.0", "--port", 0, *options) as (process, _):
            process.send_signal(signal.SIGTERM)
            log = process.communicate(timeout=LONG)[1].decode()
        assert ("plain HTTP beyond this machine" in log) == warned


# A Unix socket


@pytest.fixture(name="path")
def path_fixture(tmp_path: Path) -> Path:
    """Where the socket is to be."""
    return tmp_path / "http"


def test_unix(store: Store, path: Path):
    """A server on a Unix socket is this user's alone, is named by its path, and leaves nothing behind."""
    with serving("--unix", path) as (process, url):
        assert url.partition("?")[0] == f"unix://{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with Client(url) as runs:
            assert [chunk.data for chunk in runs.start(["echo", "one"]).follow()] == [b"one\n"]
        result = cli("--server", url, "run", "--", "sh", "-c", "echo two; exit 4")
        assert (result.out, result.code) == (b"two\n", 4)

        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 0
    assert not path.exists()


def test_mode(store: Store, path: Path):
    """Its permissions are those that were wanted, whatever the umask."""
    with serving("--unix", path, "--unix-mode", "660", umask=0o077):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_left_by_a_killed_server(store: Store, path: Path):
    """The socket of a server that was killed is replaced; that of one that lives is not."""
    with serving("--unix", path) as (process, _):
        assert f"cannot listen on {path}: a server listens there already" in refused("--unix", path)
        process.kill()
        process.wait()
    assert path.exists()

    with serving("--unix", path) as (_, url), Client(url) as runs:
        assert list(runs.list()) == []


def test_another_server_has_the_path(store: Store, path: Path):
    """A server that ends leaves the socket of its successor alone."""
    with serving("--unix", path) as (process, _):
        path.unlink()
        with serving("--unix", path) as (_, url), Client(url) as runs:
            process.send_signal(signal.SIGTERM)
            assert process.wait(LONG) == 0
            assert list(runs.list()) == []


def test_wrong_paths(store: Store, path: Path, serve_refused: Callable[..., str]):
    """Another file is never replaced, and what cannot be is said to be so."""
    path.write_text("mine")

    assert "got another file" in serve_refused("--unix", path)
    assert path.read_text() == "mine"
    assert "there is no such folder" in serve_refused("--unix", path.parent / "none" / "http")
    assert "at most 107 bytes (unix(7)), got" in serve_refused("--unix", path.parent / ("x" * 120))
    assert "got both" in serve_refused("--unix", path, "--port", 1)
    assert "expected permissions in octal" in serve_refused("--unix", path, "--unix-mode", "rw")


def test_gone(path: Path):
    """A client says which socket it cannot reach."""
    result = cli("--server", f"unix://{path}", "ls")

    assert result.code == 2
    assert f"cannot reach the server unix://{path}" in result.err


# Sockets of systemd

ACTIVATE = """
import os, sys
fd = int(sys.argv[1])
if fd != 3:
    os.dup2(fd, 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="http")
os.execvp(sys.argv[2], sys.argv[2:])
"""


@contextlib.contextmanager
def activated(
    one: socket.socket, *arguments: object, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Give a server that has a socket as systemd hands it over (sd_listen_fds(3))."""
    words = [sys.executable, "-c", ACTIVATE, str(one.fileno()), RUNCAST, "serve", *map(str, arguments)]
    with subprocess.Popen(
        words,
        pass_fds=[one.fileno()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(name="opened")
def opened_fixture() -> Iterator[socket.socket]:
    """A socket that systemd would have opened."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


def first_line(process: subprocess.Popen[bytes]) -> str:
    """Return the URL of a server."""
    assert process.stdout is not None
    line = process.stdout.readline().decode().strip()
    assert line, process.communicate()[1].decode()
    return line


def test_socket_activation(store: Store, opened: socket.socket):
    """The server serves on systemd's socket; who connects while it restarts is answered by the next one."""
    port = opened.getsockname()[1]
    with activated(opened, "--allow-any-command") as process:
        url = first_line(process)
        assert urlsplit(url).port == port
        with Client(url) as runs:
            run = runs.start(["sh", "-c", "env; exec sleep 600"])
            wait_until(lambda: runs.get(run.id).tail_offset > 0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 0

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
    connection.request("GET", "/healthz")
    with activated(opened):
        assert connection.getresponse().status == 200
    connection.close()

    mine = store.get(run.id)
    assert b"LISTEN_" not in cli("log", mine.id).out
    mine.kill()


def test_first_connection_is_probed(store: Store, opened: socket.socket):
    """Who connected before the server began is noticed when its network goes, as all others are."""
    with socket.create_connection(opened.getsockname()) as client, activated(opened):
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in client.recv(1000)
        wait_until(
            lambda: timer_of(opened.getsockname()[1], client.getsockname()[1]) == "02",
            what="keep-alive probes",
        )


def timer_of(port: int, other: int) -> str:
    """Return which timer runs for the server's side of a connection (proc(5): 02 is that of probes)."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    ends = [f":{port:04X}", f":{other:04X}"]
    return next(row[5][:2] for row in rows if [row[1][-5:], row[2][-5:]] == ends)


def test_notify(store: Store, opened: socket.socket, tmp_path: Path):
    """A unit of Type=notify hears when it serves, and when it ends; runs do not have the variable."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(LONG)
        with activated(opened, NOTIFY_SOCKET=str(tmp_path / "notify")) as process:
            assert manager.recv(1000).decode().splitlines()[0] == "READY=1"
            process.send_signal(signal.SIGTERM)
            assert manager.recv(1000) == b"STOPPING=1"
            assert process.wait(LONG) == 0


def test_sockets_of_another_process(store: Store, opened: socket.socket):
    """Variables that a parent left in the environment are nothing to the server."""
    environment = os.environ | {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    with serving("--port", 0, env=environment) as (_, url):
        assert urlsplit(url).port != opened.getsockname()[1]


def test_wrong_sockets(store: Store, opened: socket.socket):
    """A socket that cannot be listened on is named, with the setting that mends it."""

    def said(one: socket.socket, *arguments: object) -> str:
        with activated(one, *arguments) as process:
            out, err = process.communicate(timeout=LONG)
            assert (out, process.returncode) == (b"", 2)
            return err.decode()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        assert "expected a stream socket as the descriptor 3 of systemd (http)" in said(datagrams)
    with socket.create_connection(opened.getsockname()) as connected:
        assert "use Accept=no" in said(connected)
    for other in (["--port", 1], ["--host", "::1"], ["--unix", "/run/none"]):
        assert "where systemd has opened the sockets" in said(opened, *other)


def test_json_of_a_run(store: Store, path: Path):
    """Over a Unix socket curl has the same as over TCP."""
    run = store.start(["echo", "one"])
    run.wait()
    with serving("--unix", path, "--no-auth"):
        words = ["curl", "-sS", "--unix-socket", str(path), f"http://localhost/runs/{run.id}"]
        got = json.loads(subprocess.run(words, check=True, capture_output=True, timeout=LONG).stdout)
    assert got["id"] == run.id

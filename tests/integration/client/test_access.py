"""What stands between a client and a run: addresses, tokens, other servers, TLS, a missing package."""

import contextlib
import http.server
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Store
from runcast.client import Client
from runcast.errors import AccessRefused, NotRuncast, RuncastError, ServerUnreachable, UsageError
from tests.helpers.children import run_python
from tests.helpers.ports import free_port
from tests.helpers.servers import Server
from tests.integration.server.test_serve import serving

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def other_server(context: ssl.SSLContext | None = None, *, status: int = 200) -> Iterator[int]:
    """Give the port of a web server that is none of ours."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "5")
            if status == 301:
                self.send_header("Location", "https://example.org/")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        if context is not None:
            running.socket = context.wrap_socket(running.socket, server_side=True)
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running.server_address[1]
        running.shutdown()


@pytest.fixture(name="certificate")
def certificate_fixture(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that nobody but itself signed, and what serves it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x -addext subjectAltName=IP:127.0.0.1"
    command = [*made.split(), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


def test_address_as_serve_prints_it(store: Store, monkeypatch: pytest.MonkeyPatch):
    """The printed address lets in, token included; so do its parts, the variables and the page's address."""
    with serving("--allow-any-command") as server:
        bare = server.url.partition("?")[0]
        with Client(server.url) as client:
            run = client.start(["true"])
            assert run.wait().ok
            assert server.token not in f"{client.url}{client!r}{run.url}{run!r}"
        with Client(bare, server.token) as client:
            assert client.get(run.id).id == run.id
        with Client(f"{bare}runs?token={server.token}") as client:
            assert client.get(run.id).id == run.id
        monkeypatch.setenv("RUNCAST_SERVER", bare)
        monkeypatch.setenv("RUNCAST_TOKEN", server.token)
        with Client() as client:
            assert client.get(run.id).id == run.id


def test_tokens(store: Store, monkeypatch: pytest.MonkeyPatch):
    """A missing and a wrong token are told with what to do, and the wrong one is not repeated."""
    monkeypatch.delenv("RUNCAST_TOKEN", raising=False)
    with serving() as server:
        bare = server.url.partition("?")[0]
        with (
            Client(bare) as client,
            pytest.raises(AccessRefused, match="got none: set RUNCAST_TOKEN, or use"),
        ):
            list(client.list())
        with Client(bare, "wr0ng") as client, pytest.raises(AccessRefused, match="got another") as error:
            list(client.list())
        assert "wr0ng" not in str(error.value)


def test_commands_only(store: Store, tmp_path: Path):
    """A server that starts named commands alone says so; those it starts by name."""
    (tmp_path / "commands.toml").write_text('[commands.hello]\ncommand = ["echo", "hello"]\n')
    with serving("--config", tmp_path / "commands.toml") as server, Client(server.url) as client:
        assert client.start(name="hello").output() == "hello\n"
        with pytest.raises(AccessRefused, match="--allow-any-command"):
            client.start(["ls"])
        with pytest.raises(UsageError, match=r"no command 'hell'.*did you mean 'hello'"):
            client.start(name="hell")
        with pytest.raises(UsageError, match="expected no timeout with name= alone"):
            client.start(name="hello", timeout=3)
        assert [one["name"] for one in client.commands()["commands"]] == ["hello"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "laptop:8765",
            "expected the address of a server, such as http://127.0.0.1:8765/, got 'laptop:8765'",
        ),
        ("ftp://laptop/", "got 'ftp://laptop/'"),
        ("http://", "got 'http://'"),
        ("http://[::1", "got 'http://"),
        ("http://me:secret@laptop/", "without a user"),
        ("", "got none: give it, or set RUNCAST_SERVER"),
    ],
)
def test_wrong_addresses(url: str, said: str):
    """What is no address is told so, before anything is asked."""
    with pytest.raises(UsageError) as error:
        Client(url)

    assert said in str(error.value)
    assert "secret" not in str(error.value)


def test_nobody_there():
    """Where nothing listens, or no such machine is, one is told at once."""
    with (
        Client(f"http://127.0.0.1:{free_port()}/") as client,
        pytest.raises(ServerUnreachable, match="nothing listens there: is `runcast serve` running"),
    ):
        client.get("0" * 26)
    with (
        Client("http://no-such-machine.invalid/") as client,
        pytest.raises(ServerUnreachable, match="name is not known"),
    ):
        client.start(["true"])


@pytest.mark.parametrize(
    ("status", "got"), [(200, "something else"), (404, "404 Not Found"), (301, "to https://exam")]
)
def test_another_server(status: int, got: str):
    """A web server that is none of ours is told from one that is."""
    with other_server(status=status) as port, Client(f"http://127.0.0.1:{port}/") as client:
        with pytest.raises(
            NotRuncast, match=f"expected a runcast server at http://127.0.0.1:{port}/, got.*{got}"
        ):
            list(client.list())


def test_proxy_without_a_server():
    """A proxy that finds no server behind it counts as a server that is away."""
    with other_server(status=502) as port, Client(f"http://127.0.0.1:{port}/") as client:
        with pytest.raises(ServerUnreachable, match="502 Bad Gateway"):
            list(client.list())


def test_certificate_of_nobody(certificate: tuple[Path, ssl.SSLContext]):
    """A certificate that is not trusted is refused, and what names it is told."""
    with other_server(certificate[1]) as port, Client(f"https://127.0.0.1:{port}/") as client:
        with pytest.raises(
            ServerUnreachable, match=r"certificate is not trusted \(self.signed.*SSL_CERT_FILE"
        ):
            list(client.list())


def test_certificate_that_is_named(certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch):
    """A certificate named in SSL_CERT_FILE is trusted: what answers then is only no runcast."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with other_server(certificate[1]) as port, Client(f"https://127.0.0.1:{port}/") as client:
        with pytest.raises(NotRuncast):
            list(client.list())


def test_tls_where_there_is_none(server: Server):
    """https:// to a server that speaks plain HTTP is told as that."""
    with (
        Client(f"https://127.0.0.1:{server.port}/") as client,
        pytest.raises(ServerUnreachable, match="does not speak TLS: use http://"),
    ):
        list(client.list())


def test_package_is_missing():
    """Without httpx2 the module can be imported; making a client names what to install."""
    said = run_python(
        """
        import sys
        from runcast.client import AsyncClient, Client
        assert "httpx2" not in sys.modules
        sys.modules["httpx2"] = None
        for kind in (Client, AsyncClient):
            try:
                kind("http://127.0.0.1:1/")
            except Exception as error:
                print(type(error).__name__, error)
        """
    )

    assert said.count("RuncastError expected the client's package httpx2, it is not installed") == 2
    assert said.count('pip install "runcast[client]"') == 2


def test_errors_have_one_root(server: Server):
    """All of them are caught as RuncastError, and those of the network as what Python calls them."""
    assert issubclass(ServerUnreachable, ConnectionError)
    with Client(f"{server.root}/") as client, pytest.raises(RuncastError):
        client.get("0" * 26)

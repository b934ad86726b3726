"""People and programs at a real server: roles by a proxy's header, scoped tokens, the audit of both."""

import contextlib
import http.client
import http.server
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bench.peers.nginx import nginx
from bench.peers.server import running
from runcast import Run, Store
from runcast.cli import main
from runcast.store.scoped_tokens import TokenFiles
from runcast.who import Who
from tests.helpers.cli import LONG, cli, cli_begun
from tests.helpers.ports import free_port
from tests.helpers.stores import empty_store, temporary_store
from tests.helpers.wait import wait_until
from tests.integration.server.test_serve import Server, serving

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[3] / "examples"
FILE = """
user_header = "X-Remote-User"
trusted_proxies = ["127.0.0.1"]

[commands.backup]
command = ["sh", "-c", "echo saved; exec sleep 600"]

[commands.deploy]
command = ["echo", "deployed"]

[roles.ops]
users = ["ben"]
may = ["*"]

[roles.dev]
users = ["ana"]
may = ["read", "start:backup", "stop:backup"]
"""


@pytest.fixture(name="place", scope="module")
def place_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Store]]:
    """A server whose proxy is the test, and its store."""
    folder = tmp_path_factory.mktemp("people")
    (folder / "server.toml").write_text(FILE)
    with pytest.MonkeyPatch.context() as patch, temporary_store(folder / "store") as store:
        patch.setenv("RUNCAST_STORE", store.path)
        with serving("--config", folder / "server.toml") as server:
            yield server, store


@pytest.fixture(name="server")
def server_fixture(place: tuple[Server, Store]) -> Server:
    """The server."""
    return place[0]


@pytest.fixture(name="store")
def store_fixture(place: tuple[Server, Store], monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Its store, empty at first, without any token."""
    store = place[1]
    monkeypatch.setenv("RUNCAST_STORE", store.path)
    yield store
    empty_store(store)
    tokens = TokenFiles(store.path)
    for one in list(tokens.list()):
        tokens.revoke(one.name)
    (Path(store.path) / ".audit.jsonl").unlink()


@pytest.fixture(name="token")
def token_fixture(store: Store, request: pytest.FixtureRequest) -> Callable[..., dict[str, str]]:
    """Give a function that makes a token of the test's own name, and returns what a program sends."""

    def made(*may: str, seconds: float | None = None) -> dict[str, str]:
        expires = None if seconds is None else time.time() + seconds
        return bearer(TokenFiles(store.path).add(name_of(request), may, expires))

    return made


def name_of(request: pytest.FixtureRequest) -> str:
    """Return a name for the token of a test, of which the audit knows each only once a minute."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", request.node.name)[:64].strip("-")


@pytest.fixture(name="name")
def name_fixture(request: pytest.FixtureRequest) -> str:
    """Give the name of the test's token."""
    return name_of(request)


def by(name: str) -> dict[str, str]:
    """Return what the proxy sends for a user."""
    return {"X-Remote-User": name}


def bearer(text: str) -> dict[str, str]:
    """Return what a program sends."""
    return {"Authorization": f"Bearer {text}"}


def audit(store: Store) -> list[tuple[str, str, str, str | None, str]]:
    """Return kind, name, verb, the name of the run, and result of each line."""
    text = (Path(store.path) / ".audit.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines() if line]
    people = [(line["who"]["kind"], line["who"]["name"]) for line in lines]
    done = [(line["verb"], line["name"], line["result"]) for line in lines]
    return [(*who, *what) for who, what in zip(people, done, strict=True)]


# Roles


def test_roles(server: Server, store: Store):
    """Each does what its role may, by name; what it may not is 403, with what it may."""
    answer = server.ask("POST", "/runs", by("ana"), {"name": "backup"})
    assert answer.status == 201
    run = store.get(json.loads(answer.body)["id"])
    assert run.started_by == Who("proxy user", "ana")

    refused = server.ask("POST", "/runs", by("ana"), {"name": "deploy"})
    assert refused.status == 403
    said = json.loads(refused.body)
    assert (said["error"], said["verb"], said["may"]) == (
        "NotAllowed",
        "start",
        ["read", "start:backup", "stop:backup"],
    )
    assert said["detail"] == (
        "expected somebody who may start 'deploy', ana may read, start:backup, stop:backup: "
        "ask who runs this server"
    )
    for command in ({"command": ["true"]}, {"name": "backup", "command": ["true"]}, {}, {"name": 3}):
        assert server.ask("POST", "/runs", by("ana"), command).status in (400, 403)

    assert server.ask("POST", f"/runs/{run.id}/stop", by("eve"), {}).status == 403
    assert server.ask("POST", f"/runs/{run.id}/stop", by("ana"), {}).status == 202
    assert run.wait(timeout=LONG, check=False).stopped_by == Who("proxy user", "ana")
    assert server.ask("DELETE", f"/runs/{run.id}", by("ana") | {"X-Runcast": "1"}).status == 403
    assert server.ask("DELETE", f"/runs/{run.id}", by("ben") | {"X-Runcast": "1"}).status == 204

    assert ("proxy user", "eve", "stop", "backup", "NotAllowed") in audit(store)
    assert ("proxy user", "ben", "delete", "backup", "done") in audit(store)


def test_what_is_offered(server: Server, store: Store):
    """Commands, and what a page has, are those that would work: no button leads to a refusal."""

    def may(path: str, name: str) -> list[str]:
        page = server.ask("GET", path, by(name) | {"Accept": "text/html"}).body.decode()
        return re.findall(r'data-may="([^"]*)"', page)[0].split()

    def commands(name: str) -> list[str]:
        return [one["name"] for one in json.loads(server.ask("GET", "/commands", by(name)).body)["commands"]]

    run = store.start(["true"], name="backup")
    run.wait(timeout=LONG)
    other = store.start(["true"], name="other")
    other.wait(timeout=LONG)

    assert [commands(name) for name in ("ben", "ana", "eve")] == [["backup", "deploy"], ["backup"], []]
    assert [may("/runs", name) for name in ("ben", "ana", "eve")] == [["commands"], ["commands"], []]
    assert set(may(f"/runs/{run.id}", "ben")) == {"list", "stop", "rerun", "delete", "share", "commands"}
    assert may(f"/runs/{run.id}", "ana") == ["list", "stop", "commands"]
    assert may(f"/runs/{other.id}", "ana") == ["list", "commands"]
    assert may(f"/runs/{run.id}", "eve") == ["list"]


def test_header_from_elsewhere(tmp_path: Path):
    """A header that comes from no trusted address is nothing, whatever address a client claims to have."""
    claims = [{}, {"X-Forwarded-For": "10.9.9.9"}, {"Forwarded": "for=10.9.9.9"}, {"X-Real-IP": "10.9.9.9"}]
    options = ("--user-header", "X-Remote-User", "--trusted-proxy", "10.9.9.9", "--store", tmp_path / "store")
    with serving(*options) as server:
        for claim in claims:
            answer = server.ask("GET", "/runs", by("ben") | claim)
            assert answer.status == 401
            assert json.loads(answer.body)["error"] == "UntrustedProxy"
        assert server.ask("GET", "/runs", server.bearer).status == 200


def test_by_a_unix_socket(tmp_path: Path):
    """A proxy that comes by a Unix socket is trusted by the word `unix`."""
    path = tmp_path / "http"
    options = ("--user-header", "X-Remote-User", "--trusted-proxy", "unix", "--store", tmp_path / "store")
    asked = ["curl", "-s", "--unix-socket", str(path), "-o", "/dev/null", "-w", "%{http_code}"]

    def status(*headers: str) -> str:
        given = [part for header in headers for part in ("-H", header)]
        done = subprocess.run([*asked, *given, "http://localhost/runs"], capture_output=True, check=False)
        return done.stdout.decode()

    with cli_begun("serve", "--unix", path, *options) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert status("X-Remote-User: ana") == "200"
        assert status() == "401"


Token = Callable[..., dict[str, str]]
ANA = {"Authorization": "Basic YW5hOnNlY3JldA=="}
LOGIN = """
access_log off;
server {{
  listen 127.0.0.1:{port};
  auth_basic "runs";
  auth_basic_user_file {folder}/users;
  location / {{
    proxy_pass http://127.0.0.1:{behind};
    proxy_set_header Host $http_host;
    proxy_set_header Authorization "";
    proxy_set_header X-Remote-User $remote_user;
    proxy_set_header X-Forwarded-For $remote_addr;
  }}
}}
"""


def test_behind_nginx(server: Server, store: Store, tmp_path: Path):
    """With a login of nginx a user is who that says, though the client sends the header of another."""
    port = free_port()
    (tmp_path / "users").write_text("ana:{PLAIN}secret\n")
    config = LOGIN.format(folder=tmp_path, port=port, behind=server.port)
    with running(nginx(tmp_path, config), port):
        front = Server(server.process, f"http://127.0.0.1:{port}/")
        assert front.ask("GET", "/runs", by("ben")).status == 401
        answer = front.ask("POST", "/runs", ANA | by("ben"), {"name": "backup"})
        assert answer.status == 201, answer.body
        assert front.ask("POST", "/runs", ANA | by("ben"), {"name": "deploy"}).status == 403

    assert store.get(json.loads(answer.body)["id"]).started_by == Who("proxy user", "ana")


def login_conf(folder: Path, port: int, behind: int) -> str:
    """Return examples/proxies/nginx-login.conf for these ports, with the password of ana."""
    (folder / "users").write_text("ana:{PLAIN}secret\n")
    text = (EXAMPLES / "proxies" / "nginx-login.conf").read_text()
    for ours, theirs in (
        ("127.0.0.1:8080", f"127.0.0.1:{port}"),
        ("http://unix:/run/runcast/http", f"http://127.0.0.1:{behind}"),
        ("/etc/nginx/users", f"{folder}/users"),
    ):
        assert ours in text
        text = text.replace(ours, theirs)
    return text


def test_login_for_people_alone(server: Server, store: Store, token: Token, name: str, tmp_path: Path):
    """By the example people log in at nginx, and programs come through to the server by a token of theirs."""
    port, own = free_port(), token("read", "start:deploy")
    with running(nginx(tmp_path, login_conf(tmp_path, port, server.port)), port):
        front = Server(server.process, f"http://127.0.0.1:{port}/")
        assert front.ask("GET", "/runs").status == 401
        assert front.ask("GET", "/runs", bearer("x" * 20) | by("ana")).status == 401
        by_login = front.ask("POST", "/runs", ANA | by("ben"), {"name": "backup"})
        by_token = front.ask("POST", "/runs", own, {"name": "deploy"})
        assert front.ask("POST", "/runs", own, {"name": "backup"}).status == 403

    found = [store.get(json.loads(reply.body)["id"]).started_by for reply in (by_login, by_token)]
    assert found == [Who("proxy user", "ana"), Who("scoped token", name)]


def test_nobody_is_who_they_claim(tmp_path: Path):
    """Where nginx asks for no password it names nobody, whatever a client claims; the rest stays shut."""
    seen: list[str | None] = []

    class Behind(http.server.BaseHTTPRequestHandler):
        """Notes whom nginx names."""

        def do_GET(self) -> None:
            """Answer any request."""
            seen.append(self.headers["X-Remote-User"])
            self.send_response(204)
            self.end_headers()

    port, wrong = free_port(), {"Authorization": "Basic YW5hOndyb25n"}
    with http.server.HTTPServer(("127.0.0.1", 0), Behind) as behind:
        threading.Thread(target=behind.serve_forever, daemon=True).start()
        with (
            running(nginx(tmp_path, login_conf(tmp_path, port, behind.server_port)), port),
            contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as front,
        ):

            def status(path: str, headers: dict[str, str]) -> int:
                front.request("GET", path, headers=headers)
                with front.getresponse() as reply:
                    reply.read()
                    return reply.status

            assert status("/hooks/deploy", wrong | by("ana")) == 204
            assert status("/runs", bearer("x") | by("ana")) == 204
            assert status("/runs", ANA | by("ben")) == 204
            for path in ("/runs", "/hooks/../runs", "/hooks/%2e%2e/runs", "/hooks", "//runs/hooks/"):
                assert status(path, wrong | by("ana")) == 401
        behind.shutdown()

    assert seen == [None, None, "ana"]


# Scoped tokens


def test_token_does_what_it_may(server: Server, store: Store, token: Token, name: str):
    """A program starts and appends by its token, and each use is in the audit, also of what it reads."""
    own = token("start:backup", "read:backup", "create:builds/*", "append:builds/*")
    run_id = json.loads(server.ask("POST", "/runs", own, {"name": "backup"}).body)["id"]
    for _ in range(3):
        assert server.ask("GET", f"/runs/{run_id}", own).status == 200
    text = {"Content-Type": "text/plain"}
    for method, stream in (("PUT", "builds/1"), ("POST", "builds/1"), ("POST", "builds/1")):
        with server.open(method, f"/v1/stream/{stream}", own | text, b"x") as reply:
            assert reply.status in (201, 204)
    with server.open("POST", "/v1/stream/other", own | text, b"x") as reply:
        assert reply.status == 403
    assert server.ask("GET", "/runs", own).status == 403
    assert server.ask("GET", "/metrics", own).status == 403

    assert store.get(run_id).started_by == Who("scoped token", name)
    assert [line[1:] for line in audit(store) if line[0] == "scoped token"] == [
        (name, "start", "backup", "done"),
        (name, "read", "backup", "done"),
        (name, "create", "builds/1", "done"),
        (name, "append", "builds/1", "done"),
        (name, "append", "other", "NotAllowed"),
        (name, "list", None, "NotAllowed"),
        (name, "metrics", None, "NotAllowed"),
    ]


def test_metrics_alone(server: Server, store: Store, token: Token, name: str):
    """What observes the server needs to see nothing else."""
    own = token("metrics")
    assert server.ask("GET", "/metrics", own).status == 200
    assert server.ask("GET", "/runs", own).status == 403
    assert ("scoped token", name, "metrics", None, "done") in audit(store)


def begun(store: Store) -> Run:
    """Return a run that has printed something, and goes on."""
    run = store.start(["sh", "-c", "echo begun; exec sleep 600"])
    wait_until(lambda: run.tail_offset)
    return run


@contextlib.contextmanager
def cut(server: Server, path: str, own: dict[str, str]) -> Iterator[None]:
    """Open a live reply, have its rights end in the block, and read to where the server cuts it."""
    with server.open("GET", path, own) as response:
        assert response.status == 200
        assert response.read1(1) != b""
        yield
        with contextlib.suppress(http.client.HTTPException, ConnectionError, ValueError):
            while response.read1():
                pass  # else this would last as long as the run


FORMS = ["/runs/ID/log", "/runs/ID/log?format=sse", "/v1/stream/runs/ID?live=sse&offset=-1", "/runs"]


@pytest.mark.parametrize("form", FORMS)
def test_live_replies_end_with_the_token(server: Server, store: Store, token: Token, name: str, form: str):
    """What is sent to a program is cut when its token is revoked, without a restart."""
    own, run = token("read"), begun(store)
    accept = {"Accept": "text/event-stream"} if form == "/runs" else {}
    with cut(server, form.replace("ID", run.id), own | accept):
        TokenFiles(store.path).revoke(name)

    assert run.outcome is None
    assert server.ask("GET", "/runs", own).status == 401


def test_live_replies_end_with_the_time(server: Server, store: Store, token: Token):
    """And when its time is over."""
    run = begun(store)
    own = token("read", seconds=1)
    with cut(server, f"/runs/{run.id}/log", own):
        pass

    answer = server.ask("GET", "/runs", own)
    assert (answer.status, json.loads(answer.body)["error"]) == (401, "ExpiredToken")


def test_websocket_ends_with_the_token(server: Server, store: Store, token: Token, name: str):
    """A WebSocket is closed, and what it asks for in between is refused."""
    own, run = token("read", "stop"), begun(store)
    url = f"ws://{server.host}:{server.port}/runs/{run.id}/log"
    with connect(url, additional_headers=own, open_timeout=LONG) as socket:
        TokenFiles(store.path).revoke(name)
        with contextlib.suppress(ConnectionClosed):
            socket.send(json.dumps({"stop": {"grace": 0}}))
            while socket.recv(LONG):
                pass

    assert run.outcome is None


def test_poll_ends_with_the_token(server: Server, store: Store, token: Token, name: str):
    """A poll that was waiting gives nothing of what came after the token had ended."""
    own = token("read") | {"Content-Type": "text/plain"}
    write = server.bearer | {"Content-Type": "text/plain"}
    with server.open("PUT", "/v1/stream/polled", write, b"x"):
        pass
    connection = http.client.HTTPConnection(server.host, server.port, timeout=LONG)
    connection.request("GET", "/v1/stream/polled?live=long-poll&offset=now", headers=own)
    TokenFiles(store.path).revoke(name)
    with server.open("POST", "/v1/stream/polled", write, b"secret") as reply:
        assert reply.status == 204
    with contextlib.closing(connection), connection.getresponse() as answer:
        assert answer.status in (401, 403)
        assert b"secret" not in answer.read()
    with server.open("DELETE", "/v1/stream/polled", write):
        pass


def test_repeats_of_an_append_end_with_the_token(server: Server, store: Store, token: Token, name: str):
    """On one connection the next append is refused, however alike it is to the one before."""
    own = token("create:x", "append:x", "delete:x") | {"Content-Type": "text/plain"}
    with server.open("PUT", "/v1/stream/x", own, b"") as reply:
        assert reply.status == 201
    connection = http.client.HTTPConnection(server.host, server.port, timeout=LONG)
    statuses = []
    for number in range(6):
        if number == 3:
            TokenFiles(store.path).revoke(name)
        connection.request("POST", "/v1/stream/x", b"x", own)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()

    assert statuses[:3] == [204] * 3
    assert set(statuses[3:]) <= {401, 403}
    with server.open("DELETE", "/v1/stream/x", server.bearer):
        pass


def test_by_the_command_line(server: Server, store: Store):
    """`runcast token` makes a token, which the command line takes as any other; revoked, it opens nothing."""
    made = cli("token", "add", "ci", "--may", "read", "--may", "start:deploy", "--expires", "1h")
    own = made.out.decode().strip()
    assert "this is the only time" in made.err
    assert own not in made.err
    variables = os.environ | {"RUNCAST_TOKEN": own}
    run = ("run", "--server", f"http://{server.host}:{server.port}", "--")
    done = cli(*run, "deploy", env=variables)
    assert (done.code, done.out) == (0, b"deployed\n")

    listed = cli("token", "list").out.decode()
    assert re.fullmatch(r"ci  until \S+ \S+ \S+  read, start:deploy\n", listed)
    assert cli("token", "revoke", "ci").code == 0
    assert cli(*run, "deploy", env=variables).code != 0


def test_start_alone_by_the_command_line(server: Server, store: Store):
    """Who may start one command, and list none, starts it by its name; what it may not is refused by name."""
    made = cli("token", "add", "deployer", "--may", "start:deploy", "--may", "read:deploy", "--expires", "1h")
    variables = os.environ | {"RUNCAST_TOKEN": made.out.decode().strip()}
    run = ("run", "--server", f"http://{server.host}:{server.port}", "--")
    done = cli(*run, "deploy", env=variables)
    assert (done.code, done.out) == (0, b"deployed\n"), done.err

    assert "may start 'backup'" in cli(*run, "backup", env=variables).err
    assert "start:deploy" in cli(*run, "deploy", "now", env=variables).err
    assert [run.name for run in store.list()] == ["deploy"]


# What cannot be served


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--user-header", "X-Remote-User"], "expected --trusted-proxy beside the header X-Remote-User"),
        (["--user-header", "Cookie"], "expected a header that the proxy sets for this alone"),
        (["--trusted-proxy", "proxy.example"], "expected a proxy as an address, a network or unix"),
        (
            ["--no-auth", "--user-header", "X-Remote-User", "--trusted-proxy", "10.0.0.5"],
            "expected --user-header or --no-auth, got both",
        ),
    ],
)
def test_what_is_no_server(
    arguments: list[str], said: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
):
    """Options that would let in the wrong ones, or nobody, are refused."""
    assert main(["--store", str(tmp_path / "store"), "serve", "--port", "0", *arguments]) == 2
    assert said in capfd.readouterr().err


def test_roles_without_a_header(capfd: pytest.CaptureFixture[str], tmp_path: Path):
    """Roles whom nobody could have are refused: their users would seem to be kept out of something."""
    path = tmp_path / "server.toml"
    path.write_text('[roles.dev]\nusers = ["ana"]\nmay = ["read"]\n')
    assert main(["--store", str(tmp_path / "store"), "serve", "--port", "0", "--config", str(path)]) == 2
    assert "expected --user-header beside [roles], got none" in capfd.readouterr().err


def test_token_of_a_program_is_not_the_servers(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A server does not take the token of a program for its own, which would open everything to it."""
    own = TokenFiles(str(tmp_path / "store")).add("ci", ["read"], None)
    monkeypatch.setenv("RUNCAST_TOKEN", own)
    assert main(["--store", str(tmp_path / "store"), "serve", "--port", "0"]) == 2
    said = capfd.readouterr().err
    assert "got one of a program" in said
    assert own not in said

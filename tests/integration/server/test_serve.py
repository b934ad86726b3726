"""`runcast serve` as its users have it: its first line, its end, its token, its refusals."""

import contextlib
import functools
import http.client
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.sync.client import connect

from runcast import Store
from runcast.store.servers import servers
from tests.helpers.cli import LONG, RUNCAST, cli_begun
from tests.helpers.wait import wait_until

FOREVER = ["sh", "-c", "echo begun; exec sleep 600"]

pytestmark = pytest.mark.slow


class Answer(NamedTuple):
    """A whole reply."""

    status: int
    headers: dict[str, str]
    body: bytes


class Server(NamedTuple):
    """A running server, with the values from its first line."""

    process: subprocess.Popen[bytes]
    url: str

    @property
    def host(self) -> str:
        return str(urlsplit(self.url).hostname)

    @property
    def port(self) -> int:
        return int(urlsplit(self.url).port or 80)

    @property
    def token(self) -> str:
        return parse_qs(urlsplit(self.url).query).get("token", [""])[0]

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @contextlib.contextmanager
    def open(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Give a reply whose body goes on."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=LONG)
        connection.request(method, path, body, headers or {})
        with contextlib.closing(connection), connection.getresponse() as response:
            yield response

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: Any = None) -> Answer:
        """Return a reply, whole; a `body` is sent as JSON."""
        headers = dict(headers or {})
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        with self.open(method, path, headers, data) as response:
            return Answer(response.status, dict(response.getheaders()), response.read())

    def start(self, command: list[str]) -> str:
        """Start a run; return its id."""
        answer = self.ask("POST", "/runs", self.bearer, {"command": command})
        assert answer.status == 201, answer.body
        return str(json.loads(answer.body)["id"])

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(LONG)


@contextlib.contextmanager
def serving(*arguments: object, **options: Any) -> Iterator[Server]:
    """Give a server on a free port; it is gone at the end of the block."""
    with cli_begun("serve", "--port", 0, *arguments, **options) as process:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        assert line.endswith("\n"), process.communicate()[1].decode()
        yield Server(process, line.rstrip("\n"))


@pytest.fixture(name="server")
def server_fixture(store: Store) -> Iterator[Server]:
    """A server that starts anything, in the test's own store."""
    with serving("--allow-any-command") as server:
        yield server


# The first line


def test_first_line(server: Server, store: Store):
    """The first line on stdout is the URL with its token, and it leads to the list of runs."""
    assert re.fullmatch(r"http://127\.0\.0\.1:[1-9][0-9]*/\?token=[A-Za-z0-9_-]{32}", server.url)

    token_url = server.ask("GET", f"/?token={server.token}")
    assert (token_url.status, token_url.headers["location"]) == (303, "/")
    cookie = {"Cookie": token_url.headers["set-cookie"].partition(";")[0]}
    home = server.ask("GET", "/", cookie)
    assert (home.status, home.headers["location"]) == (303, "/runs")
    assert json.loads(server.ask("GET", "/runs", cookie).body)["runs"] == []


def test_only_line(store: Store):
    """On loopback it is the only line, and the log is on stderr."""
    with serving() as server:
        assert server.end() == 0
        out, err = server.process.communicate()

    assert out == b""
    assert b"nothing can be started from the web" in err


def test_nobody_reads_the_first_line(store: Store):
    """A server whose first line nobody reads serves all the same."""
    reading, writing = os.pipe()
    os.close(reading)
    with cli_begun("serve", "--port", 0, "--token", "t" * 20, stdout=writing) as process:
        os.close(writing)
        [url] = wait_until(lambda: servers(store.path), what="the server", timeout=LONG)
        answer = Server(process, f"{url}?token={'t' * 20}").ask("GET", "/healthz")

    assert (answer.status, answer.body) == (200, b"ok\n")


@pytest.mark.parametrize("options", [(), ("--no-auth",), ("--host", "0.0.0.0"), ("--allow-any-command",)])
def test_first_of_all(store: Store, options: tuple[str, ...]):
    """At a terminal, too, nothing is written before the URL, which stands alone on its line."""
    with serving(*options, stderr=subprocess.STDOUT) as server:
        assert server.process.stdout is not None
        assert re.fullmatch(r"http://127\.0\.0\.1:[1-9][0-9]*/(\?token=[A-Za-z0-9_-]{32})?", server.url)
        while b"serving the runs of" not in server.process.stdout.readline():
            pass


def test_every_address(store: Store):
    """On every address the machine's names are printed, each with the token, and are allowed as Host."""
    with serving("--host", "0.0.0.0") as server:
        assert server.process.stdout is not None
        urls = [server.url]
        while not urls[-1].startswith("http://[::1]:"):
            urls.append(server.process.stdout.readline().decode().rstrip("\n"))
        hosts = [urlsplit(url).netloc for url in urls]
        statuses = [server.ask("GET", "/runs", {**server.bearer, "Host": host}).status for host in hosts]
        foreign = server.ask("GET", "/runs", {**server.bearer, "Host": f"evil.example:{server.port}"})

    assert server.host == "127.0.0.1"
    assert f"{socket.gethostname().lower()}:{server.port}" in hosts
    assert {parse_qs(urlsplit(url).query)["token"][0] for url in urls} == {server.token}
    assert statuses == [200] * len(hosts)
    assert foreign.status == 421
    assert "--allow-host" in json.loads(foreign.body)["detail"]


def test_allowed_host(store: Store):
    """`--allow-host` adds a name; other names are refused as before."""
    with serving("--allow-host", "Build.Example", "--allow-host", "fd00::7") as server:
        statuses = [
            server.ask("GET", "/runs", {**server.bearer, "Host": host}).status
            for host in ("build.example", "build.example:443", "[fd00::7]:80", "localhost", "evil.example")
        ]

    assert statuses == [200, 200, 200, 200, 421]


@pytest.mark.root  # containers may have no IPv6
def test_ipv6(store: Store):
    """An IPv6 address stands in brackets."""
    with serving("--host", "::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert server.ask("GET", "/runs", server.bearer).status == 200


# The token


def test_token_is_kept(store: Store):
    """A restart keeps the token, for the user alone: open pages and links go on working."""
    with serving() as first:
        cookie = first.ask("GET", f"/?token={first.token}").headers["set-cookie"].partition(";")[0]
        assert first.end() == 0
    with serving() as second:
        answer = second.ask("GET", "/runs", {"Cookie": cookie})

    assert second.token == first.token
    assert answer.status == 200
    assert stat.S_IMODE(os.stat(f"{store.path}/.token").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(store.path).st_mode) == 0o700


@pytest.mark.parametrize("how", ["option", "variable"])
def test_chosen_token(store: Store, how: str):
    """A chosen token counts instead of the kept one, and is kept nowhere."""
    token = "chosen-by-somebody+/="
    given = {"env": {**os.environ, "RUNCAST_TOKEN": token}} if how == "variable" else {}

    with serving(*(["--token", token] if how == "option" else []), **given) as server:
        assert server.token == token
        assert server.ask("GET", "/runs", {"Authorization": f"Bearer {token}"}).status == 200
        assert server.ask("GET", "/runs", {"Authorization": f"Bearer {token}x"}).status == 401

    assert not os.path.exists(f"{store.path}/.token")


def test_runs_do_not_inherit_the_token(store: Store):
    """The variable with the token is not in the environment of what the server starts."""
    with serving("--allow-any-command", env={**os.environ, "RUNCAST_TOKEN": "t" * 20}) as server:
        run = store.get(server.start(["env"]))
        output = run.output(timeout=LONG)

    assert "RUNCAST_RUN_ID=" in output
    assert "RUNCAST_TOKEN" not in output
    assert "t" * 20 not in output


def test_token_stays_out_of_the_log(store: Store):
    """The log has neither the token nor what else a client sent instead of it."""
    with serving("--access-log") as server:
        cookie = server.ask("GET", f"/runs?token={server.token}&tail=1").headers["set-cookie"]
        server.ask("GET", "/runs", {"Cookie": cookie.partition(";")[0], "Referer": server.url})
        server.ask("GET", "/runs", {"Authorization": "Bearer a-wrong-guess"})
        server.ask("POST", f"/runs?token={server.token}", body={})
        server.ask("GET", f"/runs/{server.token}?a={server.token.replace('-', '%2d')}", server.bearer)
        server.end()
        err = server.process.communicate()[1].decode()

    assert "GET '/runs?token=***&tail=1' 303" in err
    assert "a wrong token from '127.0.0.1'" in err
    assert server.token not in err
    assert cookie.partition("=")[2].partition(";")[0] not in err
    assert "a-wrong-guess" not in err


@pytest.mark.parametrize("by_file", [False, True])
def test_no_cookie(by_file: bool, store: Store, tmp_path: Path):
    """`--cookie off`, or the file: a browser gets no cookie, and each request has the token."""
    (tmp_path / "s.toml").write_text('cookie = "off"')
    with serving(*(("--config", tmp_path / "s.toml") if by_file else ("--cookie", "off"))) as server:
        page = server.ask("GET", f"/runs?token={server.token}", {"Accept": "text/html"})
        assert page.status == 403
        assert "set-cookie" not in page.headers
        assert b"This server sets no cookie" in page.body
        once = server.ask("GET", f"/runs?token={server.token}")
        assert (once.status, json.loads(once.body)["runs"]) == (200, [])
        assert "set-cookie" not in once.headers
        assert server.ask("GET", "/runs").status == 401
        assert server.ask("GET", "/runs", server.bearer).status == 200


def test_no_auth(store: Store):
    """Without authentication the URL has no token, a warning is logged, and foreign pages stay outside."""
    with serving("--no-auth", "--allow-any-command") as server:
        assert "token" not in server.url
        statuses = [
            server.ask("GET", "/runs").status,
            server.ask("POST", "/runs", body={"command": ["true"]}).status,
            server.ask("POST", "/runs", {"Origin": "https://evil.example"}, {"command": ["true"]}).status,
            server.ask("GET", "/runs", {"Host": "evil.example"}).status,
        ]
        server.end()
        err = server.process.communicate()[1].decode()

    assert statuses == [200, 201, 403, 421]
    assert "without a token" in err


# The register


def test_registered_while_it_serves(store: Store):
    """The registry lists the server, without its token, for starts in the same store until it ends."""
    with serving() as server:
        listed = servers(store.path)
        server.end()

    assert listed == [f"http://127.0.0.1:{server.port}/"]
    assert servers(store.path) == []


# The end


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name
)
def test_ends_by_a_signal(store: Store, number: int):
    """To be stopped is no failure: a signal ends it with 0, and nothing is left behind."""
    with serving() as server:
        assert server.end(number) == 0
        assert b"Traceback" not in server.process.communicate()[1]

    assert os.listdir(f"{store.path}/.servers") == []
    with pytest.raises(ConnectionRefusedError):
        server.ask("GET", "/healthz")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_end_says_what_goes_on(store: Store, number: int):
    """The end of a server names the commands that go on, and how to stop one; no finished ones."""
    store.start(["true"]).wait()
    names = ["first", "second", "third", "fourth"]
    runs = [store.start(["sleep", "600"], name=name) for name in names]
    with serving() as server:
        assert server.end(number) == 0
        reply_text = server.process.communicate()[1].decode()

    named = ", ".join(f"{run.id} ({run.name})" for run in runs[:0:-1])
    assert f"4 runs go on: {named} and 1 more (`runcast ls`): `runcast stop ID` ends one" in reply_text
    assert reply_text.count("go on") == 1


def test_nohup(store: Store):
    """A server that was started to ignore the end of its terminal goes on."""
    command = ["nohup", RUNCAST, "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        server = Server(process, process.stdout.readline().decode().strip())
        process.send_signal(signal.SIGHUP)
        try:
            assert server.ask("GET", "/healthz").status == 200
        finally:
            assert server.end() == 0


@pytest.mark.fault
def test_ends_with_streams_open(server: Server, store: Store):
    """SIGTERM ends it with live replies open: they end and say to come back, and the run goes on."""
    run_id = server.start(FOREVER)
    accepts = ("text/event-stream", "text/plain", "application/x-ndjson", "application/json")
    with contextlib.ExitStack() as stack:
        path = f"/runs/{run_id}/log?offset=now"
        replies = [
            stack.enter_context(server.open("GET", path, {**server.bearer, "Accept": accept}))
            for accept in accepts
            for _ in range(5)
        ]
        url = f"ws://127.0.0.1:{server.port}{path}"
        sockets = [
            stack.enter_context(connect(url, additional_headers=server.bearer, open_timeout=LONG))
            for _ in range(5)
        ]
        assert {reply.status for reply in replies} == {200}
        assert {json.loads(one.recv(LONG))["event"] for one in sockets} == {"run"}

        assert server.end() == 0
        assert b" ERROR " not in server.process.communicate()[1]  # the cut of a text is meant
        ends = [_rest(reply) for reply in replies]
        for one in sockets:
            assert any('"restart"' in message for message in one)

    assert sum(b"event: restart" in end for end in ends) == 5
    assert {one.close_code for one in sockets} <= {1000, 1001}
    assert store.get(run_id).outcome is None


def test_removed_while_it_is_followed(server: Server, store: Store):
    """A text whose run is removed ends in the middle, so that nobody takes it for whole; no log is filled."""
    run_id = server.start(FOREVER)
    with server.open("GET", f"/runs/{run_id}/log", {**server.bearer, "Accept": "text/plain"}) as reply:
        shutil.rmtree(f"{store.path}/{run_id}")
        with pytest.raises(http.client.IncompleteRead):
            reply.read()

    assert server.end() == 0
    assert b" ERROR " not in server.process.communicate()[1]


def _rest(reply: http.client.HTTPResponse) -> bytes:
    try:
        return reply.read()
    except http.client.IncompleteRead as error:
        return error.partial


@pytest.mark.fault
def test_ends_with_a_client_that_does_not_read(server: Server, store: Store):
    """A client that reads nothing of a long output cannot keep the server from ending."""
    size = 30_000_000  # more than sockets and servers buffer
    run_id = server.start(["sh", "-c", f"head -c {size} /dev/zero; exec sleep 600"])
    log = store.get(run_id).log()
    wait_until(lambda: log.tail_offset == size, timeout=LONG, what="the output")
    head = [f"GET /runs/{run_id}/log HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {server.token}"]
    with socket.create_connection((server.host, server.port), LONG) as client:
        client.sendall("\r\n".join([*head, "", ""]).encode())
        assert client.recv(12) == b"HTTP/1.1 200"

        assert server.end() == 0


@pytest.mark.fault
def test_killed_and_restarted(store: Store, tmp_path: Path):
    """After `kill -9` the next server shows the run of the first, which went on meanwhile, whole."""
    script = f"echo one; until [ -e {tmp_path}/go ]; do sleep 0.01; done; echo two; exit 3"
    with serving("--allow-any-command") as first:
        run_id = first.start(["sh", "-c", script])
        wait_until(lambda: store.get(run_id).log().tail_offset, what="its first line")
        first.process.kill()
        first.process.wait()
        assert servers(store.path) == []
    with serving() as second:
        (tmp_path / "go").touch()
        log = second.ask("GET", f"/runs/{run_id}/log", second.bearer)
        run = json.loads(second.ask("GET", f"/runs/{run_id}", second.bearer).body)

    assert (log.status, log.body) == (200, b"one\ntwo\n")
    assert run["outcome"]["code"] == 3


# What is refused


@pytest.fixture(name="refused")
def refused_fixture(serve_refused: Callable[..., str]) -> Callable[..., str]:
    """Return the message for options that are refused."""
    return functools.partial(serve_refused, "--port", 0)


def test_port_in_use(store: Store, refused: Callable[..., str]):
    """A port that is taken is an error of one sentence, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        reply_text = refused("--port", port)

    assert reply_text == (
        f"cannot listen on 127.0.0.1:{port}: something listens there already: "
        "use another --port, or 0 for any that is free"
    )


@pytest.mark.parametrize(
    ("arguments", "reply_text"),
    [
        (["--host", "0.0.0.0", "--no-auth"], "expected --no-auth with a loopback --host only, got 0.0.0.0: "),
        (["--host", "::", "--no-auth"], "expected --no-auth with a loopback --host only, got ::: "),
        (["--no-auth", "--token", "x"], "expected --token or --no-auth, got both: choose one of them"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1:0: this machine has no such address: "),
        (["--host", ""], "expected an address or a name of this machine as --host, got ''"),
        (["--host", "no such host"], "expected an address or a name of this machine as --host, got 'no such"),
        (["--token", ""], "expected --token as 16 to 256 letters, digits and -._~+/=, got 0 characters"),
        (["--token", "a b"], "expected --token as 16 to 256 letters, digits and -._~+/=, got 3 characters"),
        (
            ["--allow-host", "http://a"],
            "expected --allow-host as a name or an address without scheme and port",
        ),
        (["--allow-host", "a:80"], "expected --allow-host as a name or an address without scheme and port"),
        (["--allow-host", "*"], "expected --allow-host as a name or an address without scheme and port"),
        (["--config", "none.toml"], "cannot read none.toml: no such file or directory"),
        (["--store", "sqlite://x"], "expected a folder, file:FOLDER, memory:, redis://HOST"),
    ],
)
def test_refused(store: Store, refused: Callable[..., str], arguments: list[str], reply_text: str):
    """What has no meaning, or is not safe, is refused in one sentence before anything is served."""
    assert refused(*arguments).startswith(reply_text)


def test_refused_configuration(store: Store, refused: Callable[..., str], tmp_path: Path):
    """The message for a mistake in the configuration has its line and key."""
    path = tmp_path / "server.toml"
    path.write_text("[commands.a]\ncommandz = 'ls'\n")

    reply_text = refused("--config", path)

    assert reply_text.startswith(f"{path}, line 2, commands.a.commandz: expected command, title")
    assert reply_text.endswith("got 'commandz': did you mean command?")


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "msgspec", "prometheus_client"])
def test_missing_extra(
    store: Store, refused: Callable[..., str], package: str, monkeypatch: pytest.MonkeyPatch
):
    """Without the server's packages it says how to get them."""
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed

    assert refused() == (
        f"expected the server's packages, {package} is not installed: pip install 'runcast[server]'"
    )


# What may be started


def test_named_commands(store: Store, tmp_path: Path):
    """Only what the file names can be started, by its name; nothing of it can be changed from outside."""
    path = tmp_path / "server.toml"
    path.write_text("[commands.greet]\ncommand = ['echo', 'hello']\ntitle = 'Greet'\n")

    with serving("--config", path) as server:
        listed = json.loads(server.ask("GET", "/commands", server.bearer).body)
        named = server.ask("POST", "/runs", server.bearer, {"name": "greet"})
        unknown = server.ask("POST", "/runs", server.bearer, {"name": "great"})
        free = server.ask("POST", "/runs", server.bearer, {"command": ["id"]})
        both = server.ask("POST", "/runs", server.bearer, {"name": "greet", "command": ["id"]})
        output = store.get(json.loads(named.body)["id"]).output(timeout=LONG)

    assert [command["name"] for command in listed["commands"]] == ["greet"]
    assert listed["any"] is False
    assert (named.status, output) == (201, "hello\n")
    assert unknown.status == 404
    assert "did you mean 'greet'" in json.loads(unknown.body)["detail"]
    assert free.status == 403
    assert both.status == 400
    assert len(list(store.list())) == 1

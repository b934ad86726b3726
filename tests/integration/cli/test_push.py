"""`runcast push` and `runcast follow URL`: from one machine to another, through restarts, each byte once."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Store
from runcast.client.pull import pull_stream
from runcast.client.push import Pusher
from runcast.client.remote_stream import RemoteStream
from tests.helpers.cli import LONG, cli, cli_begun
from tests.helpers.proxy import Proxy
from tests.helpers.servers import Server
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def server(store: Store, own_store: Path, serving: Callable[[str, Path], Server]) -> Server:
    """Serve the test's store."""
    return serving("uvicorn", own_store)


def got(server: Server, name: str = "s") -> bytes:
    """Return what is in a stream now."""
    return server.ask("GET", f"/v1/stream/{name}?offset=-1")[2]


def test_stdin(server: Server) -> None:
    """What comes on stdin is in the stream, which is closed at its end; the link leads to a page."""
    done = cli("push", f"{server.root}/v1/stream/a/b", input=b"one\n\xff\x00two")

    assert (done.code, done.out) == (0, b"")
    status, told, body = server.ask("GET", "/v1/stream/a/b?offset=-1")
    assert (status, body, told["stream-closed"]) == (200, b"one\n\xff\x00two", "true")
    link = done.err.removeprefix(f"runcast: watch it at {server.root}").strip()
    assert server.ask("GET", f"{link}/log")[2] == body


def test_server_alone(server: Server) -> None:
    """A server's address alone has a new stream made there each time."""
    links = {cli("push", f"{server.root}/", input=b"x").err for _ in range(2)}

    assert len(links) == 2


def test_nothing(server: Server) -> None:
    """No input is an empty stream that is closed."""
    assert cli("push", f"{server.root}/v1/stream/s", input=b"").code == 0
    assert server.ask("HEAD", "/v1/stream/s")[1]["stream-closed"] == "true"


def test_command(server: Server) -> None:
    """With a command, its stdout and stderr go, and its exit code is ours; --tee shows them here, too."""
    done = cli(
        "push", "--tee", f"{server.root}/v1/stream/s", "--", "sh", "-c", "echo out; echo err >&2; exit 7"
    )

    assert (done.code, done.out) == (7, b"out\nerr\n")
    assert got(server) == b"out\nerr\n"


def test_command_that_cannot_be_started(server: Server) -> None:
    """No stream is made for a command that is not there, and the exit code is a shell's."""
    done = cli("push", f"{server.root}/v1/stream/s", "--", "no-such-program")
    folder = cli("push", f"{server.root}/v1/stream/s", "--", "/")

    assert done.code == 127
    assert "cannot start no-such-program" in done.err
    assert folder.code == 126
    assert "cannot start /: permission denied" in folder.err
    assert server.ask("HEAD", "/v1/stream/s")[0] == 404


def test_option_behind_the_address() -> None:
    """An option that stands where a command would is refused with its place; behind -- it is a command."""
    refused = cli("push", "http://127.0.0.1:9/v1/stream/s", "--tee", input=b"x")
    named = cli("push", "http://127.0.0.1:9/v1/stream/s", "--", "--tee", input=b"x")

    assert (refused.code, named.code) == (2, 127)
    assert "expected options before the address, got '--tee' behind" in refused.err
    assert "cannot start --tee" in named.err


def test_keep_open_and_go_on(server: Server) -> None:
    """A stream that is kept open takes the next push; a closed one is refused."""
    url = f"{server.root}/v1/stream/s"
    assert cli("push", "--keep-open", url, input=b"one ").code == 0
    assert cli("push", url, input=b"two").code == 0
    refused = cli("push", url, input=b"three")

    assert refused.code == 2
    assert "expected an open stream" in refused.err
    assert got(server) == b"one two"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://x/v1/stream/s", "expected the address of a stream"),
        ("http://user:pass@x/v1/stream/s", "expected the address of a stream"),
        ("{root}/nothing", "answers 404"),
    ],
)
def test_bad_address(server: Server, url: str, said: str) -> None:
    """An address that is none of a stream is told in one line."""
    done = cli("push", url.format(root=server.root), input=b"x")

    assert done.code == 2
    assert said in done.err


def test_through_restarts(server: Server, tmp_path: Path) -> None:
    """The server is killed twice while output comes: whoever follows gets each byte once, in order."""
    lines = [f"line {number} {'x' * 90}\n".encode() for number in range(20_000)]
    url = f"{server.root}/v1/stream/s"
    seen = tmp_path / "seen"
    with (
        cli_begun("push", url, stdin=subprocess.PIPE) as pusher,
        seen.open("wb") as out,
    ):
        assert pusher.stdin is not None
        wait_until(lambda: server.ask("HEAD", "/v1/stream/s")[0] == 200, timeout=LONG)
        with cli_begun("follow", url, stdout=out) as follower:
            for part in range(4):
                pusher.stdin.write(b"".join(lines[part * 5000 : (part + 1) * 5000]))
                if part in (1, 2):
                    wait_until(lambda: seen.stat().st_size > 0, timeout=LONG)
                    server.kill()
                    server.start()
            pusher.stdin.close()
            pusher.stdin = None
            assert pusher.wait(LONG) == 0
            assert follower.wait(LONG) == 0

    assert seen.read_bytes() == b"".join(lines)


def test_one_connection(server: Server) -> None:
    """However many requests there are, they go through one connection."""
    with (
        Proxy(server.port, lambda number: None) as proxy,
        RemoteStream(f"{proxy.url}v1/stream/s") as stream,
    ):
        pusher = Pusher(stream)
        pusher.create()
        pusher.create()  # it is there
        for _ in range(20):
            pusher.send(b"a line\n")
        pusher.send(b"", close=True)
        pull_stream(stream, lambda data: None)

        assert proxy.connections == 1


def test_kept_connections_that_end(server: Server) -> None:
    """A server that ends a kept connection under a request is no trouble: it may, at any time."""
    trouble: list[str] = []
    with (
        Proxy(server.port, lambda number: None, requests=lambda number: 2000) as proxy,
        RemoteStream(f"{proxy.url}v1/stream/s", trouble=trouble.append) as stream,
    ):
        pusher = Pusher(stream)
        pusher.create()
        for number in range(50):
            pusher.send(b"%07d\n" % number)

        assert proxy.cuts["requests"] > 3
        assert trouble == []
    assert got(server) == b"".join(b"%07d\n" % number for number in range(50))


@pytest.mark.parametrize("cut", ["request", "reply"])
def test_close_that_is_cut(server: Server, cut: str) -> None:
    """A closing append whose request or reply is cut is made again: all lines once, and a closed stream."""
    lines = b"".join(b"%07d\n" % number for number in range(20_000))
    limits = {number: 30_000 if cut == "request" else 10 * (number + 1) for number in range(3)}
    never = dict.fromkeys(limits)
    requests, replies = (limits, never) if cut == "request" else (never, limits)
    with (
        Proxy(server.port, replies.get, requests=requests.get) as proxy,
        RemoteStream(f"{server.root}/v1/stream/s") as uncut,
        RemoteStream(f"{proxy.url}v1/stream/s") as stream,
    ):
        Pusher(uncut).create()
        Pusher(stream).send(lines, close=True)
        assert sum(proxy.cuts.values()) == 3
    assert got(server) == lines
    assert server.ask("HEAD", "/v1/stream/s")[1]["stream-closed"] == "true"


def test_bounded_memory(server: Server) -> None:
    """While the server is away no more than a bound is read: whoever writes has to wait."""
    with cli_begun("push", f"{server.root}/v1/stream/s", stdin=subprocess.PIPE) as pusher:
        assert pusher.stdin is not None
        wait_until(lambda: server.ask("HEAD", "/v1/stream/s")[0] == 200, timeout=LONG)
        server.kill()
        os.set_blocking(pusher.stdin.fileno(), False)
        sent = 0
        stuck = 0

        def takes_no_more() -> bool:
            nonlocal stuck, sent
            written = os_write(pusher.stdin.fileno(), bytes(65536))  # type: ignore[union-attr]
            sent += written
            stuck = 0 if written else stuck + 1
            return stuck > 20

        wait_until(takes_no_more, timeout=LONG, what="a pipe that is full")
        assert sent < 3_000_000
        server.start()
        wait_until(lambda: os_write(pusher.stdin.fileno(), b"x") == 1, timeout=LONG)  # type: ignore[union-attr]


def os_write(fd: int, data: bytes) -> int:
    """Write what a pipe takes now."""
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0


def test_gives_up(server: Server) -> None:
    """A server that stays away for longer than the patience is told, with what has arrived."""
    server.kill()
    done = cli("push", "--patience", "200ms", f"{server.root}/v1/stream/s", input=b"x")

    assert done.code == 2
    assert "cannot reach" in done.err
    assert "0 bytes arrived" in done.err


def test_follow_a_run(server: Server, store: Store) -> None:
    """The address of a run's page leads to its output; --offset begins later."""
    run = store.start([sys.executable, "-c", "print('hello')"])
    run.wait()

    assert cli("follow", f"{server.root}/runs/{run.id}").out == b"hello\n"
    assert cli("follow", "--offset", "2", f"{server.root}/v1/stream/runs/{run.id}").out == b"llo\n"


def test_follow_messages(server: Server) -> None:
    """Messages of JSON are shown one a line, in their own words."""
    server.ask(
        "PUT", "/v1/stream/s", b'[{"a":1.0}, [2,\n3]]', Content_Type="application/json", Stream_Closed="true"
    )

    assert cli("follow", f"{server.root}/v1/stream/s").out == b'{"a":1.0}\n[2, 3]\n'


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{root}/v1/stream/none"], "404"),
        (["{root}/healthz"], "404"),
        (["--tail", "1", "{root}/v1/stream/s"], "expected no options but --offset, --safe"),
        (["--offset", "x", "{root}/v1/stream/s"], "400"),
    ],
)
def test_follow_what_cannot_be(server: Server, arguments: list[str], said: str) -> None:
    """What cannot be followed is told in one line."""
    server.ask("PUT", "/v1/stream/s", Content_Type="text/plain")
    done = cli("follow", *[argument.format(root=server.root) for argument in arguments])

    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_token(store: Store) -> None:
    """A server that asks for its token gets it from the address; a wrong one is told, and never shown."""
    with cli_begun("serve", "--port", "0", stderr=subprocess.DEVNULL) as serving:
        assert serving.stdout is not None
        url = serving.stdout.readline().decode().strip()
        root, _, token = url.partition("/?")
        named = f"{root}/v1/stream/s"
        done = cli("push", f"{named}?{token}", input=b"hello\n")
        assert (done.code, token.removeprefix("token=") in done.err) == (0, False)
        assert cli("follow", f"{named}?{token}").out == b"hello\n"
        for refused in (cli("follow", f"{named}?token=wrong"), cli("push", named, input=b"x")):
            assert refused.code == 2
            assert "expected to be let in" in refused.err
            assert "wrong" not in refused.err.replace("wrong one", "")


def test_token_of_the_environment(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token of the environment is used, so that none stands in `ps`; a refusal names the variable."""
    monkeypatch.setenv("RUNCAST_TOKEN", "t" * 20)
    with cli_begun("serve", "--port", 0) as process:
        assert process.stdout is not None
        address = process.stdout.readline().decode().partition("?")[0]
        sent = cli("push", address, input=b"one")
        monkeypatch.delenv("RUNCAST_TOKEN")
        refused = cli("push", address, input=b"two")

    assert sent.code == 0
    assert refused.code == 2
    assert "set RUNCAST_TOKEN" in refused.err

"""The caps of streams in `runcast serve`: by option, by file, and the errors beyond them."""

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from runcast import Store
from runcast.cli import main
from tests.helpers.cli import LONG, cli, cli_begun

TEXT = {"Content-Type": "text/plain"}

pytestmark = pytest.mark.slow


class Served(NamedTuple):
    """A server of the test's store."""

    root: str

    def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of one request."""
        connection = http.client.HTTPConnection(urlsplit(self.root).netloc, timeout=LONG)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            reply = connection.getresponse()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
        finally:
            connection.close()


@contextmanager
def serving(*arguments: object) -> Iterator[Served]:
    """Serve the test's store without a token."""
    with cli_begun("serve", "--port", 0, "--no-auth", *arguments) as process:
        assert process.stdout is not None
        yield Served(process.stdout.readline().decode().strip().rstrip("/"))


def by_option(tmp_path: Path) -> AbstractContextManager[Served]:
    """Serve with caps by option, which go before those of a file."""
    path = tmp_path / "s.toml"
    path.write_text("[streams]\ncap = 7\ntotal_cap = 7\n")
    return serving("--config", path, "--stream-cap", 1000, "--streams-cap", "none")


def by_file(tmp_path: Path) -> AbstractContextManager[Served]:
    """Serve with caps by file."""
    path = tmp_path / "s.toml"
    path.write_text("[streams]\ncap = 1000\n")
    return serving("--config", path)


@pytest.mark.parametrize("how", [by_option, by_file], ids=["option", "file"])
def test_one_stream(store: Store, tmp_path: Path, how: Callable[[Path], AbstractContextManager[Served]]):
    """An append beyond the cap is refused whole, with where the stream ends; what fits is taken."""
    with how(tmp_path) as server:
        assert server.ask("PUT", "/v1/stream/s", b"x" * 600, **TEXT)[0] == 201
        status, fields, body = server.ask("POST", "/v1/stream/s", b"y" * 401, **TEXT)
        problem = json.loads(body)

        assert (status, fields["stream-next-offset"]) == (507, f"{600:020}")
        assert (problem["error"], problem["status"]) == ("CapReached", 507)
        assert "at most 1000 bytes" in problem["detail"]
        assert "--stream-cap" in problem["detail"]
        assert server.ask("POST", "/v1/stream/s", b"y" * 400, **TEXT)[0] == 204
        assert server.ask("GET", "/v1/stream/s?offset=-1")[2] == b"x" * 600 + b"y" * 400
        assert server.ask("PUT", "/v1/stream/t", b"z" * 1001, **TEXT)[0] == 507
        assert server.ask("HEAD", "/v1/stream/t")[0] == 404
        fork = {"Stream-Forked-From": "/v1/stream/s"}
        assert server.ask("PUT", "/v1/stream/f", b"z" * 1000, **fork)[0] == 201
        assert server.ask("POST", "/v1/stream/f", b"z", **TEXT)[0] == 507
        assert server.ask("POST", "/v1/stream/s", Stream_Closed="true")[0] == 204


def test_all_streams(store: Store):
    """Streams that have enough together take no more until one is removed, from the command line too."""
    with serving("--streams-cap", "100K") as server:
        assert server.ask("PUT", "/v1/stream/a", b"x" * 90_000, **TEXT)[0] == 201
        assert server.ask("PUT", "/v1/stream/b", **TEXT)[0] == 201
        status, fields, body = server.ask("POST", "/v1/stream/b", b"y" * 20_000, **TEXT)
        problem = json.loads(body)

        assert (status, fields["stream-next-offset"]) == (507, f"{0:020}")
        assert problem["error"] == "StreamFull"
        assert "at most 102400 bytes in all streams together" in problem["detail"]
        assert server.ask("DELETE", "/v1/stream/a")[0] == 204
        assert server.ask("POST", "/v1/stream/b", b"y" * 20_000, **TEXT)[0] == 204


def test_push(store: Store):
    """`runcast push` beyond the cap ends at once with the reason, and what has arrived stays."""
    with serving("--stream-cap", "300K") as server:
        url = f"{server.root}/v1/stream/s"
        done = cli("push", url, input=b"x" * 500_000)

        assert done.code == 2
        assert "expected a stream of at most 307200 bytes" in done.err
        arrived = int(server.ask("HEAD", "/v1/stream/s")[1]["stream-next-offset"])
        assert f"{arrived} bytes arrived" in done.err
        assert 0 < arrived <= 307_200


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--stream-cap", "0"], "expected --stream-cap as more than 0 bytes, or none, got 0"),
        (["--streams-cap", "much"], "--streams-cap: expected a size such as 4096, 64M or 1G, or none, got"),
    ],
)
def test_refused(store: Store, capfd: pytest.CaptureFixture[str], arguments: list[str], expected: str):
    """An invalid cap is an error, and nothing is served."""
    assert main(["serve", "--port", "0", *arguments]) == 2
    assert expected in capfd.readouterr().err

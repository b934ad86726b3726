"""`runcast serve` and pages of other origins: those that are listed read with the token, and no more."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from runcast import Run, Store
from runcast.cli import main
from tests.helpers.cli import LONG
from tests.helpers.stores import keeper_of_a_secret
from tests.integration.server.test_serve import Server, serving

APP, FILED, OTHER = "https://app.example", "http://localhost:5173", "https://other.example"
CROSS = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}

pytestmark = pytest.mark.slow


@pytest.fixture(name="server")
def server_fixture(store: Store, tmp_path: Path) -> Iterator[Server]:
    """Serve the test's store for an origin by option and one by file; anything may be started."""
    path = tmp_path / "server.toml"
    path.write_text(f'allow_origins = ["{FILED}"]\n')
    with serving(
        "--allow-any-command", "--config", path, "--allow-origin", "HTTPS://app.example:443"
    ) as server:
        yield server


@pytest.fixture(name="run")
def run_fixture(store: Store) -> Run:
    """Give a run that has a secret, and goes on."""
    return keeper_of_a_secret(store)


@pytest.mark.parametrize("origin", [APP, FILED], ids=["option", "file"])
def test_read(server: Server, run: Run, origin: str):
    """A listed page reads with the token as bearer or in the URL; nothing is redirected, no cookie is set."""
    page = {"Origin": origin, **CROSS}
    log = f"/runs/{run.id}/log?format=text&follow=0"
    for path, headers in ((log, server.bearer), (f"{log}&token={server.token}", {})):
        status, fields, body = server.ask("GET", path, {**page, **headers})
        assert (status, body) == (200, b"secret\n")
        assert fields["access-control-allow-origin"] == origin
        assert "Origin" in fields["vary"]
        assert not {"set-cookie", "access-control-allow-credentials"} & fields.keys()
    _, fields, _ = server.ask("GET", f"/v1/stream/runs/{run.id}?offset=-1&token={server.token}", page)
    assert (fields["access-control-allow-origin"], fields["stream-next-offset"]) == (origin, f"{7:020}")
    with server.open(
        "GET", f"/runs/{run.id}/log?token={server.token}", {**page, "Accept": "text/event-stream"}
    ) as live:
        assert live.headers["Access-Control-Allow-Origin"] == origin
        assert live.read1()


def test_without_the_token(server: Server, run: Run):
    """Without the token, or with the cookie of a person, a listed page reads nothing but why."""
    opened = server.ask("GET", f"/runs?token={server.token}", {"Sec-Fetch-Mode": "navigate"})
    cookie = {"Cookie": opened.headers["set-cookie"].partition(";")[0]}
    page = {"Origin": APP, **CROSS}
    assert server.ask("GET", "/runs", cookie).status == 200

    for headers in (page, {**page, **cookie}, {**page, **cookie, "Sec-Fetch-Site": "same-site"}):
        status, fields, body = server.ask("GET", f"/runs/{run.id}/log", headers)
        assert (status, json.loads(body)["error"]) == (401, "NoToken")
        assert fields["access-control-allow-origin"] == APP


def test_preflight(server: Server):
    """A read is allowed before the token is sent; a change, another path and another page are not."""
    asked = {"Origin": APP, "Access-Control-Request-Headers": "authorization"}
    read = {**asked, "Access-Control-Request-Method": "GET"}

    status, fields, _ = server.ask("OPTIONS", "/runs", read)
    assert (status, fields["access-control-allow-origin"]) == (204, APP)
    assert fields["access-control-allow-methods"] == "GET, HEAD"
    for path, headers in (
        ("/runs", {**asked, "Access-Control-Request-Method": "POST"}),
        ("/v1/stream/s", {**asked, "Access-Control-Request-Method": "PUT"}),
        ("/metrics", read),
        ("/commands", read),
        ("/runs", {**read, "Origin": OTHER}),
    ):
        status, fields, _ = server.ask("OPTIONS", path, headers)
        assert (status, "access-control-allow-origin" in fields) == (401, False)


@pytest.mark.parametrize("origin", [APP, OTHER], ids=["listed", "unlisted"])
def test_nothing_changes(server: Server, store: Store, run: Run, origin: str):
    """No page of another origin starts, stops, writes or deletes, though it has the token."""
    page = {"Origin": origin, **CROSS, **server.bearer, "X-Runcast": "1"}
    for method, path in (
        ("POST", "/runs"),
        ("POST", f"/runs/{run.id}/stop"),
        ("POST", f"/runs/{run.id}/rerun"),
        ("POST", f"/runs/{run.id}/stdin"),
        ("DELETE", f"/runs/{run.id}"),
        ("PUT", "/v1/stream/s"),
    ):
        status, fields, _ = server.ask(method, path, page, {"command": ["true"]})
        assert (method, path, status) == (method, path, 403)
        assert "access-control-allow-origin" not in fields
    assert [one.id for one in store.list()] == [run.id]
    assert run.outcome is None


def test_unlisted_page(server: Server, run: Run):
    """A page that is not listed is refused as before, token or not."""
    page = {"Origin": OTHER, **CROSS}
    for headers, expected in ((page, 401), ({**page, **server.bearer}, 403)):
        status, fields, _ = server.ask("GET", f"/runs/{run.id}/log?token={server.token}", headers)
        assert (status, "access-control-allow-origin" in fields) == (expected, False)


def test_websocket(server: Server, run: Run):
    """A listed page follows by WebSocket with the token in the URL, and is not obeyed."""
    url = f"ws://127.0.0.1:{server.port}/runs/{run.id}/log"
    with connect(f"{url}?token={server.token}", origin=APP, open_timeout=LONG) as socket:  # type: ignore[arg-type]
        while '"text":"secret' not in str(socket.recv(LONG)):
            pass  # first comes what it is
        for ask in ({"stop": {"grace": 0}}, {"stdin": "x"}):
            socket.send(json.dumps(ask))
            assert json.loads(socket.recv(LONG)).get("error") == "NotAllowed"
    assert run.outcome is None
    for refused, origin in ((url, APP), (f"{url}?token={server.token}", OTHER)):
        with pytest.raises(InvalidStatus):
            connect(refused, origin=origin, open_timeout=LONG)  # type: ignore[arg-type]


def test_websocket_of_what_a_proxy_calls_its_own(server: Server, run: Run):
    """A listed page does not become the server's own by a header that says how a proxy is called."""
    url = f"ws://127.0.0.1:{server.port}/runs/{run.id}/log?token={server.token}"
    forwarded = {"X-Forwarded-Host": "app.example", "Sec-Fetch-Site": "same-origin"}
    with connect(url, origin=APP, additional_headers=forwarded, open_timeout=LONG) as socket:  # type: ignore[arg-type]
        socket.send(json.dumps({"stop": {"grace": 0}}))
        while json.loads(answer := str(socket.recv(LONG))).get("event") != "error":
            pass
        assert json.loads(answer)["error"] == "NotAllowed"
    assert run.outcome is None


def test_no_token_wanted(store: Store, run: Run):
    """Without a token (--no-auth) a listed page reads at once, another one as little as before."""
    with serving("--no-auth", "--allow-origin", APP) as server:
        assert (
            server.ask("GET", "/runs", {"Origin": APP, **CROSS}).headers["access-control-allow-origin"] == APP
        )
        assert server.ask("GET", "/runs", {"Origin": OTHER, **CROSS}).status == 403
        immutable = server.ask("GET", f"/v1/stream/runs/{run.id}?offset=-1").headers
        assert "public" in immutable["cache-control"]
        assert "Origin" in immutable["vary"]


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("*", "got '*': any page at all could read then, so name those that may"),
        ("null", "got 'null': files and sandboxed pages say so, whosever they are"),
        ("app.example", "got 'app.example': did you mean https://app.example?"),
        ("https://app.example/", "got 'https://app.example/': did you mean https://app.example?"),
    ],
)
def test_refused(store: Store, capfd: pytest.CaptureFixture[str], origin: str, expected: str):
    """An invalid origin is an error of one sentence, and nothing is served."""
    assert main(["serve", "--port", "0", "--allow-origin", origin]) == 2
    error = capfd.readouterr().err
    assert "--allow-origin: expected an origin such as https://app.example or http://localhost:5173" in error
    assert expected in error

"""Commands with parameters, started from the command line, from a client and over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from runcast import Store
from runcast.client import Client
from runcast.errors import UsageError
from tests.helpers.cli import cli
from tests.integration.server.test_serve import Server, serving

pytestmark = pytest.mark.slow

FILE = """
[commands.show]
command = ["printf", "%s|", "{count}", "{force}", "--", "{target}"]
[commands.show.params.target]
title = "Where to"
[commands.show.params.count]
type = "int"
min = 1
default = 3
[commands.show.params.force]
type = "flag"
option = "--force"
[commands.login]
command = ["sh", "-c", "echo as $1", "sh", "{password}"]
[commands.login.params.password]
type = "secret"
"""


@pytest.fixture(name="server", scope="module")
def server_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve a command with parameters."""
    folder = tmp_path_factory.mktemp("params")
    (folder / "server.toml").write_text(FILE)
    with serving("--config", folder / "server.toml", "--store", folder / "store") as server:
        yield server


@pytest.fixture(name="client")
def client_fixture(server: Server) -> Iterator[Client]:
    """Give a client of that server."""
    with Client(server.url) as client:
        yield client


def post(server: Server, path: str, body: object) -> httpx.Response:
    """Return the answer to a POST of JSON."""
    bearer = {"Authorization": f"Bearer {server.token}"}
    return httpx.post(f"http://127.0.0.1:{server.port}{path}", json=body, headers=bearer)


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (["show", "-p", "target=a b"], "3|--|a b|"),
        (["-p", "target=$HOME", "-p", "count=5", "show"], "5|--|$HOME|"),
        (["show", "-p", "target=-rf", "--param", "force=true"], "3|--force|--|-rf|"),
    ],
)
def test_command_line(server: Server, words: list[str], output: str):
    """`-p P=VALUE` before or behind the name; each value is one argument, as it is."""
    done = cli("run", "--server", server.url, *words)
    assert (done.code, done.out.decode()) == (0, output)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show"], "expected the parameter target, got none"),
        (
            ["show", "-p", "target=a", "-p", "count=0"],
            "expected count as a whole number of 1 or more, got 0",
        ),
        (["show", "-p", "targets=a"], "did you mean target?"),
        (["-p", "target=a", "nope"], "expected with -p the name of a command of the server"),
    ],
)
def test_mistakes_on_the_command_line(server: Server, words: list[str], said: str):
    """A mistake is a sentence and exit code 2; nothing is started."""
    done = cli("run", "--server", server.url, *words)
    assert (done.code, said in done.err) == (2, True), done.err


def test_store_has_no_parameters(store: Store):
    """Without a server there is no command with parameters."""
    done = cli("--store", store.path, "run", "-p", "a=b", "--", "true")
    assert (done.code, "expected --server" in done.err) == (2, True), done.err


def test_client(server: Server, client: Client):
    """The run has its values, and started again it has the same."""
    run = client.start(name="show", params={"target": "x", "force": True})
    assert run.output() == "3|--force|--|x|"
    assert run.to_json()["params"] == {"target": "x", "count": 3, "force": True}

    again = client.get(post(server, f"/runs/{run.id}/rerun", {}).json()["id"])
    assert (again.output(), again.to_json()["params"]) == (run.output(), run.to_json()["params"])
    with pytest.raises(UsageError, match="expected the parameter target, got none"):
        client.start(name="show")
    with pytest.raises(UsageError, match="expected params with name= alone"):
        client.start(["true"], params={"target": "x"})


def test_described(client: Client):
    """The list of commands has what a form needs."""
    shown = client.commands()["commands"][0]
    assert shown["params"]["target"] == {"type": "text", "title": "Where to", "required": True}
    assert list(shown["params"]) == ["target", "count", "force"]


@pytest.mark.parametrize("params", [["target"], "target", None, 3])
def test_no_object(server: Server, params: object):
    """What is no object of values is refused with 400."""
    reply = post(server, "/runs", {"name": "show", "params": params})
    assert (reply.status_code, reply.headers["content-type"]) == (400, "application/problem+json")
    assert 'expected "params" as an object' in json.loads(reply.content)["detail"]


def test_of_an_application(tmp_path: Path):
    """An application starts its own commands with parameters in the same way."""
    from runcast.web.adapters.runcast_app import RuncastApp

    table = {"show": {"command": ["echo", "{word}"], "params": {"word": {}}}}
    cast = RuncastApp(store=tmp_path / "store", commands=table, authorize=lambda verb, run, request: True)
    assert cast.start_command("show", {"word": "hello"}).output() == "hello\n"
    with pytest.raises(UsageError, match="expected the parameter word, got none"):
        cast.start_command("show")


def test_secret(server: Server, client: Client):
    """A secret reaches the program and nothing else; to start the run again it must be given anew."""
    run = client.start(name="login", params={"password": "open-sesame"})
    assert run.output() == "as ***\n"
    assert "sesame" not in json.dumps(client.get(run.id).to_json())

    reply = post(server, f"/runs/{run.id}/rerun", {})
    assert (reply.status_code, reply.json()["error"]) == (409, "RunMasked")
    with pytest.raises(UsageError, match="at least 4 bytes"):
        client.start(name="login", params={"password": "abc"})

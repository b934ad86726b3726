"""`runcast doctor --url`: a real server by itself, behind nginx, and for tokens that may do little."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.peers.nginx import nginx, proxy
from bench.peers.server import running
from runcast import Store
from runcast.doctor.ticking import NAME
from runcast.store.scoped_tokens import TokenFiles
from tests.helpers.cli import Done, cli
from tests.helpers.servers import free_port
from tests.integration.server.test_serve import Server, serving

pytestmark = pytest.mark.slow

CURED = """
  access_log off; map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  server {{ listen 127.0.0.1:{port}; location / {{
    proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1; proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
  }} }}
"""


def checked(url: str, *arguments: str) -> tuple[Done, dict[str, dict[str, str]]]:
    """Return how it ended, and what it found by check."""
    done = cli("doctor", "--json", "--url", url, *arguments)
    return done, {one["check"]: one for one in map(json.loads, done.out.splitlines())}


def levels(found: dict[str, dict[str, str]], level: str) -> set[str]:
    """Return the checks with a level."""
    return {name for name, one in found.items() if one["level"] == level}


def test_without_a_proxy(store: Store):
    """All forms come live and whole, nothing is wrong, and nothing is left behind."""
    with serving() as server:
        done, found = checked(server.url)
        listed = json.loads(server.ask("GET", "/runs", server.bearer).body)["runs"]
        commands = json.loads(server.ask("GET", "/commands", server.bearer).body)

    assert levels(found, "problem") == set()
    assert {"text", "events", "ndjson", "durable", "polls", "websocket"} <= levels(found, "ok") | levels(
        found, "hint"
    )
    assert done.code == 0
    assert listed == []
    assert commands == {"commands": [], "any": False}


def test_nginx_and_its_cure(store: Store, tmp_path: Path):
    """By its defaults it drops the Upgrade and rewrites the Host; with the documented lines all is well."""
    default, cured = free_port(), free_port()
    with serving() as server:
        config = proxy(default, server.port) + CURED.format(port=cured, upstream=server.port)
        with running(nginx(tmp_path, config.replace("access_log off;", "", 1)), default):
            query = server.url.partition("?")[2]
            before, found = checked(f"http://127.0.0.1:{default}/?{query}")
            after, clean = checked(f"http://127.0.0.1:{cured}/?{query}")

    assert levels(found, "problem") == {"host", "websocket"}
    assert "proxy_set_header Upgrade" in found["websocket"]["advice"]
    assert "nginx" in found["server"]["text"]
    assert before.code == 1
    assert levels(clean, "problem") == set()
    assert after.code == 0


def test_wrong_address(store: Store, tmp_path: Path):
    """A server that is away, a name that it does not have, and no token: each says what to do."""
    away, _ = checked(f"http://127.0.0.1:{free_port()}/")
    with serving() as server:
        url = server.url.partition("?")[0]
        alias, named = checked(server.url.replace("127.0.0.1", "127.0.0.2"))
        stranger, refused = checked(url)

    assert (away.code, alias.code, stranger.code) == (1, 1, 1)
    assert "cannot be reached" in away.out.decode()
    assert "cannot be reached" in named["server"]["text"] or "--allow-host" in named["server"]["advice"]
    assert "RUNCAST_TOKEN" in refused["server"]["advice"]


@pytest.mark.parametrize(
    ("may", "starts"), [(["read"], False), (["start:backup", "read"], False), (["start", "read"], True)]
)
def test_rights(store: Store, may: list[str], starts: bool):
    """The run is started for who may start it; another token is told what could not be checked."""
    with serving() as server:
        token = TokenFiles(store.path).add("program", may, None)
        bearer: dict[str, Any] = {"Authorization": f"Bearer {token}"}
        answer = server.ask("POST", "/runs", bearer, {"name": NAME, "params": {"silent": 0}})
        if not starts:
            done, found = checked(f"{server.url.partition('?')[0]}?token={token}")

    assert answer.status == (201 if starts else 403)
    if not starts:
        assert found["forms"]["level"] == "hint"
        assert found["host"]["level"] == "ok"
        assert done.code == 0


def test_only_the_silence_is_chosen(server: Server):
    """A client chooses how long, within bounds, and nothing else."""
    for params in ({"silent": 301}, {"silent": -1}, {"silent": "3; ls"}, {"other": 1}):
        assert server.ask("POST", "/runs", server.bearer, {"name": NAME, "params": params}).status == 400
    assert server.ask("POST", "/runs", server.bearer, {"name": NAME, "cwd": "/"}).status == 400


@pytest.fixture(name="server")
def server_fixture(store: Store) -> Any:
    """A server that may start nothing."""
    with serving() as server:
        yield server


@pytest.mark.parametrize("arguments", [["--long"], ["--url", "x:/"], ["--url", "http://a/", "--unit", "b"]])
def test_refused(arguments: list[str]):
    """Options that have no meaning together, and what is no URL, are refused."""
    assert cli("doctor", *arguments).code == 2

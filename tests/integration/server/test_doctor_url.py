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
from tests.helpers.ports import free_port, free_ports
from tests.helpers.servers import Server as Application
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


WRONG = """
  access_log off; upstream behind {{ server 127.0.0.1:{upstream}; }}
  server {{ listen 127.0.0.1:{renames}; location / {{ proxy_pass http://behind; }} }}
  server {{ listen 127.0.0.1:{takes_off}; location / {{
    proxy_pass http://behind; proxy_set_header Host $http_host; proxy_set_header Authorization "";
  }} }}
  server {{ listen 127.0.0.1:{asks}; location / {{
    proxy_pass http://behind; auth_basic runs; auth_basic_user_file {users};
  }} }}
  server {{ listen 127.0.0.1:{misses}; location / {{ proxy_pass http://127.0.0.1:{away}; }} }}
"""
SAID = {
    "renames": ("nginx passes another Host on, 'behind'", "nginx: proxy_set_header Host $http_host;"),
    "takes_off": ("nginx takes the header Authorization off", "remove the line"),
    "asks": ('nginx wants a login of its own (Basic realm="runs")', "what has a token"),
    "misses": ("nginx does not reach the server: the answer is 502", "is `runcast serve` running"),
}


def test_proxy_that_lets_nothing_through(store: Store, tmp_path: Path):
    """Where a proxy keeps what is asked from the server, that is said of the proxy, and what to do there."""
    ports = dict(zip([*SAID, "away"], free_ports(len(SAID) + 1), strict=True))
    users = tmp_path / "users"
    users.write_text("ana:{PLAIN}secret\n")
    with serving() as server:
        config = WRONG.format(**ports, upstream=server.port, users=users)
        with running(nginx(tmp_path, config), ports["renames"]):
            query = server.url.partition("?")[2]
            found = {name: checked(f"http://127.0.0.1:{ports[name]}/?{query}") for name in SAID}

    for name, (text, advice) in SAID.items():
        done, said = found[name]
        assert done.code == 1
        assert text in said["server"]["text"]
        assert advice in said["server"]["advice"]


APPLICATION = """
    from flask import Flask
    from runcast.web.flask import Runcast
    app = Flask(__name__)
    Runcast(app, authorize=lambda verb, run, request: verb == "list")
"""


def test_an_application(store: Store, tmp_path: Path):
    """An application with an adapter is told from a server whose token may little: no token is asked for."""
    with Application(tmp_path, "gunicorn", APPLICATION) as application:
        done, found = checked(application.root)
    assert set(found) == {"server", "host", "forms"}
    assert "no `runcast serve`" in found["forms"]["text"]
    assert b"token" not in done.out


def test_wrong_address(store: Store, tmp_path: Path):
    """A server that is away, a name that it does not have, and no token: each says what to do."""
    away, _ = checked(f"http://127.0.0.1:{free_port()}/")
    with serving() as server:
        url = server.url.partition("?")[0]
        alias, named = checked(server.url.replace("127.0.0.1", "127.0.0.2"))
        stranger, refused = checked(url)

    assert (away.code, alias.code, stranger.code) == (1, 1, 1)
    assert 'cannot be reached: Connection refused"' in away.out.decode()
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

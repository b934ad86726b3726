"""The kinds of mistakes that servers of this sort have made, one test for each that no other file has.

What others have learned the hard way: a cookie that outlives the token it was given for, a process
number that a form may choose, a page with the address in it that it was asked for by, a page for
debugging that strangers see, words of a request that a shell reads.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.helpers.servers import ASGI, WSGI
from tests.helpers.servers import Server as Mounted
from tests.helpers.stores import end_store
from tests.integration.server.test_serve import Server, serving

OLD, NEW = "an-old-token-of-a-server", "the-new-token-of-a-server"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
EVIL = '"><script>alert(1)</script>'
SECRET = "only-the-operator-knows-this"
FAILING = f"authorize=lambda *_: {{}}['{SECRET}']"

pytestmark = pytest.mark.slow


class Restarted(NamedTuple):
    """A server, and the cookie that it gave when it had another token."""

    server: Server
    former: tuple[str, str]


@pytest.fixture(name="restarted", scope="module")
def restarted_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restarted]:
    """Give a server that may start one command, which writes its arguments."""
    folder = tmp_path_factory.mktemp("neighbours")
    config = folder / "server.toml"
    config.write_text('[commands.say]\ncommand = ["printf", "%s.", "$HOME; id"]\n')
    options = ("--store", folder / "store", "--config", config)
    with serving(*options, "--token", OLD) as server:
        former = cookie_of(server, OLD)
    with serving(*options, "--token", NEW, "--port", server.port) as server:
        yield Restarted(server._replace(url=f"{server.url.partition('?')[0]}?token={NEW}"), former)
    end_store(folder / "store")


@pytest.fixture(name="server")
def server_fixture(restarted: Restarted) -> Server:
    """Give the server alone."""
    return restarted.server


def cookie_of(server: Server, token: str) -> tuple[str, str]:
    """Return the name and the value of the cookie that a server gives for its token, and that lets in."""
    cookie = server.ask("GET", f"/?token={token}").headers["set-cookie"].partition(";")[0]
    assert server.ask("GET", "/runs", {"Cookie": cookie}).status == 200
    name, _, value = cookie.partition("=")
    return name, value


def test_cookie_of_an_old_token(restarted: Restarted):
    """With another token the cookies that the former one gave let nobody in, whatever they are called."""
    (old_name, old), (name, value) = restarted.former, cookie_of(restarted.server, NEW)
    tried = [(old_name, old), (name, old), (old_name, value), (name, OLD), (name, NEW)]
    statuses = [restarted.server.ask("GET", "/runs", {"Cookie": "=".join(one)}).status for one in tried]
    right = restarted.server.ask("GET", "/runs", {"Cookie": f"{old_name}={old}; {name}={value}"}).status

    assert (old_name, old) != (name, value)
    assert statuses == [401] * len(tried)
    assert right == 200


def test_number_of_a_process_is_nobodys_to_choose(server: Server):
    """A process that a request names by its number, as id, in JSON, form or query, gets no signal."""
    run_id = json.loads(server.ask("POST", "/runs", server.bearer, {"name": "say"}).body)["id"]
    intent = server.bearer | {"X-Runcast": "1"}
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as bystander:
        pid = bystander.pid
        bodies = [
            {"pid": pid},
            {"pid": pid, "signal": "KILL", "grace": 0},
            {"signal": "KILL"},
            {"id": str(pid)},
        ]
        for verb in ("stop", "signal"):
            path = f"/{verb}?pid={pid}"
            by_id = [
                server.ask("POST", f"/runs/{name}{path}", server.bearer, body).status
                for name in (pid, -pid)
                for body in bodies
            ]
            assert set(by_id) == {404}
            for body in bodies:
                server.ask("POST", f"/runs/{run_id}{path}", server.bearer, body)
            with server.open("POST", f"/runs/{run_id}{path}", server.bearer | FORM, b"pid=%d" % pid) as form:
                assert form.status == 403
        assert server.ask("DELETE", f"/runs/{pid}", intent).status == 404
        bystander.communicate()

    assert bystander.returncode == 0  # it went on until its input ended


def test_address_is_not_reflected(server: Server):
    """No part of the address, and no header with another one, is markup on a page or a link elsewhere."""
    page = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    fields = dict.fromkeys(("X-Forwarded-Host", "X-Original-URL", "X-Rewrite-URL"), f"evil.example{EVIL}")
    fields |= {
        "Forwarded": "host=evil.example",
        "Referer": f"http://evil.example/{EVIL}",
        "X-Forwarded-Prefix": EVIL,
    }
    seen = [
        server.ask("GET", path, {**page, **headers})
        for headers in (
            {**fields, **server.bearer},
            {**fields, **server.bearer, "Accept": "application/json", "Sec-Fetch-Mode": "cors"},
            fields,
            {"Host": f"127.0.0.1{EVIL}"},
            {"Host": "evil.example"},
        )
        for path in (
            "/",
            "/runs",
            f"/runs/{EVIL}?{EVIL}".replace(" ", "%20"),
            "/none",
            f"/?token={NEW}&a={EVIL}",
        )
    ]

    kinds = [answer.headers.get("content-type", "").partition(";")[0] for answer in seen]
    assert set(kinds) == {"text/html", "application/json", "application/problem+json", ""}
    for kind, answer in zip(kinds, seen, strict=True):
        assert answer.headers["x-content-type-options"] == "nosniff"  # so JSON is never a page
        assert urlsplit(answer.headers.get("location", "")).netloc == ""
        if kind == "text/html":
            assert b"<script>alert" not in answer.body
            assert not re.search(rb"=[\"']?[^\"' >]*evil[.]example", answer.body)


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn"])
def test_failure_tells_strangers_nothing(kind: str, tmp_path: Path):
    """Where an operator's code fails, a client sees 500: no traceback, no names, no page to debug with."""
    code = (ASGI if kind == "uvicorn" else WSGI).replace("allow_any_command=True", FAILING)
    with Mounted(tmp_path, kind, code) as server:
        seen = [
            server.ask(
                method,
                path,
                b"{}" if method == "POST" else None,
                accept=accept,
                content_type="application/json",
            )
            for method, path in (("GET", "/runs"), ("GET", "/commands"), ("POST", "/runs"))
            for accept in ("text/html", "application/json")
        ]

    assert {status for status, _, _ in seen} == {500}
    for _, _, body in seen:
        assert not [
            word for word in (SECRET, "Traceback", "Error:", ".py", "lambda") if word.encode() in body
        ]


TRICKS = [
    "; touch {0}",
    "$(touch {0})",
    "`touch {0}`",
    "| touch {0}",
    "&& touch {0}",
    "\n touch {0}",
    "-o{0}",
    "{{{{7*7}}}}",
]


def test_request_adds_no_words_to_a_command(server: Server, tmp_path: Path):
    """A named command runs with the words of its configuration: what a request adds is refused."""
    planted = tmp_path / "planted"
    values = [trick.format(planted) for trick in TRICKS]
    refused = [
        server.ask("POST", "/runs", server.bearer, body)
        for value in values
        for body in (
            {"name": f"say{value}"},
            {"name": "say", "params": {"text": value}},
            {"name": "say", "params": [value]},
            {"name": "say", "command": ["sh", "-c", value]},
            {"name": "say", "env": {"X": value}},
            {"name": "say", "cwd": value},
            {"name": "say", "shell": True},
            {"name": "say", "args": [value]},
            {"command": value},
        )
    ]
    started = server.ask(
        "POST", f"/runs?params={TRICKS[0]}".replace(" ", "%20"), server.bearer, {"name": "say"}
    )
    run_id = json.loads(started.body)["id"]
    output = server.ask("GET", f"/runs/{run_id}/log?format=text", server.bearer)

    assert {answer.status for answer in refused} <= {400, 403, 404}
    assert output.body == b"$HOME; id."
    assert not planted.exists()

"""Deliveries of other services to a real server: what starts a run, which one, and what starts nothing."""

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from runcast import Run, Store
from runcast.who import Who
from tests.helpers.wait import MS, wait_until
from tests.integration.server.test_serve import Server, serving

LONG = 20000 * MS
SECRET = "It's a Secret to Everybody"
# What GitHub and Gitea sign with that secret, and their headers, as their documentation shows them.
HELLO = b"Hello, World!"
HELLO_SIGNED = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
SHOW = 'command = ["sh", "-c", "echo $RUNCAST_HOOK_EVENT $RUNCAST_HOOK_DELIVERY $#; cat $RUNCAST_PAYLOAD"]'
FILE = f"""
[commands.github]
{SHOW}
[commands.github.hook]
kind = "github"
secret_env = "HOOK_SECRET"
events = ["push"]
max_body = "64K"

[commands.gitea]
{SHOW}
[commands.gitea.hook]
kind = "gitea"
secret = "{SECRET}"
payload = "file"

[commands.standard]
command = ["sh", "-c", "cat; echo secret: $HOOK_SECRET"]
[commands.standard.hook]
kind = "standard"
secret_env = "HOOK_SECRET"

[commands.plain]
{SHOW}
[commands.plain.hook]
kind = "hmac"
secret = "{SECRET}"
signature_header = "X-Signed"

[commands.none]
{SHOW}
"""

pytestmark = pytest.mark.slow


class Served(NamedTuple):
    """A server, and its store."""

    server: Server
    store: Store
    client: httpx.Client  # to make one takes longer than a request

    def post(
        self, name: str, body: bytes, headers: Mapping[str, str | bytes], **options: Any
    ) -> httpx.Response:
        """Return the reply to a delivery, without the token."""
        url = f"http://127.0.0.1:{self.server.port}/hooks/{name}"
        return self.client.post(url, content=body, headers=headers, **options)

    def run(self, reply: httpx.Response) -> Run:
        """Return the run that a reply names."""
        assert reply.status_code == 202, reply.text
        assert reply.headers["location"] == reply.json()["run"] == f"/runs/{reply.json()['id']}"
        return self.store.get(reply.json()["id"])

    def runs(self) -> int:
        return len(list(self.store.list()))


@pytest.fixture(name="served", scope="module")
def served_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve commands with hooks."""
    folder = tmp_path_factory.mktemp("hooks")
    (folder / "server.toml").write_text(FILE)
    env = {**os.environ, "HOOK_SECRET": SECRET}
    with serving("--config", folder / "server.toml", "--store", folder / "store", env=env) as server:
        with httpx.Client() as client:
            yield Served(server, Store(str(folder / "store")), client)


def hexed(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def github(body: bytes, delivery: str, event: str = "push") -> dict[str, str]:
    """Return the headers of GitHub, but the ones that say who it is."""
    return {
        "Content-Type": "application/json",
        "X-GitHub-Delivery": delivery,
        "X-GitHub-Event": event,
        "X-GitHub-Hook-ID": "292430182",
        "X-Hub-Signature": "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6",
        "X-Hub-Signature-256": f"sha256={hexed(body)}",
    }


def standard(body: bytes, message_id: str, at: float | None = None) -> dict[str, str]:
    """Return the headers of Standard Webhooks."""
    stamp = str(int(time.time() if at is None else at))
    signed = f"{message_id}.{stamp}.".encode() + body
    signature = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}


def test_github(served: Served):
    """A signed push starts the command with the payload on stdin; a redelivery gets the same run."""
    assert hexed(HELLO) == HELLO_SIGNED
    run = served.run(served.post("github", HELLO, github(HELLO, "72d3162e-cc78-11e3")))
    assert run.output(timeout=LONG) == "push 72d3162e-cc78-11e3 0\nHello, World!"
    assert run.started_by == Who("hook", "github")
    assert (run.name, HELLO.decode() in str(run.request["command"])) == ("github", False)

    again = served.run(served.post("github", HELLO, github(HELLO, "72d3162e-cc78-11e3")))
    other = served.run(served.post("github", HELLO, github(HELLO, "72d3162e-cc78-11e4")))
    assert (again.id == run.id, other.id == run.id) == (True, False)


def test_gitea(served: Served):
    """Gitea's is hexadecimal alone, and the payload may be a file of the run."""
    headers = {"X-Gitea-Signature": hexed(HELLO), "X-Gitea-Event": "push", "X-Gitea-Delivery": "f6266f16"}
    run = served.run(served.post("gitea", HELLO, headers))

    assert run.output(timeout=LONG) == "push f6266f16 0\nHello, World!"


def test_standard(served: Served):
    """Standard Webhooks, and a secret that the command does not inherit; an old delivery is refused."""
    run = served.run(served.post("standard", HELLO, standard(HELLO, "msg_1")))
    assert run.output(timeout=LONG) == "Hello, World!secret:\n"

    old = served.post("standard", HELLO, standard(HELLO, "msg_2", time.time() - 3600))
    assert (old.status_code, old.json()["error"]) == (403, "NotSigned")
    assert "within 300 s of now, got one that is 36" in old.json()["detail"]


def test_plain(served: Served):
    """Any other that signs by HMAC; without an id each delivery is a run."""
    headers = {"X-Signed": hexed(HELLO)}
    runs = {served.run(served.post("plain", HELLO, headers)).id for _ in range(2)}

    assert len(runs) == 2


def test_run_of_another_runcast(served: Served, store: Store):
    """The end of a run starts a command of a server: its signature is right there, and the id is the key."""
    url = f"http://127.0.0.1:{served.server.port}/hooks/standard"
    run = store.start(["true"], name="nightly", on_end=[{"webhook": url, "secret": SECRET}])
    run.wait(timeout=LONG)
    wait_until(lambda: run.hooks[0]["state"] == "delivered", LONG)
    assert run.hooks[0]["code"] == 202

    (started,) = [one for one in served.store.list() if run.id in str(one.request["env"])]
    said = json.loads(started.output(timeout=LONG).rpartition("secret:")[0])
    assert (said["type"], said["data"]["id"], said["data"]["name"]) == ("run.ended", run.id, "nightly")


def test_starts_nothing(served: Served):
    """GitHub's ping, and events that are not listed."""
    before = served.runs()

    assert served.post("github", HELLO, github(HELLO, "1", "ping")).status_code == 200
    assert served.post("github", HELLO, github(HELLO, "2", "issues")).status_code == 204
    assert served.runs() == before


def test_refused(served: Served):
    """Without a right signature nothing is started, and the reply says what was expected and no secret."""
    before = served.runs()
    right = github(HELLO, "3")
    bearer = served.server.bearer
    without = {key: value for key, value in right.items() if key != "X-Hub-Signature-256"}
    for headers, status, words in (
        (without, 401, "expected the header X-Hub-Signature-256 with sha256=HEX"),
        (without | bearer, 401, "got none"),
        (right | {"X-Hub-Signature-256": "sha256=00"}, 403, "by the secret of this hook, got another"),
        (right | {"Host": "evil.example"}, 421, "expected this server's name"),
        (right | {"X-GitHub-Delivery": b"\xe9"}, 400, "printable ASCII"),
    ):
        reply = served.post("github", HELLO, headers)
        assert (reply.status_code, words in reply.json()["detail"]) == (status, True), reply.text
        assert reply.headers["content-type"] == "application/problem+json"
        assert SECRET not in reply.text
        assert HELLO_SIGNED not in reply.text
    assert served.runs() == before


def test_only_these_addresses(served: Served):
    """No other address, spelling or method gets by without the token."""
    right = github(HELLO, "4")
    for name in ("none", "nothing", "github/", "GitHub", "%67ithub", "../runs", "github/../../runs", ""):
        assert served.post(name, HELLO, right).status_code == 401, name
    url = f"http://127.0.0.1:{served.server.port}/hooks/github"
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        assert served.client.request(method, url, headers=right).status_code == 401
    assert served.client.get(url, headers=served.server.bearer).status_code == 404
    assert served.post("none", HELLO, right | served.server.bearer).status_code == 404


def test_too_long(served: Served):
    """A body that is longer than it may be is refused, whether it says so or not."""
    body = b"x" * (64 * 1024 + 1)
    assert served.post("github", body, github(body, "5")).status_code == 413

    def pieces() -> Iterator[bytes]:
        yield from (body[at : at + 4096] for at in range(0, len(body), 4096))

    chunked = served.post("github", pieces(), github(body, "6"))  # type: ignore[arg-type]
    assert chunked.status_code == 413
    fits = body[: 64 * 1024]
    assert served.run(served.post("github", fits, github(fits, "7"))).output(timeout=LONG).endswith("xxx")


def test_again(served: Served):
    """The same again has the same payload, event and id, and is another run."""
    for name, headers in (
        ("github", github(HELLO, "8")),
        ("gitea", {"X-Gitea-Signature": hexed(HELLO), "X-Gitea-Event": "push", "X-Gitea-Delivery": "8"}),
    ):
        run = served.run(served.post(name, HELLO, headers))
        url = f"http://127.0.0.1:{served.server.port}/runs/{run.id}/rerun"
        reply = served.client.post(url, json={}, headers=served.server.bearer)
        again = served.store.get(reply.json()["id"])
        assert again.id != run.id
        assert again.output(timeout=LONG) == run.output(timeout=LONG) == "push 8 0\nHello, World!"


def test_many_wrong_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Wrong signatures are answered more slowly after a while; a right one, and the token, never are."""
    (tmp_path / "server.toml").write_text(FILE)
    env = {**os.environ, "HOOK_SECRET": SECRET}
    command = ("--config", tmp_path / "server.toml", "--store", tmp_path / "store")
    with serving(*command, env=env) as server, httpx.Client() as client:
        served = Served(server, Store(str(tmp_path / "store")), client)
        wrong = github(HELLO, "9") | {"X-Hub-Signature-256": "sha256=00"}
        replies = [served.post("github", HELLO, wrong) for _ in range(14)]
        assert [reply.status_code for reply in replies[:10]] == [403] * 10
        assert replies[-1].status_code == 429
        assert int(replies[-1].headers["retry-after"]) >= 1
        assert served.run(served.post("github", HELLO, github(HELLO, "9"))).wait(timeout=LONG).ok
        assert client.get(f"http://127.0.0.1:{server.port}/runs", headers=server.bearer).status_code == 200
        server.end()
        assert server.process.communicate()[1].count(b"a wrong signature for the hook github") == 10

"""Who may do what with a run of another host: the same as on its own."""

import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from runcast.client import Client
from runcast.errors import RunMasked, UploadGone
from runcast.model import Reason
from runcast.run.base import files_of
from tests.helpers.cli import cli
from tests.helpers.link_hosts import PATIENCE, Host
from tests.helpers.link_servers import serve
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow

TOKEN = "a-token-that-all-hosts-have"


def ask(client: Client, path: str, token: str, method: str = "GET") -> tuple[int, Any]:
    """Return status and JSON of a request with a token."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "X-Runcast": "1"}
    request = urllib.request.Request(f"{client.url.rstrip('/')}{path}", headers=headers, method=method)
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, json.loads(reply.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def make_token(host: Host, name: str, *rights: str) -> str:
    """Make a scoped token on a host; return it."""
    may = [word for right in rights for word in ("--may", right)]
    return cli("--store", host.store.path, "token", "add", name, *may).out.decode().strip()


def test_scoped_token(two: list[Host]):
    """A token of a host may do with runs of others, by their names, what it may do with the host's own."""
    a, b = two
    mine = a.store.start(["sleep", "600"], name="build")
    others = a.store.start(["sleep", "600"], name="deploy")
    own = b.store.start(["sleep", "600"], name="deploy")
    for run in (mine, others):
        b.get(run)
    token = make_token(b, "ci", "read:build", "stop:build")
    with serve(b) as client:
        assert ask(client, "/runs", token)[0] in (401, 403)
        assert ask(client, f"/runs/{mine.id}", token)[0] == 200
        refused = {ask(client, f"/runs/{run.id}", token)[0] for run in (others, own)}
        assert len(refused) == 1
        assert refused <= {403, 404}
        assert ask(client, f"/runs/{others.id}/stop", token, "POST")[0] in (403, 404)
        assert ask(client, f"/runs/{mine.id}/stop", token, "POST")[0] == 202
    outcome = mine.wait(timeout=PATIENCE)
    assert outcome is not None
    assert outcome.reason is Reason.STOPPED
    assert (outcome.stopped_by and outcome.stopped_by.name) == "ci"
    wait_until(lambda: b.get(mine).outcome, PATIENCE)
    assert b.get(mine).outcome == outcome
    assert others.outcome is None
    for run in (others, own):
        run.kill()
        run.wait(timeout=PATIENCE)


def test_token_on_all_hosts(two: list[Host]):
    """A token of one host counts on another once its file is there; share links count on all hosts."""
    a, b = two
    run = a.store.start(["echo", "words"], name="build")
    run.wait(timeout=PATIENCE)
    b.get(run)
    token = make_token(a, "ci", "read:build")
    with serve(a, TOKEN) as there, serve(b, TOKEN) as here:
        assert ask(there, f"/runs/{run.id}", token)[0] == 200
        assert ask(here, f"/runs/{run.id}", token)[0] == 401
        shutil.copytree(f"{a.store.path}/.tokens", f"{b.store.path}/.tokens")
        assert ask(here, f"/runs/{run.id}", token)[0] == 200
        shared = there.get(run.id).share(expires=3600).url
        elsewhere = shared.replace(there.url.rstrip("/"), here.url.rstrip("/"))
        with urllib.request.urlopen(
            urllib.request.Request(elsewhere, headers={"Accept": "application/json"})
        ) as reply:
            assert json.loads(reply.read())["id"] == run.id


def test_masked_run_elsewhere(two: list[Host]):
    """No file of a mirror has what is masked, nor does it start again there."""
    a, b = two
    secret = "token-4711-very-secret"
    run = a.store.start(
        ["sh", "-c", f"echo {secret}; echo {secret} >&2"], mask=[secret], env={"API_TOKEN": secret}
    )
    run.wait(timeout=PATIENCE)
    mirror = b.get(run)
    assert mirror.output(timeout=PATIENCE) == "***\n***\n"
    wait_until(lambda: mirror.closed, PATIENCE)
    with pytest.raises(RunMasked):
        b.store.rerun(mirror)
    texts = [path.read_bytes() for path in Path(files_of(mirror).path).rglob("*") if path.is_file()]
    assert len(texts) > 3
    assert not any(secret.encode() in text for text in texts)
    assert mirror.request["masked"] is True


@pytest.mark.parametrize("given", ["input", "payload"])
def test_started_again_elsewhere(two: list[Host], given: str):
    """A run starts again on another host; not without what it was given, which stayed on its own."""
    a, b = two
    plain, with_data = a.store.start(["echo", "words"]), a.store.start(["cat"], **{given: b"data"})
    for run in (plain, with_data):
        run.wait(timeout=PATIENCE)
    again = b.store.rerun(b.get(plain))
    assert again.output(timeout=PATIENCE) == "words\n"
    assert files_of(again).mirror_of is None
    with pytest.raises(UploadGone, match="on its own, host a, alone: start it again there"):
        b.store.rerun(b.get(with_data))
    assert a.store.rerun(with_data).wait(timeout=PATIENCE)


def test_traceback_elsewhere(two: list[Host]):
    """A traceback is in the reply of another host for who may see it, and for nobody else."""
    a, b = two

    def fails() -> None:
        raise ValueError("nothing here")

    run = a.store.start(fails, traceback=True)
    run.wait(timeout=PATIENCE)
    wait_until(lambda: b.get(run).outcome, PATIENCE)
    token = make_token(b, "reader", "read")
    seer = make_token(b, "seer", "read", "traceback")
    with serve(b) as client:
        assert "traceback" not in ask(client, f"/runs/{run.id}", token)[1]["outcome"]
        assert "nothing here" in ask(client, f"/runs/{run.id}", seer)[1]["outcome"]["traceback"]

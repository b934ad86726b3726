"""Masked runs over HTTP: no form has a secret, and none is started again without it."""

import base64
import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.sync.client import connect

from runcast import Run, Store
from tests.helpers.servers import Server
from tests.helpers.wait import MS, wait_until

SECRET = "open-sesame"
FORMS = ("text", "sse", "sse-json", "json", "ndjson", "asciicast", "sse-asciicast")
JSON = {"Content_Type": "application/json"}


@pytest.fixture(name="server")
def server_fixture(serving: Callable[[str, Path], Server], store: Store, own_store: Path) -> Server:
    """Serve the test's store."""
    return serving("uvicorn", own_store)


def test_no_wire_has_a_secret(server: Server, store: Store):
    """The reply to the start, the run, its log in each form and its page have stars; a rerun is refused."""
    command = f"echo {SECRET}; echo $A_TOKEN >&2; V=later; echo ::add-mask::$V-one; echo $V-one"
    body = {"command": ["sh", "-c", command], "env": {"A_TOKEN": "given-one"}, "mask": [SECRET]}
    status, _, started = server.ask("POST", "/runs", json.dumps(body).encode(), **JSON)
    assert status == 201
    run = Run(f"{store.path}/{json.loads(started)['id']}")
    assert run.wait(timeout=20000 * MS).ok

    paths = [f"/runs/{run.id}", "/runs", *(f"/runs/{run.id}/log?format={form}&wait=0" for form in FORMS)]
    replies = [started, *(server.ask("GET", path)[2] for path in paths)]
    replies.append(server.ask("GET", f"/runs/{run.id}", Accept="text/html")[2])
    for reply in replies:
        assert reply
        for secret in (SECRET, "given-one"):
            assert secret.encode() not in reply
        assert b"later-one" not in reply
    for reply in replies[3:-1]:
        assert b"::add-mask::***" in reply

    status, _, problem = server.ask("POST", f"/runs/{run.id}/rerun", X_Runcast="1")
    assert (status, json.loads(problem)["error"]) == (409, "RunMasked")
    assert "give them again" in json.loads(problem)["detail"]


@pytest.mark.parametrize("at", [0, 4, len(SECRET) - 1])
def test_no_live_wire_has_a_secret(server: Server, store: Store, at: int):
    """Who watches while a secret comes, in two parts with a long pause between them, sees stars."""
    run = store.start(["cat"], stdin="pipe", mask=[SECRET])
    paths = [f"/runs/{run.id}/log?format={form}" for form in FORMS if form != "json"]
    paths += [
        f"/v1/stream/runs/{run.id}?offset=-1&live=sse",
        f"/v1/stream/runs/{run.id}?offset=-1&live=long-poll",
    ]
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(server.stream(path)) for path in paths[:-1]]
        socket = stack.enter_context(connect(f"ws://127.0.0.1:{server.port}/runs/{run.id}/log"))
        run.send(f"first\n{SECRET[:at]}")
        wait_until(lambda: run.tail_offset == 6 + at)  # what may begin a secret is held for a second
        run.send(f"{SECRET[at:]}\nlast\n", eof=True)
        replies = [stream.read() for stream in streams]
        replies.append("".join(map(str, socket)).encode())
    replies += [
        server.ask("GET", paths[-1])[2],
        server.ask("GET", f"/runs/{run.id}/search?q=%2A")[2],
    ]

    for reply in replies:
        for data in re.findall(rb"event: data\ndata:([A-Za-z0-9+/=]+)\n", reply):  # of a stream of bytes
            reply += base64.b64decode(data)
        assert b"***" in reply, reply
        assert SECRET.encode() not in reply
        assert f"{SECRET[at:]}\nlast".encode() not in reply
    assert run.output() == f"first\n{SECRET[:at]}***\nlast\n"


@pytest.mark.parametrize("mask", ["open-sesame", ["open-sesame", 1], ["open-sesame", "abc"]])
def test_a_wrong_mask_is_refused(server: Server, store: Store, mask: object):
    """A mask that is none is 400, and the reply does not repeat it."""
    body = json.dumps({"command": ["true"], "mask": mask}).encode()
    status, _, problem = server.ask("POST", "/runs", body, **JSON)
    assert status == 400
    assert b"expected" in problem
    assert SECRET.encode() not in problem
    assert not list(store.list())

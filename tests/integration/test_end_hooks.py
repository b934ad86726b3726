"""Hooks at the end of runs: what they get, when they are for it, what became of them."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from runcast import Reason, Run, State, Store, aio, attach
from runcast.errors import RunMasked, UsageError
from runcast.hooks.webhook import Reply, deliver, post
from tests.helpers.cli import cli
from tests.helpers.receivers import Handler, receiver, redirect
from tests.helpers.wait import MS, wait_until

LONG = 20000 * MS
KEY = bytes(range(24))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"

pytestmark = pytest.mark.slow


def became(run: Run) -> list[str]:
    """Return what became of the hooks of a run, when nothing more is to be done."""
    run.wait(timeout=LONG)
    wait_until(lambda: all(hook["state"] != "waiting" for hook in run.hooks), LONG)
    return [hook["state"] for hook in run.hooks]


def noting(file: Path, what: str = "$RUNCAST_HOOK_NAME $RUNCAST_HOOK_OUTCOME") -> dict[str, Any]:
    """Return a hook that appends what it gets to a file."""
    return {"command": ["sh", "-c", f'echo "{what}" >> "$0"', str(file)]}


def say(text: str) -> None:
    print(text)


def test_command(store: Store, tmp_path: Path):
    """A command gets the facts as variables, the run as JSON, the folder of the run, and it is no run."""
    script = "env > env; pwd > folder; cat > stdin; echo out; exit 3"
    run = store.start(
        ["sh", "-c", "exit 7"], name="nightly", cwd=tmp_path, on_end=[{"command": ["sh", "-c", script]}]
    )

    assert became(run) == ["failed"]
    assert run.hooks[0] | {"at": ""} == {
        "kind": "command",
        "target": "sh",
        "when": ["always"],
        "state": "failed",
        "attempts": 1,
        "code": 3,
        "message": "exit code 3",
        "at": "",
        "delivery": f"{run.id}-0",
    }
    env = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines() if "=" in line)
    assert {name: text for name, text in env.items() if name.startswith("RUNCAST")} == {
        "RUNCAST_STORE": store.path,
        "RUNCAST_HOOK_RUN_ID": run.id,
        "RUNCAST_HOOK_NAME": "nightly",
        "RUNCAST_HOOK_OUTCOME": "failed",
        "RUNCAST_HOOK_REASON": "exited",
        "RUNCAST_HOOK_CODE": "7",
        "RUNCAST_HOOK_TEXT": run.wait().text,
    }
    assert env["HOME"] == os.path.expanduser("~")
    assert (tmp_path / "folder").read_text().strip() == str(tmp_path)
    value = json.loads((tmp_path / "stdin").read_text())
    assert value == {name: one for name, one in run.to_json().items() if name != "hooks"}
    assert value["closed"]


def test_signed_and_tried_again(store: Store):
    """A receiver that fails twice gets the same message a third time, each signed anew, and takes it."""
    with receiver(503, 500, 204) as there:
        hook = {"webhook": f"{there.url}/a?b=c", "secret": SECRET}
        run = store.start(["true"], on_end=[hook])
        assert became(run) == ["delivered"]

    assert (run.hooks[0]["attempts"], run.hooks[0]["code"]) == (3, 204)
    assert run.hooks[0]["target"] == f"{there.url}/…"
    assert {one.path for one in there.received} == {"/a?b=c"}
    assert len({one.body for one in there.received}) == 1
    for one in there.received:
        sent = f"{run.id}-0.{one.headers['webhook-timestamp']}.".encode() + one.body
        signature = base64.b64encode(hmac.new(KEY, sent, hashlib.sha256).digest()).decode()
        assert one.headers["webhook-id"] == f"{run.id}-0"
        assert one.headers["webhook-signature"] == f"v1,{signature}"
        assert abs(int(one.headers["webhook-timestamp"]) - time.time()) < 60
    message = json.loads(there.received[0].body)
    assert (message["type"], message["id"], message["data"]["id"]) == ("run.ended", f"{run.id}-0", run.id)
    assert message["data"]["outcome"]["ok"]


def test_all_attempts_fail():
    """After the last attempt it has failed; the pauses that a receiver wants are kept."""

    def later(handler: Handler) -> None:
        handler.send_response(429)
        handler.send_header("Retry-After", "0")
        handler.end_headers()

    notes: list[tuple[str, int, Reply]] = []
    with receiver(later) as there:
        deliver(there.url, b"{}", "id", None, 5, lambda *one: notes.append(one), pauses=(0, 0))

    assert [(state, attempts, reply.code) for state, attempts, reply in notes] == [
        ("waiting", 1, 429),
        ("waiting", 2, 429),
        ("failed", 3, 429),
    ]
    assert "webhook-signature" not in there.received[0].headers


@pytest.mark.parametrize("status", [400, 404, 410, 301, 302, 303, 304])
def test_final(status: int):
    """What another attempt would not change is not tried again."""
    notes: list[tuple[str, int, Reply]] = []
    with receiver(redirect(status, "/again")) as there:
        deliver(there.url, b"{}", "id", None, 5, lambda *one: notes.append(one))

    assert [(state, attempts, reply.code) for state, attempts, reply in notes] == [("failed", 1, status)]
    assert len(there.received) == 1


def test_redirects():
    """One to the same place is followed with method and body; one to another host, or without end, is not."""
    with receiver() as other:
        with receiver(redirect(308, "/moved"), 204) as there:
            assert post(f"{there.url}/", b"{}", {}, 5) == Reply(204)
        with receiver(redirect(307, f"{other.url}/s3cret")) as elsewhere:
            refused = post(f"{elsewhere.url}/", b"{}", {}, 5)
        with receiver(redirect(307, "/")) as circle:
            endless = post(f"{circle.url}/", b"{}", {}, 5)

    assert [(one.path, one.body) for one in there.received] == [("/", b"{}"), ("/moved", b"{}")]
    assert (refused.code, refused.again, other.received) == (307, False, [])
    assert "redirect that is not followed" in refused.message
    assert "s3cret" not in refused.message
    assert (endless.again, len(circle.received)) == (False, 4)


def test_hangs():
    """A receiver that says nothing, or sends its reply byte by byte, is left when the time is up."""

    def nothing(handler: Handler) -> None:
        handler.rfile.read(1)  # until the other side is gone

    def slowly(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        try:
            while True:
                handler.wfile.write(b"y")
                time.sleep(0.02)
        except OSError:
            return

    for hanging in (nothing, slowly):
        with receiver(hanging) as there:
            reply = post(there.url, b"{}", {}, 0.3)
        assert reply == Reply(None, "no reply within 0.3 s", again=True)


def test_cut():
    """A reply that is cut in its head is no delivery, whatever its first line says."""

    def cut(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nServer: he")
        handler.close_connection = True

    with receiver(cut) as there:
        reply = post(there.url, b"{}", {}, 5)
    assert (reply.code, reply.again) == (None, True)


def test_nobody_there():
    """Where nobody listens, or no host has the name, another attempt may help; the message has no path."""
    for url in ("http://127.0.0.1:1/s3cret", "http://no.such.host.invalid/s3cret"):
        reply = post(url, b"{}", {}, 5)
        assert (reply.code, reply.again) == (None, True)
        assert reply.message.startswith("no reply: ")
        assert "s3cret" not in reply.message


def test_when(store: Store, tmp_path: Path):
    """Failure, recovery, long runs and always: each hook runs for the ends that it is for."""
    hooks = [
        noting(tmp_path / when, "$RUNCAST_HOOK_CODE") | {"when": when}
        for when in ("always", "failure", "recovery")
    ]
    hooks.append(noting(tmp_path / "long") | {"when": {"longer_than": "1h"}})
    hooks.append(noting(tmp_path / "short") | {"when": ["recovery", {"longer_than": 0.001}]})
    store.start(["false"], name="other").wait(timeout=LONG)
    for code in (1, 2, 0, 0):
        run = store.start(["sh", "-c", f"sleep 0.01; exit {code}"], name="job", on_end=hooks)
        became(run)

    def noted(name: str) -> list[str]:
        return (tmp_path / name).read_text().split() if (tmp_path / name).exists() else []

    assert noted("always") == ["1", "2", "0", "0"]
    assert noted("failure") == ["1", "2"]
    assert noted("recovery") == ["0"]
    assert (noted("long"), len(noted("short"))) == ([], 8)
    assert [hook["state"] for hook in run.hooks] == [
        "delivered",
        "skipped",
        "skipped",
        "skipped",
        "delivered",
    ]


def test_every_source(store: Store, tmp_path: Path):
    """Functions, generators, tasks, blocks and processes have them as commands do, each once."""
    file = tmp_path / "noted"
    options: dict[str, Any] = {"on_end": [noting(file)]}

    async def task() -> None:
        print("here")

    async def started() -> str:
        run = await aio.start(task, name="task", **options)
        await run.wait()
        return run.id

    runs = [
        store.start(say, "here", name="function", **options),
        store.start(say, "here", name="process", process=True, **options),
        store.start((str(number) for number in range(3)), name="generator", ahead=None, **options),
        store.start(["true"], name="command", **options),
        store.start(["no-such-program"], name="missing", **options),
        store.get(asyncio.run(started())),
    ]
    with pytest.raises(ZeroDivisionError), attach("block", store=store, **options) as block:
        1 / 0  # noqa: B018
    for run in (*runs, store.get(block.id)):
        assert became(run) == ["delivered"]

    noted = sorted(file.read_text().splitlines())
    assert noted == [
        "block failed",
        "command ok",
        "function ok",
        "generator ok",
        "missing failed",
        "process ok",
        "task ok",
    ]


def test_stopped_in_its_queue(store: Store, tmp_path: Path):
    """A run that is stopped before it began is over, too."""
    before = store.start(["sleep", "600"], queue="one")
    run = store.start(["true"], queue="one", on_end=[noting(tmp_path / "noted")])
    wait_until(lambda: run.state is State.QUEUED, LONG)
    run.stop()
    assert became(run) == ["delivered"]
    before.kill()
    assert run.wait().reason is Reason.STOPPED


def test_command_goes_wrong(store: Store, tmp_path: Path):
    """A command that is not there, is killed or takes too long has failed, and all of it is gone."""
    pids = tmp_path / "pids"
    run = store.start(
        ["true"],
        on_end=[
            {"command": ["no-such-program"]},
            {"command": ["sh", "-c", "kill -9 $$"]},
            {"command": ["sh", "-c", f"echo $$ > {pids}; sleep 600 & sleep 600"], "timeout": 0.3},
        ],
    )

    assert became(run) == ["failed"] * 3
    assert [hook["message"] for hook in run.hooks] == [
        "it cannot be started: no such file or directory",
        "killed by SIGKILL",
        "killed: it took longer than 0.3 s",
    ]
    group = int(pids.read_text())
    wait_until(lambda: not any(_group(pid) == group for pid in os.listdir("/proc") if pid.isdigit()), LONG)


def _group(pid: str) -> int:
    try:
        return os.getpgid(int(pid))
    except ProcessLookupError:
        return 0


def test_masked(store: Store):
    """What is sent has stars; no file has a secret, those of hooks included; a rerun is refused."""
    with receiver() as there:
        hook = {"webhook": f"{there.url}/hunter22", "secret": SECRET}
        run = store.start(["echo", "hunter22"], name="hunter22", mask=["hunter22"], on_end=[hook])
        assert became(run) == ["delivered"]

    assert there.received[0].path == "/hunter22"
    assert b"hunter22" not in there.received[0].body
    assert json.loads(there.received[0].body)["data"]["command"] == ["echo", "***"]
    for file in Path(store.path).rglob("*"):
        if file.is_file():
            assert b"hunter22" not in file.read_bytes()
            assert SECRET.encode() not in file.read_bytes()
    with pytest.raises(RunMasked):
        store.rerun(run)


def test_again(store: Store, tmp_path: Path):
    """A rerun has the same hooks; lists have what became of them, and no secret is shown."""
    run = store.start(["true"], on_end=[noting(tmp_path / "noted") | {"when": "always"}])
    became(run)
    assert became(store.rerun(run)) == ["delivered"]

    listed = [json.loads(line) for line in cli("ls", "--all", "--json").out.splitlines()]
    assert [one["hooks"][0]["state"] for one in listed] == ["delivered"] * 2
    became(store.start(["true"], name="bad", on_end=[{"command": ["false"]}]))
    rows = cli("ls", "--all").out.decode().splitlines()[1:]
    assert [("exit 0, hook failed" in row, "bad" in row) for row in rows] == [(True, True)] + [
        (False, False)
    ] * 2
    assert len((tmp_path / "noted").read_text().splitlines()) == 2


def test_refused(store: Store):
    """What has no meaning starts nothing."""
    with pytest.raises(UsageError, match="command or webhook"):
        store.start(["true"], on_end=[{}])
    assert list(store.list()) == []

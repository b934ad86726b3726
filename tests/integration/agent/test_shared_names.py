"""Keys of attempts, keys of masked runs, and places of polls: one of each for all hosts."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

import runcast
from runcast.errors import RunExists
from runcast.link.rules import key_name
from runcast.run.base import files_of
from tests.helpers.cli import cli
from tests.helpers.engines import Server, serving, valkey
from tests.helpers.link_hosts import PATIENCE, Host, linked_hosts
from tests.helpers.servers import ASGI
from tests.helpers.servers import Server as Web
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def two(two: list[Host]) -> list[Host]:
    """Two hosts, whose agents live."""
    for host in two:
        host.begin()
    return two


def attempt(host: Host, *words: str) -> str:
    """Make an attempt that ends at once; return its id."""
    with runcast.attach("mail", store=host.store, key="task") as run:
        for word in words:
            print(word)
    return run.id


def ids(host: Host) -> list[str]:
    """Return the ids of the attempts, as a host lists them."""
    return [run.id for run in host.store.list(key="task")]


# Attempts


def test_live_attempt_elsewhere(two: list[Host]):
    """While an attempt goes on, another host's is refused with its id, and any host finds it by the key."""
    a, b = two
    with runcast.attach("mail", store=a.store, key="task") as run:
        print("first")
        with pytest.raises(RunExists) as refused, runcast.attach("mail", store=b.store, key="task"):
            pass
        assert refused.value.run_id == run.id
        with pytest.raises(RunExists) as refused:
            b.store.start(["true"], key="task")
        assert refused.value.run_id == run.id
        assert ids(b) == [run.id]
    followed = cli("--store", b.store.path, "follow", "--key", "task")
    assert (followed.code, followed.out) == (0, b"first\n")


def test_newest_attempt_has_the_key(two: list[Host], tmp_path: Path):
    """Attempts on hosts in turn each take the key of the one before; all hosts know the newest, and all."""
    a, b = two
    with Web(folder_of(tmp_path), "uvicorn", ASGI, store=a.store) as server:
        attempts: list[str] = []
        for number in range(5):
            attempts.insert(0, attempt(two[number % 2], f"attempt {number}"))
            for host in two:
                assert ids(host)[0] == attempts[0]
        for host in two:
            wait_until(lambda host=host: ids(host) == attempts, PATIENCE, "all attempts")  # type: ignore[misc]
            assert cli("--store", host.store.path, "log", "--key", "task").out == b"attempt 4\n"
        attempts.insert(0, attempt(b, "the last"))
        status, _, body = server.ask("GET", "/runs?key=task", Accept="application/json")
        assert status == 200
        assert json.loads(body)["runs"][0]["id"] == attempts[0]


def folder_of(path: Path) -> Path:
    """Make a folder for a server."""
    path = path / "server"
    path.mkdir()
    return path


def test_attempts_at_once(tmp_path: Path, engine: Server):
    """Of hosts that attempt the same at once one does, each time, also after a loss of all data."""
    with linked_hosts(tmp_path, engine.url, "race:", "abcd") as hosts:
        for host in hosts:
            host.begin()
        name = f"race:{key_name('task')}"
        for turn in range(2):
            newest = at_once(hosts)
            for host in hosts:  # a host that does not know the end yet would refuse for the sake of this one
                wait_until(host.store.get(newest).wait, PATIENCE, "its end")
            if turn == 0:
                engine.command("FLUSHALL")
                assert wait_until(lambda: engine.command("GET", name), PATIENCE) == newest.encode()


def at_once(hosts: list[Host]) -> str:
    """Attempt the same on all hosts at once; return the id of the attempt, which refuses all others."""
    begun: list[str] = []
    refused: list[str] = []
    barrier = threading.Barrier(len(hosts))

    def act(host: Host) -> None:
        barrier.wait()
        try:
            with runcast.attach("mail", store=host.store, key="task") as run:
                begun.append(run.id)
                wait_until(lambda: len(begun) + len(refused) == len(hosts), PATIENCE)
        except RunExists as error:
            refused.append(str(error.run_id))

    threads = [threading.Thread(target=act, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == 1
    assert refused == begun * (len(hosts) - 1)
    return begun[0]


def test_lost_attempt_elsewhere(two: list[Host]):
    """The key of an attempt whose process was killed is taken by the next one, on another host."""
    a, b = two
    code = "import runcast\nwith runcast.attach('mail', key='task'): input()"
    environment = os.environ | {"RUNCAST_STORE": a.store.path}
    worker = subprocess.Popen([sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE)
    try:
        first = wait_until(lambda: ids(a), PATIENCE, "an attempt")[0]
        with pytest.raises(RunExists):
            attempt(b)
    finally:
        worker.kill()
        worker.communicate()

    def taken() -> str | None:
        with contextlib.suppress(RunExists):
            return attempt(b, "second")
        return None

    second = wait_until(taken, PATIENCE, "the key")
    wait_until(lambda: ids(a) == [second, first], PATIENCE)


# Masked runs


def test_masked_run_with_a_key(two: list[Host]):
    """A masked start with a key is one run on all hosts; with another secret it is refused, everywhere."""
    a, b = two
    command = ["sh", "-c", "echo token-4711-very-secret"]
    mask = ["token-4711-very-secret"]
    run = a.store.start(command, mask=mask, key="deploy")
    assert b.store.start(command, mask=mask, key="deploy").id == run.id
    assert a.store.start(command, mask=mask, key="deploy").id == run.id
    other = ["sh", "-c", "echo token-4712-very-secret"]
    for host in two:
        with pytest.raises(RunExists, match="other options"):
            host.store.start(other, mask=["token-4712-very-secret"], key="deploy")
    assert b.store.get(run.id).output(timeout=PATIENCE) == "***\n"


def test_secret_of_fingerprints(tmp_path: Path):
    """What the engine has is not enough to try values out: the password of the URL is part of the secret."""
    with serving(valkey(), tmp_path / "valkey", "--requirepass", "pass word") as server:
        url = server.url.replace("redis://", "redis://:pass%20word@")
        with linked_hosts(tmp_path, url, "rc:", "abc") as (a, b, c):
            c.settings._replace(secret="another").write(c.store.path)
            command = ["sh", "-c", "echo token-4711-very-secret"]
            mask = ["token-4711-very-secret"]
            run = a.store.start(command, mask=mask, key="deploy")
            assert b.store.start(command, mask=mask, key="deploy").id == run.id
            with pytest.raises(RunExists, match="give all hosts the same secret"):
                c.store.start(command, mask=mask, key="deploy")
            kept = Path(a.store.path, ".mask-key-link")
            assert kept.stat().st_mode & 0o777 == 0o600
            assert kept.read_bytes() == Path(b.store.path, ".mask-key-link").read_bytes()
            value = json.loads(kept.read_text())
            fingerprint = files_of(run).request()["fingerprint"]
            assert fingerprint == fingerprint_by(bytes.fromhex(value["keys"][0]), command)
            assert fingerprint != fingerprint_by(derived(value["secret"], ""), command)
            assert fingerprint == fingerprint_by(derived(value["secret"], "pass word"), command)
            assert value["secret"].encode() == server_value(server)


def server_value(server: Server) -> object:
    """Return what the engine has of the secret."""
    import redis

    with redis.Redis(port=server.port, password="pass word") as client:
        return client.get("rc:secret")


def derived(engine: str, common: str) -> bytes:
    """Return the key that is made of what the engine has and of what it has not."""
    import hashlib
    import hmac

    return hmac.new(engine.encode(), b"runcast fingerprints " + common.encode(), hashlib.sha256).digest()


def fingerprint_by(key: bytes, command: list[str]) -> str:
    """Return the fingerprint of a command by a key."""
    import hashlib
    import hmac

    message = json.dumps(["command", None, "sh", command]).encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()


# Polls

APP = """
    from flask import Flask
    from runcast.web.flask import Runcast

    app = Flask(__name__)
    cast = Runcast(app)

    def numbers():
        yield from range(60)

    @app.get("/numbers")
    def some():
        return cast.stream(numbers, ahead=2)
"""


class Refused(Exception):
    """A poll was refused."""


class Client:
    """A client of several servers, with or without cookies."""

    def __init__(self, servers: list[Web], *, cookies: bool) -> None:
        self.servers, self.keeps = servers, cookies
        self.cookies: dict[str, str] = {}
        self.polls = 0

    def poll(self, path: str) -> dict[str, Any]:
        """Poll the next server."""
        server = self.servers[self.polls % len(self.servers)]
        self.polls += 1
        headers = {"Accept": "application/json"}
        if self.cookies and self.keeps:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        with server.stream(path, **headers) as reply:
            assert isinstance(reply, HTTPResponse)
            if reply.status != 200:
                raise Refused(reply.read())
            for line in reply.headers.get_all("Set-Cookie", []):
                name, _, value = line.partition(";")[0].partition("=")
                self.cookies[name] = value
            answer: dict[str, Any] = json.loads(reply.read())
            return answer

    def all(self, path: str) -> list[Any]:
        """Poll until the end; return the values."""
        values: list[Any] = []
        while True:
            answer = self.poll(path)
            values += [value for chunk in answer["chunks"] for value in chunk["values"]]
            if answer["closed"]:
                return values


@pytest.fixture
def served(tmp_path: Path, two: list[Host]) -> Iterator[list[Web]]:
    """A server of the same application on each of two hosts."""
    with contextlib.ExitStack() as stack:
        servers = []
        for host in two:
            folder = tmp_path / f"server-{host.name}"
            folder.mkdir()
            servers.append(stack.enter_context(Web(folder, "gunicorn", APP, store=host.store)))
        yield servers


@pytest.mark.parametrize("cookies", [True, False])
def test_polls_round_robin(served: list[Web], cookies: bool):
    """A client that polls two hosts in turn gets each value once, in order; then the key begins anew."""
    client = Client(served, cookies=cookies)
    assert client.all("/numbers?key=k&max=5") == list(range(60))
    assert client.polls >= 12
    before = client.polls
    assert client.all("/numbers?key=k&max=20") == list(range(60))
    assert client.polls > before + 2


def test_polls_without_the_host(two: list[Host], served: list[Web]):
    """Where the host of the run cannot be reached a poll is refused: nothing comes twice. Then it goes on."""
    a = two[0]
    client = Client(served, cookies=False)
    first = client.poll("/numbers?key=k&max=5")
    pid = a.begin()
    os.kill(pid, signal.SIGSTOP)
    try:
        status, headers, body = served[1].ask("GET", "/numbers?key=k&max=5", Accept="application/json")
        assert (status, headers["content-type"]) == (503, "application/problem+json")
        assert b"the place of its polls is kept on host a" in body
    finally:
        os.kill(pid, signal.SIGCONT)
    values = [value for chunk in first["chunks"] for value in chunk["values"]]
    client.servers = served[1:]
    path = "/numbers?key=k&max=10"

    def again() -> bool:
        with contextlib.suppress(Refused):
            values.extend(client.all(path))
            return True
        return False

    wait_until(again, PATIENCE, "the host")
    assert values == list(range(60))

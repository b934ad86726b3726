"""The examples, each as it stands but for its pauses, under its own server, with real clients.

A pause of a second becomes a wait for the file `go` where a test shows what comes before it.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests

from runcast import Store
from tests.helpers.children import marked
from tests.helpers.examples import EXAMPLES, JOB, PY_WAIT, WAIT, example
from tests.helpers.servers import LONG, Server
from tests.helpers.wait import wait_until
from tests.unit.wire.eventsource import EventSource

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
EVENTS = "text/event-stream"


@pytest.fixture(autouse=True)
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tell programs which file is their go-ahead."""
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    return tmp_path / "go"


def read_until(response: object, text: bytes) -> bytes:
    """Return what came up to a text."""
    seen = b""
    while text not in seen:
        data = response.read1()  # type: ignore[attr-defined]
        assert data, f"the reply ended before {text!r}: {seen!r}"
        seen += data
    return seen


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_examples_are_short(path: Path) -> None:
    """No example has more than 60 lines."""
    assert len(path.read_text().splitlines()) <= 60


# Flask, a command


COUNT = ("sleep 1; done", f"[ $i = 2 ] && {WAIT}; done"), ("i < 100", "i < 6")


def test_flask_command(tmp_path: Path, store: Store, go: Path) -> None:
    """curl and an EventSource see lines while the command goes on, and the interval while it is silent."""
    with example("flask_command", tmp_path, *COUNT, ("interval=5", "interval=0.1")) as server:
        curl = ["curl", "-sN", f"{server.root}/stream"]
        with (
            subprocess.Popen(curl, stdout=subprocess.PIPE) as process,
            server.stream("/stream", Accept=EVENTS) as response,
        ):
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(4)]
            assert lines == [b"0\n", b"1\n", b"2\n", b"*** Interval\n"]
            events = EventSource().read(read_until(response, b"Interval"))
            go.touch()
            rest = process.communicate(timeout=LONG)[0].splitlines()
            assert rest[-3:] == [b"3", b"4", b"5"]
            assert set(rest[:-3]) <= {b"*** Interval"}
            response.read()
        assert [event.data for event in events if event.type == "message"][:3] == ["0", "1", "2"]
        assert len(list(store.list())) == 2


def test_flask_python_that_does_not_flush(tmp_path: Path, go: Path) -> None:
    """What a Python script prints arrives though it never flushes."""
    wait = ("    time.sleep(1)", f"    {PY_WAIT}"), ("import time\nfor", "import os, time\nfor")
    with (
        example("flask_command", tmp_path, *wait, ("range(100)", "range(2)")) as server,
        server.stream("/python") as response,
    ):
        assert read_until(response, b"\n") == b"number 0\n"
        go.touch()
        assert response.read() == b"number 1\n"


def test_flask_command_is_stopped_in_time(tmp_path: Path) -> None:
    """The timeout ends a command that goes on, and the reply with it."""
    with example("flask_command", tmp_path, ("timeout=300", "timeout=0.3")) as server:
        events = EventSource().read(server.ask("GET", "/stream", Accept=EVENTS)[2])
        assert events[-1].type == "exit"
        assert json.loads(events[-1].data)["outcome"]["reason"] == "timed out"


# Flask, a background command


def submit(server: Server, command: str, action: str, cookie: str = "") -> tuple[int, str, str]:
    """Send the page's form; return the status, the cookie `run` and the body."""
    form = urllib.parse.urlencode({"command": command, "action": action}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if cookie:
        headers["Cookie"] = f"run={cookie}"
    status, fields, body = server.ask("POST", "/", form, **headers)
    kept = SimpleCookie(fields.get("set-cookie", ""))
    return status, kept["run"].value if "run" in kept else "", body.decode()


def events_of(server: Server, run: str) -> list[tuple[str, str]]:
    """Return the events of a run to its end."""
    body = server.ask("GET", f"/runs/{run}/log?named=1", Accept=EVENTS)[2]
    return [(event.type, event.data) for event in EventSource().read(body)]


def test_flask_background(tmp_path: Path, store: Store) -> None:
    """Channels are distinct, an unknown command is a sentence, and starting one stops the former."""
    (tmp_path / "app.log").write_text("".join(f"line {number}\n" for number in range(6000)))
    log = ("/var/log/dpkg.log", str(tmp_path / "app.log"))
    with example("flask_background", tmp_path, log, server="gunicorn", workers=3) as server:
        page = server.ask("GET", "/")[2].decode()
        assert page.count("<option>") == 7

        status, run, _ = submit(server, "pwd", "start_command")
        assert status == 303
        fields = events_of(server, run)
        assert ("message", os.getcwd()) in fields

        both = next(line for line in page.splitlines() if "this is stdout" in line)
        name = both.partition("<option>bash")[2].partition("</option>")[0]
        _, run, _ = submit(
            server,
            "bash" + name.replace("&#39;", "'").replace("&gt;", ">").replace("&amp;", "&"),
            "start_command",
        )
        fields = events_of(server, run)
        assert ("message", "this is stdout") in fields
        assert ("stderr", "and this is stderr") in fields
        assert json.loads(fields[-1][1])["outcome"]["code"] == 3

        _, run, _ = submit(server, "unknown-command", "start_command")
        outcome = json.loads(events_of(server, run)[-1][1])["outcome"]
        assert outcome["reason"] == "failed to start"
        assert "unknown-command" in outcome["message"]

        _, run, _ = submit(server, f"tail --lines=5000 {tmp_path}/app.log", "start_command")
        assert len([kind for kind, _ in events_of(server, run) if kind == "message"]) == 5000

        _, first, _ = submit(server, f"tail --lines=10 -f {tmp_path}/app.log", "start_command")
        with server.stream(f"/runs/{first}/log?named=1", Accept=EVENTS) as response:
            read_until(response, b"line 5999")
        _, second, _ = submit(server, "pwd", "start_command", first)
        assert second != first
        assert store.get(first).wait(timeout=LONG).reason == "stopped"
        assert marked(first) == []

        status, _, body = submit(server, "rm -rf /", "start_command")
        assert status == 404
        assert "no command 'rm -rf /'" in body


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_flask_background_survives_its_end(tmp_path: Path, store: Store, number: signal.Signals) -> None:
    """Ctrl-C or SIGTERM says what still runs and how to stop it; after a restart nothing is missing."""
    (tmp_path / "app.log").write_text("before\n")
    log = ("/var/log/dpkg.log", str(tmp_path / "app.log"))
    with example("flask_background", tmp_path, log) as server:
        _, run, _ = submit(server, f"tail --lines=10 -f {tmp_path}/app.log", "start_command")
        with server.stream(f"/runs/{run}/log", Accept=EVENTS) as response:
            browser = EventSource()
            browser.read(read_until(response, b"before"))
        assert server.process is not None
        server.process.send_signal(number)
        server.process.wait(LONG)
        assert f"runcast stop {run}" in (tmp_path / "server.log").read_text()
        with (tmp_path / "app.log").open("a") as file:
            file.write("meanwhile\n")
        server.start()
        again = {"Accept": EVENTS, "Last-Event-ID": browser.last_event_id}
        with server.stream(f"/runs/{run}/log", **again) as response:
            seen = read_until(response, b"meanwhile")
        assert b"data: before" not in seen
        assert run in server.ask("GET", "/", Cookie=f"run={run}")[2].decode()
        assert submit(server, "pwd", "stop_command", run)[0] == 303
        assert store.get(run).wait(timeout=LONG).reason == "stopped"


# CherryPy, a generator


def test_cherrypy_generator(tmp_path: Path, store: Store) -> None:
    """Two clients poll one URL at their own pace; each gets every prime, the count and the end."""
    with example("cherrypy_generator", tmp_path) as server:

        def poll(key: str, most: int = 1) -> dict[str, Any]:
            url = f"{server.root}/prime?below=20&key={key}&max={most}"
            answer: dict[str, Any] = requests.get(
                url, headers={"Accept": "application/json"}, timeout=LONG
            ).json()
            return answer

        first = [poll("a") for _ in range(3)]
        others = [poll("b")]
        while not others[-1]["closed"]:
            others.append(poll("b", 5))
        while not first[-1]["closed"]:
            first.append(poll("a"))
        for answers in (first, others):
            chunks = [chunk for answer in answers for chunk in answer["chunks"]]
            values = [value for chunk in chunks for value in chunk["values"]]
            assert values == [2, 3, 5, 7, 11, 13, 17, 19]
            assert answers[-1]["count"] == 8
            assert answers[-1]["state"] == "exited"
            assert not answers[0]["closed"]  # though the generator, some values ahead, may have ended
        assert len(list(store.list())) == 2
        assert server.ask("GET", "/prime?below=8")[2] == b"2\n3\n5\n7\n"
        assert b"fetch(`/prime?key=" in server.ask("GET", "/")[2]


def test_cherrypy_generator_abandoned(tmp_path: Path, store: Store) -> None:
    """A generator whose client has gone stands still: an endless one costs nothing."""
    with example("cherrypy_generator", tmp_path) as server:
        server.ask("GET", "/prime?below=1000000000&key=gone&max=1", Accept="application/json")
        (run,) = store.list()
        tail = wait_until(lambda: run.tail_offset)
        assert tail < 1000  # a few primes ahead of what was read, of fifty million
        assert run.outcome is None


# Bottle, short lines

SHORT = ("sleep 3", WAIT)


@contextlib.contextmanager
def client(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a client; what it prints is read here."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("kind", ["requests", "curl", "httpie", "httpx2"])
def test_bottle_lines_arrive_at_once(tmp_path: Path, go: Path, kind: str) -> None:
    """A line of two bytes is there before the next is written, in each client as it is."""
    with example("bottle_lines", tmp_path, SHORT) as server:
        url = f"{server.root}/stream"
        commands = {
            "requests": [sys.executable, str(EXAMPLES / "bottle_client.py"), url],
            "curl": ["curl", "-sN", url],
            "httpie": [str(BIN / "http"), "--stream", "--body", "--ignore-stdin", url],
        }
        if kind == "httpx2":
            with httpx2.stream("GET", url, timeout=LONG) as response:
                lines = response.iter_lines()
                assert next(lines) == "1"
                go.touch()
                assert list(lines) == ["2", "3"]
            return
        with client(*commands[kind]) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"1\n"
            go.touch()
            assert process.communicate(timeout=LONG)[0].split() == [b"2", b"3"]


@pytest.mark.parametrize(
    "printed",
    [b"", b"x", b"no newline at the end", b"long" * 100_000, bytes(range(256)) * 20, b"\n\n\n"],
    ids=["empty", "one byte", "no newline", "a long line", "binary", "empty lines"],
)
def test_bottle_bytes_are_the_same(tmp_path: Path, printed: bytes) -> None:
    """Whatever a command writes arrives byte by byte."""
    (tmp_path / "printed").write_bytes(printed)
    command = ("echo 1 && sleep 3 && echo 2 && sleep 3 && echo 3", f"cat {tmp_path}/printed")
    with example("bottle_lines", tmp_path, command) as server:
        assert requests.get(f"{server.root}/stream", timeout=LONG).content == printed


def test_bottle_says_what_a_shell_string_needs(tmp_path: Path) -> None:
    """Without shell=True the article's string is an error of the view, whose author reads how to write it."""
    with example("bottle_lines", tmp_path, (", shell=True", "")) as server:
        assert server.ask("GET", "/stream")[0] == 500
        log = server.folder / "server.log"
        wait_until(lambda: "pass shell=True" in log.read_text(), what="the error in the server's log")


# Django, prints


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_django_prints(tmp_path: Path, go: Path, kind: str) -> None:
    """Prints arrive while the function goes on, gzip or not, its last word included; requests keep apart."""
    changes = [*JOB, ("app = get_asgi", "asgi = get_asgi"), ("wsgi = get", "app = get")]
    chosen = ("itself", JOB) if kind == "asgi" else ("gunicorn", changes)
    with example("django_prints", tmp_path, *chosen[1], server=chosen[0]) as server:
        gzip = {"Accept-Encoding": "gzip"}
        with server.stream("/stream/", **gzip) as one, server.stream("/stream/?times=2") as two:
            assert read_until(one, b"\n") == read_until(two, b"\n") == b"Task #0\n"
            go.touch()
            rest, other = one.read(), two.read()
    assert rest.decode().splitlines() == [*(f"Task #{number}" for number in range(1, 10)), "Done"]
    assert other == b"Task #1\nDone\n"
    assert "Task" not in (tmp_path / "server.log").read_text()


def test_django_browser_gets_the_page_unmounted(tmp_path: Path, store: Store, go: Path) -> None:
    """With nothing mounted the page, its files and the log are behind the view's own URL."""
    go.touch()
    with example("django_prints", tmp_path, *JOB) as server:
        status, headers, _ = server.ask("GET", "/stream/?times=2", Accept="text/html")
        (run,) = store.list()
        assert (status, headers["location"]) == (303, f"/stream/?times=2&runcast=/runs/{run.id}")
        status, headers, body = server.ask("GET", headers["location"], Accept="text/html")
        assert status == 200
        script = body.decode().partition('<script type="module" src="')[2].partition('"')[0]
        script = script.replace("&amp;", "&")
        status, headers, code = server.ask("GET", script)
        assert (status, headers["content-type"]) == (200, "text/javascript; charset=utf-8")
        imported = code.decode().partition('from "')[2].partition('"')[0]
        assert server.ask("GET", imported)[0] == 200
        log = f"/stream/?times=2&runcast=/runs/{run.id}/log"
        assert server.ask("GET", f"{log}?offset=8")[2] == b"Task #1\nDone\n"
        for path in ("/runs", f"/runs/{store.start(['true']).id}"):
            assert server.ask("GET", f"/stream/?runcast={path}")[0] == 403
        assert len(list(store.list())) == 2


# FastAPI


def test_fastapi_async(tmp_path: Path, go: Path) -> None:
    """Prints of an async function, values of an async generator: live, each in its own form."""
    wait = (
        ("await asyncio.sleep(1)", "while not os.path.exists(os.environ['GO']): await asyncio.sleep(0.01)"),
        ("import asyncio", "import asyncio, os"),
    )
    with example("fastapi_async", tmp_path, *wait) as server:
        with server.stream("/stream?times=2") as one, server.stream("/numbers?to=2") as two:
            assert read_until(one, b"\n") == b"Task #0\n"
            assert json.loads(read_until(two, b"\n")) == {"number": 0, "square": 0}
            go.touch()
            assert one.read() == b"Task #1\nDone\n"
            assert json.loads(two.read()) == {"number": 1, "square": 1}
        polled = json.loads(server.ask("GET", "/numbers?to=1", Accept="application/json")[2])
        assert polled["chunks"][0]["values"] == [{"number": 0, "square": 0}]


def test_fastapi_talk(tmp_path: Path, store: Store) -> None:
    """A program is talked to over the run's WebSocket; a foreign page's is refused."""
    with example("fastapi_async", tmp_path) as server:
        socket = json.loads(server.ask("POST", "/talk")[2])["socket"]
        url = f"ws://127.0.0.1:{server.port}{socket}"
        from websockets.exceptions import InvalidStatus
        from websockets.sync.client import connect

        with pytest.raises(InvalidStatus):
            connect(url, origin="http://evil.example")  # type: ignore[arg-type]
        with connect(url) as talk:
            output = ""
            while "Your name? " not in output:
                output += text_of(talk.recv(LONG))
            talk.send(json.dumps({"stdin": "Ada\n"}))
            while "Hello, Ada\n" not in output:
                output += text_of(talk.recv(LONG))


def text_of(message: str | bytes) -> str:
    """Return the text in a message of a WebSocket."""
    return "".join(chunk["text"] for chunk in json.loads(message).get("chunks", []))


# Flask, behind a login


@pytest.mark.parametrize("server", ["itself", "gunicorn"])
def test_flask_login(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    """Nothing is shown or started before the login, all after it, and nothing again after the logout."""
    monkeypatch.setenv("PASSWORD", "correct horse")
    monkeypatch.setenv("SECRET_KEY", "the same in each worker")
    json_body = {"Content-Type": "application/json"}
    with example("flask_login", tmp_path, server=server, workers=2) as running:

        def start(**headers: str) -> int:
            return running.ask("POST", "/runs", b'{"name": "pwd"}', **json_body, **headers)[0]

        def log_in(password: str) -> tuple[int, str]:
            form = urllib.parse.urlencode({"password": password}).encode()
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            status, fields, _ = running.ask("POST", "/login", form, **kind)
            return status, fields.get("set-cookie", "").partition(";")[0]

        assert running.ask("GET", "/runs", Accept="text/html")[0] == 403
        assert running.ask("GET", "/commands")[0] == 403
        assert start() == 403
        assert log_in("wrong") == (403, "")
        assert start(Cookie="session=forged") == 403
        assert list(store.list()) == []

        status, cookie = log_in("correct horse")
        assert status == 303
        assert running.ask("GET", "/runs", Accept="text/html", Cookie=cookie)[0] == 200
        assert start(Cookie=cookie) == 201
        (run,) = store.list()
        assert running.ask("GET", f"/runs/{run.id}/log", Cookie=cookie)[2] == f"{os.getcwd()}\n".encode()
        assert running.ask("GET", f"/runs/{run.id}/log")[0] == 403

        gone = running.ask("POST", "/logout", b"", Cookie=cookie)[1]["set-cookie"]
        assert "session=;" in gone


# aiohttp, whose adapter is an example itself


def test_aiohttp(tmp_path: Path, store: Store, go: Path) -> None:
    """A command is streamed while it goes on, and the values of a generator as they come."""
    shutil.copy(EXAMPLES / "for_aiohttp" / "runcast_aiohttp.py", tmp_path)
    with example("for_aiohttp/app", tmp_path, *COUNT, ("interval=5", "interval=0.1")) as server:
        with server.stream("/stream") as response:
            assert read_until(response, b"*** Interval").startswith(b"0\n1\n2\n")
            go.touch()
            rest = response.read().splitlines()
            assert rest[-3:] == [b"3", b"4", b"5"]
        events = EventSource().read(server.ask("GET", "/numbers?to=3", Accept=EVENTS)[2])
        assert [event.data for event in events if event.type == "message"] == ["0", "1", "2"]

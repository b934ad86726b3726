"""Writing to a program that does not read: its senders wait, and nothing else does."""

import contextlib
import http.client
import json
import signal
import threading
from pathlib import Path

import pytest
from websockets.sync.client import connect

from runcast import Run, Store
from runcast.model import Reason
from runcast.web.http.messages import Reply, Request
from runcast.web.responder import Responder
from tests.helpers.servers import ASGI, LONG, Server
from tests.helpers.wait import wait_until
from tests.integration.supervisor.test_stdin import queued
from tests.integration.web.mounted import mounted_code, prefix_of

RUNS, SENDERS = 5, 8  # more in all than an event loop has threads, which is 32 on large machines
BODY = b"x" * 200_000  # a pipe holds 64 KiB


@pytest.fixture
def sleepers(store: Store) -> list[Run]:
    """Programs that never read."""
    return [store.start(["sleep", "600"], stdin="pipe") for _ in range(RUNS)]


def send(
    stack: contextlib.ExitStack, server: Server, run: Run, prefix: str = ""
) -> http.client.HTTPConnection:
    """Send to a run's stdin, and return where the answer will come."""
    connection = stack.enter_context(server.connect())
    connection.request("POST", f"{prefix}/runs/{run.id}/stdin", BODY)
    return connection


@pytest.mark.slow
def test_senders_hold_up_nobody(store: Store, tmp_path: Path, sleepers: list[Run]) -> None:
    """While many wait for programs that do not read, runs are started and stopped, and others are heard."""
    reads = store.start(["cat"], stdin="pipe")
    with Server(tmp_path, "uvicorn", ASGI) as server, contextlib.ExitStack() as stack:
        waiting = [send(stack, server, run) for run in sleepers for _ in range(SENDERS)]
        wait_until(lambda: all(queued(run) >= 65536 - 4096 for run in sleepers), LONG, "the pipes to fill")

        status, _, text = server.ask("POST", f"/runs/{reads.id}/stdin?eof=1", b"hello")
        assert (status, text) == (204, b"")
        assert reads.output(timeout=LONG) == "hello"
        assert (
            server.ask("POST", "/runs", b'{"command": ["true"]}', Content_Type="application/json")[0] == 201
        )
        for run in sleepers:
            status, _, text = server.ask("POST", f"/runs/{run.id}/stop", b'{"grace": 0}')
            assert status == 202, text
        answers = [connection.getresponse() for connection in waiting]

        assert {answer.status for answer in answers} == {409}


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["asgi", "starlette", "django-asgi"])
def test_server_ends(store: Store, tmp_path: Path, sleepers: list[Run], framework: str) -> None:
    """A server that shuts down does not wait for a program to read; the sender gets an error."""
    code, prefix = mounted_code(framework), prefix_of(framework)
    with Server(tmp_path, "uvicorn", code) as server, contextlib.ExitStack() as stack:
        waiting = send(stack, server, sleepers[0], prefix)
        wait_until(lambda: queued(sleepers[0]) >= 65536 - 4096, what="the pipe to fill")
        assert server.process is not None
        server.process.terminate()

        assert server.process.wait(LONG) in (0, -signal.SIGTERM)
        answer = waiting.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]) == (503, "NotTaken")


def test_only_so_many_wait(store: Store, sleepers: list[Run]) -> None:
    """A sender to a program with many waiting senders is refused at once; those to other programs are not."""
    full, other = sleepers[:2]
    responder = Responder(store)
    answers: list[Reply] = []

    def post(run: Run) -> None:
        answers.append(responder.respond(Request("POST", f"/runs/{run.id}/stdin", body=BODY)))

    waiting = [threading.Thread(target=post, args=(full,), daemon=True) for _ in range(SENDERS)]
    for thread in waiting:
        thread.start()
    wait_until(lambda: responder.senders.waiting(full) == SENDERS)
    post(full)
    (refused,) = answers
    fields = json.loads(refused.body)
    assert (refused.status, fields["error"]) == (429, "TooManySenders")
    assert fields["detail"].startswith(f"expected run {full.id} to read what it was sent, 8 requests wait")

    waiting.append(threading.Thread(target=post, args=(other,), daemon=True))
    waiting[-1].start()
    wait_until(lambda: responder.senders.waiting(other) == 1)
    for run in (full, other):
        run.kill()
    for thread in waiting:
        thread.join(LONG)
    assert [answer.status for answer in answers[1:]] == [409] * (SENDERS + 1)
    assert (responder.senders.waiting(full), responder.senders.waiting(other)) == (0, 0)


@pytest.mark.slow
def test_senders_by_websocket(store: Store, tmp_path: Path, sleepers: list[Run]) -> None:
    """Those who send by WebSocket hold up nobody either."""
    with Server(tmp_path, "uvicorn", ASGI) as server, contextlib.ExitStack() as stack:
        url = server.root.replace("http", "ws")
        for run in sleepers:
            for _ in range(SENDERS):
                socket = stack.enter_context(connect(f"{url}/runs/{run.id}/log", close_timeout=0))
                socket.send(json.dumps({"stdin": BODY.decode()}))
        wait_until(lambda: all(queued(run) >= 65536 - 4096 for run in sleepers), LONG, "the pipes to fill")

        for run in sleepers:
            status, _, text = server.ask("POST", f"/runs/{run.id}/stop", b'{"grace": 0}')
            assert status == 202, text


@pytest.mark.slow
def test_stop_passes_what_is_not_taken(store: Store, tmp_path: Path) -> None:
    """A WebSocket's stop is obeyed though the program does not take the stdin that came before it."""
    run = store.start(["sleep", "600"], stdin="pipe")
    with Server(tmp_path, "uvicorn", ASGI) as server:
        url = f"{server.root.replace('http', 'ws')}/runs/{run.id}/log"
        with connect(url, close_timeout=0) as socket:
            for message in ({"stdin": BODY.decode()}, {"stdin": "more"}, {"stop": {"grace": 0}}):
                socket.send(json.dumps(message))

            outcome = run.wait(timeout=LONG)
            assert outcome.reason is Reason.STOPPED, outcome


@pytest.mark.slow
def test_who_leaves_is_seen_while_nothing_is_taken(store: Store, tmp_path: Path) -> None:
    """A client of a WebSocket whose stdin nobody takes is no viewer any more when it has left."""
    with Server(tmp_path, "uvicorn", ASGI) as server:
        run = store.start(["sleep", "600"], stdin="pipe", stop_unwatched=5)
        url = f"{server.root.replace('http', 'ws')}/runs/{run.id}/log"
        with connect(url, close_timeout=0) as socket:
            socket.send(json.dumps({"stdin": BODY.decode()}))
            wait_until(lambda: queued(run) >= 65536 - 4096, LONG, "the pipe to fill")

        outcome = run.wait(timeout=LONG)
        assert outcome.reason is Reason.STOPPED, outcome


def test_stdin_keeps_its_order(store: Store, tmp_path: Path) -> None:
    """Input from a WebSocket arrives in its order, and ends where its message has `eof`."""
    run = store.start(["cat"], stdin="pipe")
    with Server(tmp_path, "uvicorn", ASGI) as server:
        with connect(f"{server.root.replace('http', 'ws')}/runs/{run.id}/log", close_timeout=0) as socket:
            for number in range(100):
                socket.send(json.dumps({"stdin": f"{number}\n"}))
            socket.send(json.dumps({"eof": True}))

            assert run.output(timeout=LONG).split() == [str(number) for number in range(100)]

"""The third article's client: it polls one URL that never changes, and keeps no index."""

import http.client
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.servers import Server
from tests.helpers.stores import empty_store, temporary_store
from tests.helpers.wait import MS, wait_until

pytestmark = pytest.mark.slow

APP = """
    from flask import Flask
    from runcast.web.flask import Runcast

    app = Flask(__name__)
    cast = Runcast(app)

    def primes():
        n = 2
        while True:
            if all(n % d for d in range(2, n)):
                yield n
            n += 1

    def few():
        yield from (1, 2, 3)
        return "done"

    def watched():
        try:
            while True:
                yield "x" * 1000
        finally:
            open("CLOSED", "w").close()

    @app.get("/prime")
    def prime():
        return cast.stream(primes, ahead=2)

    @app.get("/few")
    def some():
        return cast.stream(few)

    @app.get("/left")
    def left():
        return cast.stream(watched, idle_timeout=0.3)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the article's application with two workers, for all tests: a poll meets either."""
    folder = tmp_path_factory.mktemp("served")
    code = APP.replace("CLOSED", str(folder / "closed"))
    with (
        temporary_store(folder / "store") as store,
        Server(folder, "gunicorn", code, workers=2, store=store) as running,
    ):
        yield running


@pytest.fixture
def server(served: Server) -> Iterator[Server]:
    """Give the server, whose store is empty."""
    yield served
    empty_store(served.store)


class Browser:
    """A client that sends back the cookies it was given, as browsers and sessions do."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cookies: dict[str, str] = {}

    def poll(self, path: str) -> dict[str, Any]:
        sent = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Accept": "application/json"} | ({"Cookie": sent} if sent else {})
        with self.server.stream(path, **headers) as reply:
            for line in reply.headers.get_all("Set-Cookie", []):
                name, _, value = line.partition(";")[0].partition("=")
                self.cookies[name] = value
            answer: dict[str, Any] = json.loads(reply.read())
            return answer


def poll(server: Server, path: str) -> dict[str, Any]:
    """Poll once, and remember nothing."""
    return Browser(server).poll(path)


def values(answer: dict[str, Any]) -> list[Any]:
    """Return the values of a reply."""
    return [value for chunk in answer["chunks"] for value in chunk["values"]]


def test_key_goes_on(server: Server) -> None:
    """A key is all that a client needs: each poll goes on where the last one ended."""
    answers = [poll(server, "/prime?key=a&max=1") for _ in range(6)]

    assert [values(answer) for answer in answers] == [[2], [3], [5], [7], [11], [13]]
    assert [answer["count"] for answer in answers] == [1, 2, 3, 4, 5, 6]
    assert {answer["next_url"] for answer in answers} == {"/prime?key=a&max=1"}


def test_keys_are_apart(server: Server) -> None:
    """Two clients with keys of their own go at their own pace."""
    first = [values(poll(server, "/prime?key=a&max=1")) for _ in range(4)]
    second = [values(poll(server, "/prime?key=b&max=1")) for _ in range(2)]

    assert first == [[2], [3], [5], [7]]
    assert second == [[2], [3]]


def test_cookie_goes_on(server: Server) -> None:
    """Without a key a cookie does it, for each browser on its own."""
    one, other = Browser(server), Browser(server)

    seen = [values(browser.poll("/prime?max=1")) for browser in (one, one, other, one, other)]

    assert seen == [[2], [3], [2], [5], [3]]


def test_end_is_told(server: Server) -> None:
    """At the end `closed` is true and the outcome is there; the next poll of the key begins anew."""
    seen: list[Any] = []
    while True:
        answer = poll(server, "/few?key=k")
        seen += values(answer)
        if answer["closed"]:
            break

    assert seen == [1, 2, 3]
    assert (answer["outcome"]["ok"], answer["outcome"]["value"]) == (True, "done")
    assert (answer["count"], answer["next_url"]) == (3, None)
    assert values(poll(server, "/few?key=k&max=1")) == [1]


def test_lost_reply_is_sent_again(server: Server) -> None:
    """A reply that its client never got is not acknowledged by the next request: it comes again."""
    browser = Browser(server)
    assert values(browser.poll("/prime?key=a&max=1")) == [2]
    before = dict(browser.cookies)
    assert values(browser.poll("/prime?key=a&max=1")) == [3]

    browser.cookies = before  # as if that reply had been lost on its way

    assert values(browser.poll("/prime?key=a&max=1")) == [3]
    assert values(browser.poll("/prime?key=a&max=1")) == [5]


def test_client_that_leaves_loses_nothing(server: Server) -> None:
    """Whoever hangs up before the reply is there finds its values at the next poll, without any cookie."""
    seen = values(poll(server, "/prime?key=a&max=1"))
    for _ in range(5):
        connection = socket.create_connection(("127.0.0.1", server.port))
        # The request leaves with the end of the connection: else a fast reply may come first (tcp(7)).
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        connection.sendall(b"GET /prime?key=a&max=1 HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n")
        connection.close()
    while len(seen) < 8:
        seen += values(poll(server, "/prime?key=a&max=1"))

    assert seen[:8] == [2, 3, 5, 7, 11, 13, 17, 19]


def test_overlapping_polls(server: Server) -> None:
    """Polls of one key at the same time are all answered, and none of them fails."""
    browser = Browser(server)
    assert values(browser.poll("/prime?key=a&max=1")) == [2]

    with ThreadPoolExecutor(4) as pool:
        cookies = [Browser(server) for _ in range(4)]
        for one in cookies:
            one.cookies = dict(browser.cookies)
        answers = list(pool.map(lambda one: values(one.poll("/prime?key=a&max=1")), cookies))

    assert answers == [[3]] * 4
    assert values(cookies[0].poll("/prime?key=a&max=1")) == [5]


def test_abandoned_generator_is_closed(server: Server) -> None:
    """A client that never comes back leaves nothing behind: its generator is closed, its key is free."""
    first = poll(server, "/left?key=k")
    wait_until((server.folder / "closed").exists, what="the generator's finally")
    run = next(iter(server.store.list()))
    run.wait(timeout=20000 * MS)
    wait_until(lambda: run.closed, what="the log to be closed")

    assert first["count"] > 0
    assert poll(server, "/left?key=k")["offset"] == "0" * 20
    assert len(list(server.store.list())) == 2


def test_damaged_position(server: Server) -> None:
    """A position whose writer died in the middle is begun anew: values come again, none is lost."""
    seen = [values(poll(server, "/prime?key=a&max=1")) for _ in range(2)]
    (damaged,) = Path(server.store.path).glob(".position-*")
    damaged.write_text(damaged.read_text()[:-3])

    assert seen == [[2], [3]]
    assert [values(poll(server, "/prime?key=a&max=1")) for _ in range(3)] == [[2], [3], [5]]


def test_key_too_long(server: Server) -> None:
    """A key of a thousand characters is refused with what was expected."""
    status, body = 0, b""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20000 * MS)
    connection.request("GET", f"/prime?key={'k' * 1000}", headers={"Accept": "application/json"})
    reply = connection.getresponse()
    status, body = reply.status, reply.read()
    connection.close()

    assert status == 400
    assert "expected a key of 1 to 200 characters, got 1000" in json.loads(body)["detail"]

"""`/v1/stream/` under real servers: runs to read, what is refused, what is never read."""

import socket
from pathlib import Path

import pytest

from runcast import Store
from runcast.durable import FileStreams
from tests.helpers.servers import LONG, Server
from tests.helpers.wait import wait_until

TEXT = {"Content-Type": "text/plain"}


def test_run(server: Server, store: Store) -> None:
    """A run is a stream of octets that others cannot append to; its output may be cached for ever."""
    run = store.start(["printf", "one\\ntwo\\n"])
    wait_until(lambda: run.closed)
    path = f"/v1/stream/runs/{run.id}"
    status, fields, body = server.ask("GET", f"{path}?offset=-1")

    assert (status, body) == (200, b"one\ntwo\n")
    assert fields["content-type"] == "application/octet-stream"
    assert fields["stream-next-offset"] == "0" * 19 + "8"
    assert (fields["stream-up-to-date"], fields["stream-closed"]) == ("true", "true")
    assert fields["cache-control"] == "private, max-age=31536000, immutable"
    for match in (fields["etag"], f"W/{fields['etag']}", f'"other", {fields["etag"]}', "*"):
        assert server.ask("GET", f"{path}?offset=-1", If_None_Match=match)[0] == 304
    assert server.ask("GET", f"{path}?offset=-1", If_None_Match='"other"')[0] == 200
    assert server.ask("GET", f"{path}?offset=4")[2] == b"two\n"
    assert server.ask("HEAD", path)[1]["stream-closed"] == "true"
    for method in ("PUT", "POST", "DELETE"):
        status, fields, _ = server.ask(method, path, b"x", **TEXT)
        assert (status, fields["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_dropped_part_of_a_run(server: Server, store: Store) -> None:
    """An offset whose bytes the cap dropped is gone, and the reply says where to go on."""
    run = store.start(["sh", "-c", "yes | head -c 1000000"], cap=65536)
    wait_until(lambda: run.closed)
    path = f"/v1/stream/runs/{run.id}"
    _, fields, _ = server.ask("GET", f"{path}?offset=-1")
    status, gone, _ = server.ask("GET", f"{path}?offset={fields['stream-next-offset']}")

    assert status == 410
    status, last, body = server.ask("GET", f"{path}?offset={gone['stream-next-offset']}")
    assert (status, last["stream-closed"]) == (200, "true")
    assert set(body) == {ord("y"), ord("\n")}


def test_no_such_run(server: Server) -> None:
    """A run that is not there is not there for this protocol either."""
    assert server.ask("GET", "/v1/stream/runs/none")[0] == 404
    assert server.ask("HEAD", "/v1/stream/runs/none")[0] == 404


@pytest.mark.parametrize(
    "name", ["../x", "a/../b", "%2e%2e/x", "a//b", "a%00b", "a%0ab", "", "x" * 1025, "%FF", "x%FE"]
)
def test_bad_name(server: Server, store: Store, name: str) -> None:
    """A name that could lead elsewhere, or is too long, is refused, and nothing is made."""
    for method in ("PUT", "POST", "GET", "DELETE"):
        assert server.ask(method, f"/v1/stream/{name}", **TEXT)[0] in (400, 404)
    assert server.ask("PUT", f"/v1/stream/{name}", **TEXT)[0] == 400
    assert not (Path(store.path) / ".streams").exists()


def test_four_kilobytes_of_name(server: Server) -> None:
    """A name of 4 KB is refused, by us or by the server before us."""
    assert server.ask("PUT", f"/v1/stream/{'x' * 4096}", **TEXT)[0] in (400, 414)


def test_body_over_the_limit(server: Server) -> None:
    """A body that says it is too large is refused before it is sent."""
    server.ask("PUT", "/v1/stream/s", **TEXT)
    head = (
        "POST /v1/stream/s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
        "Content-Length: 17000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), LONG) as connection:
        connection.sendall(head.encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 413 ")
    assert server.ask("HEAD", "/v1/stream/s")[1]["stream-next-offset"] == "0" * 20


def test_body_in_chunks_over_the_limit(server: Server) -> None:
    """A body without a length is refused as soon as it is too large, and nothing is appended."""
    server.ask("PUT", "/v1/stream/s", **TEXT)
    head = "POST /v1/stream/s HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
    head += "Transfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), LONG) as connection:
        connection.sendall(head.encode())
        block = b"100000\r\n" + bytes(0x100000) + b"\r\n"
        sent = 0
        try:
            while sent < 40:  # of these 17 are too much; what is in buffers may be sent still
                connection.sendall(block)
                sent += 1
        except OSError:
            pass
        connection.settimeout(LONG)
        try:
            output = connection.recv(64)
        except ConnectionError:
            output = b""
    assert output.startswith(b"HTTP/1.1 413 ") or (output == b"" and sent < 40)
    assert server.ask("HEAD", "/v1/stream/s")[1]["stream-next-offset"] == "0" * 20


def test_large_append(server: Server, store: Store) -> None:
    """An append may be larger than other requests, and it is appended as a whole."""
    body = bytes(range(256)) * 40_000
    server.ask("PUT", "/v1/stream/s", Content_Type="application/octet-stream")
    status, fields, _ = server.ask("POST", "/v1/stream/s", body, Content_Type="application/octet-stream")

    assert status == 204
    got, offset = b"", "-1"
    while "stream-up-to-date" not in (reply := server.ask("GET", f"/v1/stream/s?offset={offset}"))[1]:
        got, offset = got + reply[2], reply[1]["stream-next-offset"]
    assert got + reply[2] == body
    stream = FileStreams(store.path).get("s")
    assert stream.open_log().tail_offset == len(body)
    assert fields["stream-next-offset"] == reply[1]["stream-next-offset"]


def test_page_of_a_stream(server: Server) -> None:
    """A stream has the page, the state and the log of a run; nobody can stop it."""
    _, fields, _ = server.ask("PUT", "/v1/stream/builds/42", b"line 1\n", **TEXT)
    page = fields["link"].partition(">")[0].removeprefix("<")

    status, _, body = server.ask("GET", page, Accept="application/json")
    assert (status, b'"state":"running"' in body, b'"name":"builds/42"' in body) == (200, True, True)
    assert server.ask("GET", page, Accept="text/html")[2].startswith(b"<!doctype html>")
    assert server.ask("POST", f"{page}/stop", b"{}", Content_Type="application/json")[0] == 409
    server.ask("POST", "/v1/stream/builds/42", b"line 2\n", Stream_Closed="true", **TEXT)
    assert server.ask("GET", f"{page}/log")[2] == b"line 1\nline 2\n"
    assert b'"state":"exited"' in server.ask("GET", page, Accept="application/json")[2]


def test_page_in_a_stream_runs_nothing(server: Server) -> None:
    """A stream of HTML is no page of the server's: it may run no script and read nothing."""
    server.ask("PUT", "/v1/stream/s", b"<script src='/v1/stream/t'></script>", Content_Type="text/html")
    _, fields, _ = server.ask("GET", "/v1/stream/s")

    assert fields["content-security-policy"] == "default-src 'none'; sandbox"
    assert fields["x-content-type-options"] == "nosniff"


@pytest.mark.slow
def test_deleted_while_it_is_read(server: Server) -> None:
    """When a stream is deleted, a waiting long-poll gets a 404 and an event stream ends."""
    server.ask("PUT", "/v1/stream/s", **TEXT)
    with (
        server.stream("/v1/stream/s?offset=now&live=sse") as events,
        server.connect() as polling,
    ):
        assert b"upToDate" in events.read1()
        polling.request("GET", "/v1/stream/s?offset=now&live=long-poll")
        assert server.ask("DELETE", "/v1/stream/s")[0] == 204
        assert polling.getresponse().status == 404
        assert events.read() == b""


def test_lazy_generator_goes_on_for_a_reader(server: Server, store: Store) -> None:
    """A generator that nobody read goes on when somebody waits for more of it."""

    def numbers():
        for number in range(3):
            yield f"{number}"

    run = store.start(numbers)
    offset, data = "-1", b""
    live = ""
    while True:
        _, fields, body = server.ask("GET", f"/v1/stream/runs/{run.id}?offset={offset}{live}")
        data, offset, live = data + body, fields["stream-next-offset"], "&live=long-poll"
        if "stream-closed" in fields:
            break
    assert data == b"0\n1\n2\n"


def test_only_runs_by_default() -> None:
    """An application that does not say who may append lets nobody, and lets runs be read by their id."""
    from runcast.web.api.durable.routes import Durable
    from runcast.web.http.messages import Reply, Request
    from runcast.web.responder import Responder, by_id_alone

    store = Store.open()
    durable = Durable(Responder(store, authorize=by_id_alone))
    run = store.start(["echo", "hi"])
    wait_until(lambda: run.closed)
    for method in ("PUT", "POST", "DELETE", "GET"):
        refused = durable.respond(
            Request(method, "/v1/stream/s", headers={"content-type": "text/plain"}, body=b"x")
        )
        assert isinstance(refused, Reply)
        assert refused.status == 403
    read = durable.respond(Request("GET", f"/v1/stream/runs/{run.id}"))
    assert isinstance(read, Reply)
    assert (read.status, read.body) == (200, b"hi\n")

"""Appends that are answered at once are answered like all others, however they come."""

import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from runcast import Store
from runcast.durable import FileStreams
from runcast.wire.durable import Appending, Creation
from tests.helpers.cli import LONG, cli_begun
from tests.helpers.stores import empty_store, temporary_store
from tests.helpers.wait import wait_until


@contextlib.contextmanager
def serving(store: Store) -> Iterator[int]:
    """Serve a store by `runcast serve`; give the port."""
    arguments = ("--store", store.path, "serve", "--no-auth", "--port", "0")
    with cli_begun(*arguments, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        yield urlsplit(process.stdout.readline().decode()).port or 0


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, int]]:
    """Serve a store for all tests."""
    with temporary_store(tmp_path_factory.mktemp("served") / "store") as store, serving(store) as port:
        yield store, port


@pytest.fixture
def store(served: tuple[Store, int]) -> Iterator[Store]:
    """Give the store that is served, with the stream `s` alone."""
    FileStreams(served[0].path).create("s", Creation("text/plain"))
    yield served[0]
    empty_store(served[0])


@pytest.fixture
def connection(store: Store, served: tuple[Store, int]) -> Iterator[socket.socket]:
    """Give a connection to the server."""
    with socket.create_connection(("127.0.0.1", served[1]), LONG) as connected:
        yield connected


def post(body: bytes, *more: str) -> bytes:
    """Return an append as it is sent."""
    lines = ["POST /v1/stream/s HTTP/1.1", "Host: 127.0.0.1", "Content-Type: text/plain", *more]
    if not any(line.startswith("Transfer-Encoding") for line in more):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def replies(connection: socket.socket, count: int) -> list[tuple[int, dict[str, str]]]:
    """Return status and headers of so many replies; what bodies they have is passed over."""
    reader, found = connection.makefile("rb"), []
    for _ in range(count):
        status = int(reader.readline().split()[1])
        lines = list(iter(lambda: reader.readline().decode().strip().lower(), ""))
        headers = dict(line.split(": ", 1) for line in lines)
        reader.read(int(headers.get("content-length", "0")))
        found.append((status, headers))
    return found


def statuses(connection: socket.socket, count: int) -> list[int]:
    """Return the statuses of so many replies without a body."""
    data = b""
    while data.count(b"\r\n\r\n") < count:
        part = connection.recv(65536)
        assert part, data
        data += part
    return [int(reply.split()[1]) for reply in data.split(b"\r\n\r\n") if reply]


def content(store: Store) -> bytes:
    """Return what is in the stream."""
    log = FileStreams(store.path).get("s").open_log()
    tail = log.tail_offset
    return b"".join(chunk.data for chunk in log.read(0, max(tail, 1)).chunks)


def test_in_pieces(connection: socket.socket, store: Store) -> None:
    """A request that comes byte by byte is one append."""
    for byte in post(b"hello"):
        connection.sendall(bytes([byte]))

    assert statuses(connection, 1) == [204]
    assert content(store) == b"hello"


def test_pipelined(connection: socket.socket, store: Store) -> None:
    """Requests that come all at once are answered in order, small ones and large ones."""
    bodies = [b"a", b"b" * 100_000, b"c", b"d", b"e" * 70_000, b"f"]
    connection.sendall(b"".join(post(body) for body in bodies))

    assert statuses(connection, len(bodies)) == [204] * len(bodies)
    assert FileStreams(store.path).get("s").open_log().tail_offset == sum(map(len, bodies))


def test_many_pipelined_behind_one_that_waits(connection: socket.socket, store: Store) -> None:
    """However many requests wait in line behind a slow one, each is answered."""
    poll = f"GET /v1/stream/s?offset={'0' * 20}&live=long-poll HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    connection.sendall(poll.encode() + b"".join(post(b"x") for _ in range(300)))
    FileStreams(store.path).get("s").append(Appending("text/plain"), b"y")

    answered = replies(connection, 301)
    assert [status for status, _ in answered] == [200] + [204] * 300
    assert content(store) == b"y" + b"x" * 300


def test_asked_before_the_body(connection: socket.socket, store: Store) -> None:
    """A client that waits for leave to send its body gets it."""
    head, body = post(b"hello", "Expect: 100-continue").split(b"\r\n\r\n")
    connection.sendall(head + b"\r\n\r\n")

    assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(body)
    assert statuses(connection, 1) == [204]
    assert content(store) == b"hello"


def test_in_chunks(connection: socket.socket, store: Store) -> None:
    """A body without a length is one append."""
    connection.sendall(post(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "Transfer-Encoding: chunked"))

    assert statuses(connection, 1) == [204]
    assert content(store) == b"hello"


def test_refused(connection: socket.socket) -> None:
    """What is refused is refused, and the connection goes on."""
    connection.sendall(post(b"x", "Origin: http://evil.example"))
    reply = connection.recv(65536)
    while not reply.endswith(b"}"):  # head and body may come one after the other
        reply += connection.recv(65536)
    assert reply.startswith(b"HTTP/1.1 403 ")
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["error"] == "ForeignPage"
    connection.sendall(post(b"x"))
    assert statuses(connection, 1) == [204]


def test_while_somebody_else_appends(connection: socket.socket, store: Store) -> None:
    """An append that must wait for another appender waits, and the server answers others meanwhile."""
    stream = FileStreams(store.path).get("s")
    with stream.locked(), socket.create_connection(connection.getpeername(), LONG) as other:
        connection.sendall(post(b"waits"))
        other.sendall(b"HEAD /v1/stream/s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert statuses(other, 1) == [200]
    assert statuses(connection, 1) == [204]
    wait_until(lambda: content(store) == b"waits")


def test_alike(connection: socket.socket, store: Store) -> None:
    """One after the other, the replies of appends that are alike have the same headers but for the offset."""
    found = []
    for body in (b"a", b"bc", b"def", b"g"):
        connection.sendall(post(body))
        found += replies(connection, 1)

    assert [status for status, _ in found] == [204] * 4
    assert [int(fields.pop("stream-next-offset")) for _, fields in found] == [1, 3, 6, 7]
    assert "content-security-policy" in found[0][1]
    assert all(fields.keys() == found[0][1].keys() for _, fields in found)
    assert content(store) == b"abcdefg"


def test_producer(connection: socket.socket, store: Store) -> None:
    """Appends of a producer are checked by their numbers: doubles are acknowledged, gaps refused."""
    for number in ("0", "1", "1", "2", "4", "x", "3"):
        connection.sendall(post(b".", "Producer-Id: p", "Producer-Epoch: 0", f"Producer-Seq: {number}"))

    found = replies(connection, 7)
    assert [status for status, _ in found] == [200, 200, 204, 200, 409, 400, 200]
    assert found[2][1]["producer-seq"] == "1"
    assert found[4][1]["producer-expected-seq"] == "3"
    assert content(store) == b"...."


def test_no_longer_alike(connection: socket.socket, store: Store) -> None:
    """What differs from the append before it in any header is judged anew, and does not stay for the next."""
    fields = [(), (), ("Origin: http://evil.example",), (), ("Stream-Seq: 2",), ("Stream-Seq: 2",), ()]
    connection.sendall(b"".join(post(b".", *more) for more in fields))
    assert [status for status, _ in replies(connection, 7)] == [204, 204, 403, 204, 204, 409, 204]

    connection.sendall(post(b".").replace(b"Host: 127.0.0.1", b"Host: rebound.example"))
    assert replies(connection, 1)[0][0] == 421
    connection.sendall(post(b".", "Stream-Closed: true") * 2)
    assert [status for status, _ in replies(connection, 2)] == [204, 409]
    assert content(store) == b"......"


def test_gone_meanwhile(connection: socket.socket, store: Store) -> None:
    """A stream that was deleted between two appends, and one made anew in its place, are noticed."""
    connection.sendall(post(b"old") * 2)
    assert statuses(connection, 2) == [204, 204]
    streams = FileStreams(store.path)
    streams.delete("s")
    connection.sendall(post(b"lost"))
    assert replies(connection, 1)[0][0] == 404
    streams.create("s", Creation("text/plain"))
    connection.sendall(post(b"new"))
    assert replies(connection, 1)[0][0] == 204
    assert content(store) == b"new"


def test_counted(store: Store) -> None:
    """The metrics count each append, however it was answered."""
    with serving(store) as port, socket.create_connection(("127.0.0.1", port), LONG) as connection:
        connection.sendall(post(b"x") * 5)
        assert statuses(connection, 5) == [204] * 5
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert 'runcast_http_requests_total{method="POST",status="204"} 5.0' in connection.makefile().read()


def test_with_a_token(store: Store) -> None:
    """A wrong token after a right one is refused, and with the option each request is logged."""
    arguments = ("--store", store.path, "serve", "--token", "t" * 20, "--port", "0", "--access-log")
    with cli_begun(*arguments, stderr=subprocess.PIPE) as serving:
        assert serving.stdout is not None
        port = urlsplit(serving.stdout.readline().decode()).port
        with socket.create_connection(("127.0.0.1", port), LONG) as connection:
            for token in ("t" * 20, "t" * 20, "u" * 20, "t" * 20):
                connection.sendall(post(b".", f"Authorization: Bearer {token}"))
            assert [status for status, _ in replies(connection, 4)] == [204, 204, 401, 204]
        serving.terminate()
        assert serving.stderr is not None
        assert serving.stderr.read().count(b"'/v1/stream/s' ") == 4
    assert content(store) == b"..."


def test_cut(connection: socket.socket, store: Store) -> None:
    """What was cut is not appended and uses no number, first on its connection or behind others alike."""
    numbers = ("Producer-Id: p", "Producer-Epoch: 0")
    body = b"hello, "
    for sent_before in (0, 1, 3):
        for left in (1, len(body)):
            with socket.create_connection(connection.getpeername(), LONG) as other:
                known = FileStreams(store.path).get("s").open_log().tail_offset // len(body)
                for number in range(known, known + sent_before):
                    other.sendall(post(body, *numbers, f"Producer-Seq: {number}"))
                    assert statuses(other, 1) == [200]
                other.sendall(post(body, *numbers, f"Producer-Seq: {known + sent_before}")[:-left])
                other.shutdown(socket.SHUT_WR)
                assert other.recv(65536) == b""
                number = known + sent_before
            connection.sendall(post(body, *numbers, f"Producer-Seq: {number}"))
            assert statuses(connection, 1) == [200]  # 204 would be that of a duplicate
            assert content(store) == body * (number + 1)


def test_sending_side_closed(connection: socket.socket, store: Store) -> None:
    """A client that closes its sending side behind a whole request gets its reply, soon or late."""
    stream = FileStreams(store.path).get("s")
    bodies = [b"small", b"l" * 100_000]
    for body in bodies:
        with socket.create_connection(connection.getpeername(), LONG) as other:
            with stream.locked():  # the append must wait
                other.sendall(post(body))
                other.shutdown(socket.SHUT_WR)
                connection.sendall(b"HEAD /v1/stream/s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                assert statuses(connection, 1) == [200]
            assert statuses(other, 1) == [204]
            assert other.recv(65536) == b""  # and nothing more can come
    assert content(store) == b"".join(bodies)


def test_sending_side_closed_behind_many(connection: socket.socket, store: Store) -> None:
    """Of many requests that come all at once, each is answered before the connection ends."""
    with socket.create_connection(connection.getpeername(), LONG) as other:
        other.sendall(b"".join(post(b"x" * 70_000) for _ in range(5)))
        other.shutdown(socket.SHUT_WR)
        assert statuses(other, 5) == [204] * 5
        assert other.recv(65536) == b""
    assert FileStreams(store.path).get("s").open_log().tail_offset == 5 * 70_000

"""Where a server listens: every address of a name, on one port, and what it is called there."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from runcast.errors import UsageError
from runcast.server.addresses import CannotListen, for_others, is_loopback, is_wildcard, listen, names, url


@pytest.fixture(name="stack")
def stack_fixture() -> Iterator[ExitStack]:
    """Close all sockets at the end."""
    with ExitStack() as stack:
        yield stack


def begin(stack: ExitStack, host: str, port: int = 0) -> list[socket.socket]:
    """Listen until the end of the test."""
    return [stack.enter_context(one) for one in listen(host, port)]


def own_address() -> str | None:
    """Return an address of this machine that others may reach; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def test_it_listens(stack: ExitStack):
    """The sockets take connections before anybody serves them."""
    [one] = begin(stack, "127.0.0.1")

    socket.create_connection(one.getsockname()).close()

    assert one.getsockname()[1] > 0
    assert is_loopback([one])
    assert not is_wildcard([one])


def test_every_address_of_a_name(stack: ExitStack):
    """A name with several addresses is listened on at all of them, on the same port."""
    sockets = begin(stack, "localhost")

    assert len({one.getsockname()[1] for one in sockets}) == 1
    assert {one.getsockname()[0] for one in sockets} <= {"127.0.0.1", "::1"}
    assert names("localhost", sockets)[0] == "localhost"
    assert set(names("localhost", sockets)) == {"localhost", "127.0.0.1", "::1"}


def test_wildcard(stack: ExitStack):
    """On every address the server is called by each of the machine's names and addresses."""
    sockets = begin(stack, "0.0.0.0")

    called = names("0.0.0.0", sockets)

    assert is_wildcard(sockets)
    assert not is_loopback(sockets)
    assert called[0] == "127.0.0.1"
    assert {"localhost", socket.gethostname().lower()} <= set(called)
    assert "0.0.0.0" not in called
    if (address := own_address()) is not None:
        assert address in called


@pytest.mark.root  # containers may have no IPv6
def test_wildcard_of_both_kinds(stack: ExitStack):
    """`::` is every address, of IPv4 too, as people expect."""
    [one] = begin(stack, "::")

    socket.create_connection(("127.0.0.1", one.getsockname()[1])).close()

    assert is_wildcard([one])
    assert not is_loopback([one])


@pytest.mark.root  # containers may have no network
def test_one_address(stack: ExitStack):
    """On one address of a network the server is called by it and by the machine's name, not localhost."""
    address = own_address()
    assert address is not None, "expected a network, this machine has no route to another"
    sockets = begin(stack, address)

    called = names(address, sockets)

    assert called[0] == address
    assert "localhost" not in called
    assert not is_loopback(sockets)


def test_taken(stack: ExitStack):
    """A port that is taken cannot be had, and nothing stays open."""
    [one] = begin(stack, "127.0.0.1")
    port = one.getsockname()[1]

    with pytest.raises(CannotListen, match=f"cannot listen on 127.0.0.1:{port}: something listens there"):
        listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["", " ", "no such host", "a" * 300, "::g", "127.0.0.1:80", "\udcff"])
def test_no_host(host: str):
    """A text that is no address and no name is an error that shows it."""
    with pytest.raises(UsageError, match="expected an address or a name of this machine as --host"):
        listen(host, 0)


@pytest.mark.parametrize(
    ("name", "port", "text"),
    [
        ("127.0.0.1", 8765, "http://127.0.0.1:8765/"),
        ("build.example", 80, "http://build.example/"),
        ("::1", 8765, "http://[::1]:8765/"),
    ],
)
def test_url(name: str, port: int, text: str):
    """A URL leaves out the usual port, and has brackets around IPv6."""
    assert url(name, port) == text


@pytest.mark.parametrize(
    ("called", "best"),
    [
        (["127.0.0.1", "laptop", "laptop.local", "192.168.1.20", "fd00::1", "localhost"], "192.168.1.20"),
        (["127.0.0.1", "laptop", "localhost", "::1"], "laptop"),
        (["build.example", "192.168.1.20", "laptop"], "build.example"),
        (["localhost", "127.0.0.1", "::1"], "localhost"),
    ],
)
def test_for_others(called: list[str], best: str):
    """Others get an address that needs no lookup, unless --host chose a name; without any, the first name."""
    assert for_others(called) == best

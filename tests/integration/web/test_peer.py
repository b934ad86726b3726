"""Sockets that notice when a client vanished: their options, and the answers of the kernel."""

import socket

from runcast.web.servers.peer import VANISHED_SECONDS, keep_alive, vanished

OPTIONS = ["TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT"]


def test_probed_in_time():
    """A silent connection is probed within two heartbeats."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            keep_alive(accepted)
            idle, every, times, user = (
                accepted.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in OPTIONS
            )
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert idle + every * times < 30
            assert user == 0  # it would cut a viewer that is there and does not read


def test_by_descriptor():
    """A descriptor will do, which stays open; a thread that sends is not kept for ever either."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()) as client, listener.accept()[0] as accepted:
            keep_alive(accepted.fileno(), blocking=True)

            assert vanished(accepted.fileno()) is False
            limit = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert limit == VANISHED_SECONDS * 1000
            accepted.sendall(b"x")
            assert client.recv(1) == b"x"


def test_other_sockets():
    """Sockets that are not TCP, or are closed, are left alone."""
    one, other = socket.socketpair()
    with one, other:
        keep_alive(one)
        assert vanished(one) is False
    keep_alive(one.fileno())
    assert vanished(one) is False

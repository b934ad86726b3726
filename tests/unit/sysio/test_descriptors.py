"""Descriptors: a second number, and how much a pipe holds."""

import os
import socket

from runcast.sysio.descriptors import bytes_in, duplicate, interface_address


def test_bytes_in():
    """A pipe says how many bytes it holds."""
    reader, writer = os.pipe()
    assert bytes_in(reader) == 0
    os.write(writer, b"x" * 4097)

    assert bytes_in(reader) == 4097
    os.close(reader)
    os.close(writer)


def test_duplicate():
    """A second number of a file is as large as is wanted, and closed by exec unless inheritable."""
    one = os.open(os.devnull, os.O_RDONLY)
    others = duplicate(one, 50), duplicate(one, 50, inheritable=True)

    assert min(others) >= 50
    assert [os.get_inheritable(fd) for fd in others] == [False, True]
    assert all(os.path.samestat(os.fstat(one), os.fstat(fd)) for fd in others)
    for fd in (one, *others):
        os.close(fd)


def test_interface_address():
    """The loopback interface has its address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        assert interface_address(probe.fileno(), "lo") == bytes([127, 0, 0, 1])

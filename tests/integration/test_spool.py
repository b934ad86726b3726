"""What was written to a pipe comes in order, whatever of it was moved into the spool, and whenever."""

import os
import socket
import tempfile
from contextlib import ExitStack, suppress
from random import Random

import pytest

from runcast.sources import drain
from runcast.sources.drain import ANSWER, COUNT
from runcast.sources.spool import Spool


@pytest.mark.parametrize("seed", range(40))
def test_order(seed: int):
    """However writes, moves and reads follow upon each other, each byte is read once and in its place."""
    random = Random(seed)
    with ExitStack() as stack:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        theirs = stack.enter_context(tempfile.TemporaryFile())
        ours = os.open(f"/proc/self/fd/{theirs.fileno()}", os.O_RDWR)
        link, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        link.setblocking(False)
        stack.enter_context(other)
        stack.callback(os.close, reader)
        spool = Spool(reader, ours, link)
        stack.callback(spool.leave)
        written, read, moved = bytearray(), bytearray(), 0

        def move() -> None:
            nonlocal moved
            with suppress(BlockingIOError):  # there is nothing in it
                moved += os.pwrite(theirs.fileno(), os.read(reader, 70_000), moved)

        for _ in range(60):
            data = random.randbytes(random.choice([1, 100, 30_000, 60_000]))
            for _ in range(random.randrange(4)):  # more than one chunk may be in the spool
                os.write(writer, data)
                written += data
                if len(data) > 4096 or random.random() < 0.5:  # a pipe has room for 65,536 bytes
                    move()
            for _ in range(random.randrange(3)):
                there = spool.unread
                read += (data := spool.read())
                assert bool(data) is bool(there)
        os.close(writer)
        while spool.unread:
            read += (data := spool.read())
            assert data

    assert read == written


def test_dropped_after_the_last_look():
    """Bytes that were dropped between looking and reading are reported by that reading."""
    with ExitStack() as stack:
        reader, writer = os.pipe2(os.O_NONBLOCK)
        stack.callback(os.close, writer)
        stack.callback(os.close, reader)
        link, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        link.setblocking(False)
        stack.enter_context(other)
        spool = Spool(reader, os.open(tempfile.gettempdir(), os.O_RDWR | os.O_TMPFILE), link)
        stack.callback(spool.leave)

        assert spool.unread == 0
        other.send(COUNT.pack(65_536))

        assert spool.read() == b"\nruncast: 65536 bytes were lost here, the disk was full\n"


def test_more_dropped_than_the_link_has_room_for(monkeypatch: pytest.MonkeyPatch):
    """A reader that took no message for long learns of all dropped bytes when it asks."""
    monkeypatch.setattr(drain, "_AGAIN_SECONDS", 0)
    monkeypatch.setattr(drain, "_FULL_SECONDS", 0)
    with ExitStack() as stack:
        reader, writer = os.pipe2(os.O_NONBLOCK)
        stack.callback(os.close, writer)
        link, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stack.enter_context(other)
        other.setblocking(False)
        link.setblocking(False)
        full = os.open("/dev/full", os.O_RDWR)
        pipe = drain._DrainedPipe(reader, full, link, os.open(os.devnull, os.O_WRONLY))
        stack.callback(pipe.close)

        written = 0
        while pipe.step():  # it is done, until a message finds no room
            written += os.write(writer, bytes(100))
        written += os.write(writer, bytes(100))
        pipe.step()
        other.send(COUNT.pack(0))
        pipe.hear()
        heard: list[bytes] = []
        while not heard or not heard[-1].endswith(ANSWER):
            pipe.step()
            with suppress(BlockingIOError):
                heard.append(other.recv(64))

    assert sum(COUNT.unpack_from(message)[0] for message in heard) == written

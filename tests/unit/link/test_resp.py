"""The wire of Redis: requests as bytes, and replies however they are cut."""

import pytest

from runcast.link.resp import Parser, ServerError, pack, pieces

REPLIES = [
    (b"+OK\r\n", b"OK"),
    (b":-12\r\n", -12),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"*0\r\n", []),
    (b"$0\r\n\r\n", b""),
    (b"$6\r\n\r\n$1\r\n\r\n", b"\r\n$1\r\n"),
    (b"*2\r\n*2\r\n$1\r\na\r\n*0\r\n:3\r\n", [[b"a", []], 3]),
    (b"*3\r\n$-1\r\n*1\r\n*1\r\n+x\r\n$2\r\nyz\r\n", [None, [[b"x"]], b"yz"]),
]


def test_requests():
    """Arguments are bytes, text or numbers, and each is sent with its length in bytes."""
    assert pack((memoryview(b"SET"), "ä", 10)) == b"*3\r\n$3\r\nSET\r\n$2\r\n\xc3\xa4\r\n$2\r\n10\r\n"


def test_long_parts_are_not_copied():
    """A request in pieces has the same bytes, and a long argument is in it as it is."""
    data = b"x" * 65536
    request = (b"PUT", "run", 7, data, b"r" * 32, b"")
    found = pieces(request)

    assert b"".join(found) == pack(request)
    assert [one for one in found if one is data] == [data]
    assert len(found) == 3


@pytest.mark.parametrize(("wire", "value"), REPLIES)
def test_reply_cut_anywhere(wire: bytes, value: object):
    """A reply is the same wherever it is cut in three, and comes with its last byte."""
    for first in range(len(wire)):
        for second in range(first, len(wire)):
            parser = Parser()

            assert parser.feed(wire[:first]) + parser.feed(wire[first:second]) == []
            assert parser.feed(wire[second:]) == [value]


def test_all_replies_at_once_and_byte_by_byte():
    """Replies that come together are all there, in order; so are those that come as single bytes."""
    wire = b"".join(wire for wire, _ in REPLIES)
    values = [value for _, value in REPLIES]
    parser = Parser()

    assert Parser().feed(wire) == values
    assert [value for byte in wire for value in parser.feed(bytes([byte]))] == values


def test_errors():
    """An error is a value, with its code apart."""
    [error] = Parser().feed(b"-MOVED 1 127.0.0.1:2\r\n")

    assert isinstance(error, ServerError)
    assert (error.code, error.text) == ("MOVED", "MOVED 1 127.0.0.1:2")


def test_what_is_no_reply():
    """Something else than Redis is noticed."""
    with pytest.raises(ValueError, match="begins with 'H'"):
        Parser().feed(b"HTTP/1.1 400 Bad Request\r\n")

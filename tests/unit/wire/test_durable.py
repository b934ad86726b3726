"""What a request of the Durable Streams protocol asks for."""

import pytest

from runcast.errors import BadOffset, OffsetBeyondTail, UsageError
from runcast.wire.durable import (
    Appending,
    Creation,
    Producer,
    ReadParams,
    media_type,
    parse_appending,
    parse_creation,
    parse_position,
    parse_reading,
    parse_seconds,
)

PRODUCER = {"producer-id": "p", "producer-epoch": "1", "producer-seq": "2"}


def test_creation():
    """A PUT's headers are read, and what is missing has its default."""
    assert parse_creation({}.get) == Creation()
    headers = {
        "content-type": "text/plain; charset=utf-8",
        "stream-ttl": "60",
        "stream-closed": "true",
        "stream-forked-from": "/v1/stream/a",
        "stream-fork-offset": "5",
        "stream-fork-sub-offset": "3",
    }
    expected = Creation("text/plain; charset=utf-8", 60, None, True, "/v1/stream/a", "5", 3)
    assert parse_creation(headers.get) == expected


@pytest.mark.parametrize("ttl", ["-1", "+1", "01", "1.0", "1e3", "", " 1", "x", "1" * 13, "\u0661"])
def test_bad_lifetime(ttl: str):
    """A lifetime is whole seconds and nothing else."""
    with pytest.raises(UsageError, match="expected Stream-TTL as whole seconds"):
        parse_creation({"stream-ttl": ttl}.get)


@pytest.mark.parametrize(
    "time", ["", "tomorrow", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z"]
)
def test_bad_expiry(time: str):
    """A time without its zone, or that is none, is refused."""
    with pytest.raises(UsageError, match="expected Stream-Expires-At as a time with its zone"):
        parse_creation({"stream-expires-at": time}.get)


def test_expiry_in_zones():
    """The same moment in another zone is the same moment."""
    assert parse_seconds("2026-01-01T01:00:00+01:00") == parse_seconds("2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    "headers",
    [
        {"stream-ttl": "1", "stream-expires-at": "2026-01-01T00:00:00Z"},
        {"stream-fork-sub-offset": "0"},
        {"stream-fork-sub-offset": "01", "stream-forked-from": "/a"},
        {"stream-fork-sub-offset": "", "stream-forked-from": "/a"},
    ],
)
def test_creation_that_contradicts_itself(headers: dict[str, str]):
    """Headers that cannot be together, or not alone, are refused."""
    with pytest.raises(UsageError):
        parse_creation(headers.get)


def test_appending():
    """A POST's headers are read, the producer's all together."""
    assert parse_appending({}.get) == Appending()
    headers = PRODUCER | {"content-type": "a/b", "stream-seq": "7", "stream-closed": "TRUE"}
    assert parse_appending(headers.get) == Appending("a/b", Producer("p", 1, 2), "7", True)
    assert not parse_appending({"stream-closed": "1"}.get).close


@pytest.mark.parametrize("name", PRODUCER)
def test_part_of_a_producer(name: str):
    """Two of the three headers are not enough."""
    headers = {other: value for other, value in PRODUCER.items() if other != name}
    with pytest.raises(UsageError, match=f"together, got no {name}"):
        parse_appending(headers.get)


@pytest.mark.parametrize("number", ["", "-1", "+1", "1e3", "1.0", "1abc", " 1", str(2**53), "9" * 40])
def test_bad_number_of_a_producer(number: str):
    """A number is digits, and one that JavaScript counts exactly."""
    with pytest.raises(UsageError, match="expected producer-epoch as a number"):
        parse_appending((PRODUCER | {"producer-epoch": number}).get)
    with pytest.raises(UsageError, match="expected producer-seq as a number"):
        parse_appending((PRODUCER | {"producer-seq": number}).get)


@pytest.mark.parametrize("name", ["", "x" * 257])
def test_bad_name_of_a_producer(name: str):
    """A producer has a name, and not too long a one."""
    with pytest.raises(UsageError, match="Producer-Id of 1 to 256 letters"):
        parse_appending((PRODUCER | {"producer-id": name}).get)


def test_reading():
    """A GET's query is read, others' parameters are passed over."""
    assert parse_reading([]) == ReadParams()
    query = [("x", "1"), ("offset", "now"), ("live", "sse"), ("cursor", "5")]
    assert parse_reading(query) == ReadParams("now", "sse", "5")
    for name in ("offset", "live", "cursor"):
        with pytest.raises(UsageError, match=f"one {name}, got 2"):
            parse_reading([(name, "1"), (name, "2")])
    with pytest.raises(UsageError, match="expected an offset with live=long-poll"):
        parse_reading([("live", "long-poll")])
    with pytest.raises(UsageError, match="live to be one of long-poll, sse"):
        parse_reading([("offset", "1"), ("live", "websocket")])


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("-1", 0),
        ("now", 9),
        ("0", 0),
        ("00000000000000000007", 7),
        ("0_7", 7),
        ("0000000000000000_0000000000000009", 9),
    ],
)
def test_position(text: str, offset: int):
    """An offset is ours, or in the two parts that others write."""
    assert parse_position(text, 9) == offset


@pytest.mark.parametrize("text", ["", "1,2", "1 2", "x", "-2", "1_", "_1", "1_2_3", "../x", "1" * 21, "NOW"])
def test_no_position(text: str):
    """Anything else is none."""
    with pytest.raises(BadOffset):
        parse_position(text, 9)


@pytest.mark.parametrize("text", ["10", "0_10", "1_0", "9999999999999999_9999999999999999"])
def test_position_beyond_the_tail(text: str):
    """What lies past the tail is told as such."""
    with pytest.raises(OffsetBeyondTail):
        parse_position(text, 9)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Text/Plain; charset=UTF-8", "text/plain"),
        ("application/json", "application/json"),
        (None, "application/octet-stream"),
        ("", "application/octet-stream"),
        ("no type", "application/octet-stream"),
    ],
)
def test_media_type(text: str | None, kind: str):
    """Case and parameters do not matter; what is no type is octets."""
    assert media_type(text) == kind

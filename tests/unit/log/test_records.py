"""The index on disk: bytes for records, and what damage does to them."""

import struct
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.errors import FormatTooNew
from runcast.log.records import (
    FORMAT,
    RECORD_BYTES,
    Record,
    check_header,
    count_lines,
    header,
    last_good,
    pack,
    unpack,
)
from runcast.model import Channel

WRITTEN = st.sampled_from([Channel.STDOUT, Channel.STDERR, Channel.DATA])
U64 = st.integers(0, 2**64 - 1)
I64 = st.integers(-(2**63), 2**63 - 1)
HEADER = "52554e4341535400 0100200000000000 0700000000000000 000000002f78c980"
RECORD = "0500000000000000 00002a36fe9c9717 0200000000000000 020000003efe54b5"
RECORDS = st.lists(st.builds(Record, U64, I64, U64, WRITTEN), max_size=8)


@given(RECORDS, st.binary(max_size=RECORD_BYTES - 1))
def test_records_come_back(records: list[Record], torn: bytes):
    """What was packed is unpacked alike; a part of a record at the end is left out."""
    data = b"".join(pack(*record) for record in records)

    assert len(data) == RECORD_BYTES * len(records)
    assert unpack(data + torn) == records


@given(RECORDS, st.integers(0, 8 * RECORD_BYTES - 1), st.binary(max_size=RECORD_BYTES - 1))
def test_last_record(records: list[Record], bit: int, torn: bytes):
    """The last whole record is the one that unpacking all of them gives, also where it is damaged."""
    data = bytearray(b"".join(pack(*record) for record in records))
    assert last_good(bytes(data) + torn) == (records[-1] if records else None)
    if records:
        data[-RECORD_BYTES + bit // 8] ^= 1 << bit % 8
        assert last_good(bytes(data) + torn) is unpack(bytes(data))[-1] is None


def test_format_for_good():
    """A header and a record of format 1 have these very bytes."""
    assert header(7).hex(" ", 8) == HEADER
    assert pack(5, 1_700_000_000_000_000_000, 2, Channel.STDERR).hex(" ", 8) == RECORD


@given(st.builds(Record, U64, I64, U64, WRITTEN), st.integers(0, 8 * RECORD_BYTES - 1))
def test_flipped_bit_is_noticed(record: Record, bit: int):
    """A record with one bit flipped is damaged, and its neighbours are not."""
    good = pack(*record)
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << bit % 8

    assert unpack(good + bytes(bad) + good) == [record, None, record]


def test_zeros_are_no_record():
    """A record of zeros, which is what a power loss leaves, is damaged."""
    assert unpack(bytes(2 * RECORD_BYTES)) == [None, None]


def test_channel_of_a_later_version():
    """A channel code that is not known here is an unknown channel, and the record is good."""
    body = struct.pack("<QqQBBH", 1, 2, 3, 99, 0, 0)

    assert unpack(body + struct.pack("<I", crc32(body))) == [Record(1, 2, 3, Channel.UNKNOWN)]


def test_header_of_this_version():
    """A header of this version, a damaged one and a cut one are passed over."""
    good = header(0)
    check_header(good, "there")
    for data in (b"", good[:-1], bytes(RECORD_BYTES), later_header()[:20] + bytes(12)):
        check_header(data, "there")


def later_header() -> bytes:
    body = struct.pack("<8sHHIQI", b"RUNCAST\0", FORMAT + 1, RECORD_BYTES, 0, 0, 0)
    return body + struct.pack("<I", crc32(body))


def test_header_of_a_later_version():
    """A whole header of a later version is refused, with the place and both versions."""
    with pytest.raises(FormatTooNew, match=r"there has format 2, this runcast reads up to 1: upgrade"):
        check_header(later_header(), "there")


@given(st.lists(st.sampled_from([b"\n", b"a", b"b" * 40, b"c" * 300, b"\r\n"])), st.integers(1, 60))
def test_lines_are_counted(parts: list[bytes], times: int):
    """Lines are line feeds, whichever way of counting the data calls for."""
    data = b"".join(parts) * times

    assert count_lines(data) == data.count(b"\n")


@pytest.mark.parametrize("line", [b"\n", b"x" * 20 + b"\n", b"x" * 80 + b"\n", b"x" * 5000])
def test_lines_of_a_block_are_counted(line: bytes):
    """Short lines and long lines of a whole block are counted alike."""
    data = (line * (65536 // len(line) + 1))[:65536]

    assert count_lines(data) == data.count(b"\n")

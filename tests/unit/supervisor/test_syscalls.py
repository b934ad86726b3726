"""What threads sleep in, from texts of /proc as Linux 6 writes them."""

import struct

import pytest

from runcast.supervisor.syscalls import TABLES, Call, Kind, Set, epolled, parse, polled, selected

X86, ARM = TABLES["x86_64"], TABLES["aarch64"]
CAT = b"0 0x0 0x7f8b2c9c8000 0x20000 0x22 0x0 0x0 0x7ffd2a0a4d58 0x7f8b2cb0f1a1\n"
PYTHON = b"232 0x3 0x7f74f76fe290 0x2 0xffffffff 0x0 0x0 0x7ffda27d7d88 0x7f74f8326ef3\n"
NODE = b"281 0xe 0x7ffd18bfa060 0x400 0xffffffff 0x0 0x8 0x7ffd18bf9300 0x7fcaf0526cae\n"


@pytest.mark.parametrize(
    ("record", "call"),
    [
        (CAT, Call(Kind.READ, (0, 0x7F8B2C9C8000, 0x20000, 0x22, 0, 0))),
        (PYTHON, Call(Kind.EPOLL, (3, 0x7F74F76FE290, 2, 0xFFFFFFFF, 0, 0))),
        (NODE, Call(Kind.EPOLL, (14, 0x7FFD18BFA060, 0x400, 0xFFFFFFFF, 0, 8))),
        (b"202 0x6ff5a70 0x189 0x0 0x0 0x0 0xffffffff 0x7fcaefc1bc70 0x7fcaf04a3f16\n", Kind.FUTEX),
        (b"7 0x7ffe0 0x2 0xffffffff 0x0 0x0 0x0 0x7ffe 0x7f00\n", Kind.POLL),
        (b"271 0x7ffe0 0x2 0x0 0x0 0x8 0x0 0x7ffe 0x7f00\n", Kind.POLL),
        (b"23 0x1 0x7ffe0 0x0 0x0 0x0 0x0 0x7ffe 0x7f00\n", Kind.SELECT),
        (b"270 0x1 0x7ffe0 0x0 0x0 0x0 0x0 0x7ffe 0x7f00\n", Kind.SELECT),
        (b"61 0xffffffff 0x7ffe 0x0 0x0 0x0 0x0 0x7ffe 0x7f00\n", None),  # wait4
        (b"230 0x0 0x0 0x7ffe 0x0 0x0 0x0 0x7ffe 0x7f00\n", None),  # clock_nanosleep
        (b"running\n", None),
        (b"-1 0x7ffe 0x7f00\n", None),
        (b"0 0x0\n", None),
        (b"0 what 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n", None),
        (b"", None),
    ],
)
def test_parse(record: bytes, call: Call | Kind | None):
    """A call that may wait for input is told from all others, and from a thread that runs."""
    found = parse(record, X86)

    assert (found and found.kind if isinstance(call, Kind) else found) == call


def test_numbers_of_a_machine():
    """Each machine has numbers of its own: 63 is read on aarch64, and uname on x86-64."""
    record = b"63 0x0 0xffff 0x1000 0x0 0x0 0x0 0xffff 0xffff\n"

    assert parse(record, ARM) == Call(Kind.READ, (0, 0xFFFF, 0x1000, 0, 0, 0))
    assert parse(record, X86) is None
    assert parse(CAT, ARM) is None


def test_polled():
    """A pollfd waits for input, for something else, or, with fd -1 or no events, for nothing."""
    data = b"".join(
        struct.pack("=ihh", fd, events, 0) for fd, events in [(0, 1), (3, 4), (4, 3), (-1, 1), (1, 0), (2, 8)]
    )

    assert polled(data) == Set(frozenset({0, 4}), frozenset({3}))
    assert polled(data[:11]) == Set(frozenset({0}), frozenset())
    assert polled(b"") == Set(frozenset(), frozenset())


def test_selected():
    """Bits of fd_set count up to the number that the call has."""
    reads = (1 | 1 << 63 | 1 << 64 | 1 << 70).to_bytes(16, "little")

    assert selected(65, reads, b"", (1 << 9).to_bytes(16, "little")) == Set({0, 63, 64}, {9})
    assert selected(1, reads) == Set({0}, frozenset())
    assert selected(1024, b"") == Set(frozenset(), frozenset())


def test_epolled():
    """The fdinfo of an epoll descriptor names its set; a descriptor without events is in none."""
    text = (
        b"pos:\t0\nflags:\t02000002\nmnt_id:\t15\nino:\t1038\n"
        b"tfd:        0 events:       19 data:                0  pos:0 ino:671f8 sdev:f\n"
        b"tfd:       15 events:       19 data:                f  pos:0 ino:671fc sdev:f\n"
        b"tfd:       16 events:        4 data:               10  pos:0 ino:671fd sdev:f\n"
        b"tfd:       17 events:       18 data:               11  pos:0 ino:40e sdev:10\n"
    )

    assert epolled(text) == Set(frozenset({0, 15}), frozenset({16}))
    assert epolled(b"") == Set(frozenset(), frozenset())

"""Values as output, and how far a generator may go."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.errors import UsageError
from runcast.model import Channel
from runcast.sources.generator import Demand, encode
from tests.unit.texts import texts

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts(),
    lambda inner: st.lists(inner) | st.dictionaries(texts(), inner),
    max_leaves=10,
).filter(lambda value: not isinstance(value, str))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x", (Channel.STDOUT, b"x\n")),
        ("x\n", (Channel.STDOUT, b"x\n")),
        ("x\r\n", (Channel.STDOUT, b"x\r\n")),
        ("", (Channel.STDOUT, b"\n")),
        ("a\nb", (Channel.STDOUT, b"a\nb\n")),
        ("\udcff", (Channel.STDOUT, b"\xff\n")),
        (b"x", (Channel.STDOUT, b"x")),
        (b"", (Channel.STDOUT, b"")),
        (memoryview(b"xyz")[1:], (Channel.STDOUT, b"yz")),
        (True, (Channel.DATA, b"true\n")),
        ({"a": "b\n"}, (Channel.DATA, b'{"a":"b\\n"}\n')),
        ((1, 2), (Channel.DATA, b"[1,2]\n")),
    ],
)
def test_encode(value: object, expected: tuple[Channel, bytes]):
    """A str is a line, bytes are raw, anything else is one line of JSON."""
    assert encode(value) == expected


@given(VALUES)
def test_json_is_one_line(value: object):
    """Whatever JSON can say is one line of ASCII that says the same."""
    channel, data = encode(value)

    assert channel is Channel.DATA
    assert data.endswith(b"\n")
    assert data.count(b"\n") == 1
    assert data.isascii()
    assert json.loads(data) == value


def test_recursive_value():
    """A value that contains itself is refused, not gone through for ever."""
    value: list[object] = []
    value.append(value)

    with pytest.raises(UsageError, match=r"yield str\(value\)\?"):
        encode(value)


@given(st.integers(1, 5), st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=60))
def test_demand(ahead: int, steps: list[tuple[bool, int]]):
    """Never more than `ahead` values lie beyond the foremost reader, and it never waits with fewer."""
    demand = Demand(ahead)
    ends = [0]
    foremost = -1
    for wants, size in steps:
        if wants:
            at = ends[min(size, len(ends) - 1) * -1]
            foremost = max(foremost, at)
            demand.request(at)
        elif demand.more:
            ends.append(ends[-1] + size)
            demand.made(ends[-1])
        beyond = sum(end > foremost for end in ends[1:])
        if foremost < 0:
            assert not demand.more
        else:
            assert demand.more is (beyond < ahead)
            assert beyond <= ahead


def test_free():
    """Without a limit there is always demand."""
    demand = Demand(None)
    for end in range(100):
        assert demand.more
        demand.made(end)

"""JSON mode: messages in, the same messages out, in their own words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.errors import UsageError
from runcast.wire.durable_json import array_of, messages, whole_messages
from tests.unit.texts import texts

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts(), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(VALUES, min_size=1), st.sampled_from([None, 1, "\t", "\r\n"]), st.booleans())
def test_round_trip(values: list[object], indent: int | str | None, ascii: bool):
    """However an array is written, its elements come back, each on a line of its own."""
    text = json.dumps(values, ensure_ascii=ascii)
    if indent is not None:
        text = json.dumps(values, ensure_ascii=ascii, indent=indent)
    if isinstance(indent, str):
        text = text.replace("\n", indent)
    try:
        body = text.encode()
    except UnicodeEncodeError:
        return
    lines = messages(body)

    assert lines.count(b"\n") == len(values)
    assert [json.loads(line) for line in lines.splitlines()] == values
    assert json.loads(array_of(lines)) == values


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b'{"a": 1}', b'{"a": 1}\n'),
        (b" 5 ", b"5\n"),
        (b"[]", b""),
        (b" [ ] ", b""),
        (b"[[1,2], [3]]", b"[1,2]\n[3]\n"),
        (b'{"a":\r\n1}', b'{"a":  1}\n'),
        (b"[1.0, 1e400, 10000000000000000000000.0]", b"1.0\n1e400\n10000000000000000000000.0\n"),
        (b'["\\u2028", "\xe2\x80\xa8"]', b'"\\u2028"\n"\xe2\x80\xa8"\n'),
        (b"[" + b"9" * 5000 + b"]", b"9" * 5000 + b"\n"),
    ],
)
def test_messages(body: bytes, lines: bytes):
    """One level of an array is messages; nothing is written in other words."""
    assert messages(body) == lines


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"{", b"[1,]", b"[1 2]", b"[1", b"1 2", b"[1] 2", b"NaN", b"[-Infinity]"),
        *(b"\xff", b"'a'", b'"\n"', b"[" * 100000, b"\xef\xbb\xbf1", b"[1]]", b"01"),
    ],
)
def test_no_json(body: bytes):
    """What is no JSON is refused, and told where it is none."""
    with pytest.raises(UsageError, match="expected JSON"):
        messages(body)


def test_arrays():
    """Lines make an array, none an empty one."""
    assert array_of(b"") == b"[]"
    assert array_of(b"1\n") == b"[1]"
    assert array_of(b'1\n"a b"\n') == b'[1,"a b"]'


def test_whole_messages():
    """What is behind the last line end is no whole message yet."""
    assert whole_messages(b"1\n2\n3") == 4
    assert whole_messages(b"12") == 0
    assert whole_messages(b"") == 0

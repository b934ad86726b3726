"""The keys that detach: their notation, and how they are found however what is typed comes in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.cli.detach_keys import DEFAULT, DetachKeys, parse_keys
from runcast.errors import UsageError
from tests.unit.wire.logs import PROPERTY


def typed(keys: DetachKeys, *pieces: bytes) -> tuple[bytes, bool]:
    """Return what is sent on of some pieces, and whether the keys were among them."""
    sent = b""
    for piece in pieces:
        data, found = keys.feed(piece)
        sent += data
        if found:
            return sent, True
    return sent, False


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (DEFAULT, ("\x1c", "d")),
        ("ctrl-p,ctrl-q", ("\x10", "\x11")),
        ("CTRL-P", ("\x10",)),
        ("~,.", ("~", ".")),
        ("ctrl-@,ctrl-[,ctrl-],ctrl-^,ctrl-_", ("\x00", "\x1b", "\x1d", "\x1e", "\x1f")),
        ("", ()),
    ],
)
def test_notation(text: str, keys: tuple[str, ...]):
    """Keys are written as docker has them."""
    assert parse_keys(text) == keys


@pytest.mark.parametrize(
    "text", ["ctrl", "ctrl-", "ctrl-1", "ab", "a,,b", "a,", "\u00e9", "\x01", "ctrl-p ctrl-q"]
)
def test_no_keys(text: str):
    """What is no key is refused, with what one would be."""
    with pytest.raises(UsageError, match="such as ctrl-p,ctrl-q"):
        parse_keys(text)


def test_too_many_keys():
    """A sequence is short."""
    with pytest.raises(UsageError, match="at most 8 keys to detach with, got 9"):
        parse_keys(",".join("a" * 9))


@pytest.mark.parametrize(
    "pieces",
    [
        (b"ls\n\x1cd",),
        (b"ls\n\x1c", b"d"),
        (b"ls\n", b"\x1c", b"dropped"[:1], b"x"),
        (b"ls\n\x1b[92;5ud",),  # kitty's protocol
        (b"ls\n\x1b[27;5;92~", b"d"),  # modifyOtherKeys of xterm
        (b"ls\n\x1b[92;5u", b"\x1b[100u"),
    ],
)
def test_found(pieces: tuple[bytes, ...]):
    """The sequence is found in all that terminals send for it, and nothing of it is sent on."""
    assert typed(DetachKeys(parse_keys(DEFAULT)), *pieces) == (b"ls\n", True)


def test_held():
    """The first key is held back until the next one shows whether it begins the sequence."""
    keys = DetachKeys(parse_keys(DEFAULT))

    assert keys.feed(b"\x1c") == (b"", False)
    assert keys.held == b"\x1c"
    assert keys.feed(b"\x1c") == (b"\x1c", False)  # so that twice is once at once
    assert keys.feed(b"x") == (b"\x1cx", False)
    assert keys.feed(b"\x1c") == (b"", False)
    assert (keys.release(), keys.held) == (b"\x1c", b"")
    assert keys.feed(b"d") == (b"d", False)


def test_escape_key():
    """The Escape key is never held back, though longer forms of the keys begin with it."""
    assert DetachKeys(parse_keys(DEFAULT)).feed(b"\x1b") == (b"\x1b", False)


def test_none():
    """Without keys everything is sent on."""
    assert DetachKeys(()).feed(b"\x1cd\x10\x11") == (b"\x1cd\x10\x11", False)


@PROPERTY
@given(st.lists(st.sampled_from([b"\x1c", b"d", b"x", b"\x1b", b"[", b"92;5u", b"\x1c\x1c"]), max_size=12))
def test_pieces(pieces: list[bytes]):
    """Everything but the sequence is sent on, once and in order, however it comes."""
    whole = b"".join(pieces)
    keys = DetachKeys(("\x1c", "d"))

    sent, found = typed(keys, *pieces)

    before = whole.partition(b"\x1cd")[0]
    if found and b"\x1b" not in whole:
        assert sent == before
    elif not found:
        assert sent + keys.release() == whole

"""What programs ask terminals: the replies, and what is removed around attached terminals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.escapes.queries import ANSWERED, Without, answer, without_queries, without_replies

ST = b"\x1b\\"
QUERIES = [
    *(b"\x1b[6n", b"\x1b[5n", b"\x1b[?6n", b"\x1b[?15n", b"\x1b[?996n"),
    *(b"\x1b[c", b"\x1b[0c", b"\x1b[>c", b"\x1b[>0c", b"\x1b[=c", b"\x1bZ"),
    *(
        b"\x1b[?2026$p",
        b"\x1b[4$p",
        b"\x1b[>q",
        b"\x1b[>0q",
        b"\x1b[?u",
        b"\x1b[?1;1;0S",
        b"\x1b[x",
        b"\x1b[1x",
    ),
    *(b"\x1b[14t", b"\x1b[18t", b"\x1b[21t", b"\x1b[14;2t"),
    *(b"\x1b]10;?\x07", b"\x1b]11;?\x1b\\", b"\x1b]4;1;?\x07", b"\x1b]52;c;?\x07"),
    *(b"\x1bP$qm\x1b\\", b"\x1bP+q544e\x1b\\"),
]
SHOWN = [
    *(
        b"\x1b[m",
        b"\x1b[6m",
        b"\x1b[6;1H",
        b"\x1b[2J",
        b"\x1b[?25l",
        b"\x1b[?2026h",
        b"\x1b[22;0;0t",
        b"\x1b[23t",
    ),
    *(b"\x1b[4 q", b"\x1b[!p", b"\x1b[>4;2m", b"\x1b[>25u", b"\x1b[<u", b"\x1b[u", b"\x1b[8;24;80t"),
    *(
        b"\x1b]0;who?\x07",
        b"\x1b]8;;http://a/?q=1\x1b\\",
        b"\x1bPq#0~\x1b\\",
        b"\x1b7",
        b"\x1b(B",
        "¿?".encode(),
    ),
]
REPLIES = [
    *(b"\x1b[24;1R", b"\x1b[1;1R", b"\x1b[1;80R", b"\x1b[12;34R", b"\x1b[0n", b"\x1b[?24;1R"),
    *(b"\x1b[?1;2c", b"\x1b[?62;22c", b"\x1b[>0;276;0c", b"\x1b[=0c", b"\x1b[?2026;2$y", b"\x1b[4;2$y"),
    *(b"\x1b[?1u", b"\x1b[4;600;800t", b"\x1b[8;24;80t", b"\x1b[2;1;1;128;128;1;0x"),
    *(b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\", b"\x1b]11;rgb:0000/0000/0000\x07", b"\x1b]52;c;c2VjcmV0\x07"),
    *(b"\x1bP>|xterm(384)\x1b\\", b"\x1bP1$r0m\x1b\\", b"\x1bP0+r544e\x1b\\", b"\x1b_Gi=1;OK\x1b\\"),
]
TYPED = [
    *(
        b"a",
        b"\r",
        b"\x03",
        b"\x1b",
        b"\x1b\x1b",
        b"\x1b[A",
        b"\x1bOP",
        b"\x1b[15~",
        b"\x1b[1;5C",
        b"\x1b[Z",
        b"\x1bb",
    ),
    *(
        b"\x1b[1;2R",
        b"\x1b[1;16R",
        b"\x1b[200~x\x1b[201~",
        b"\x1b[<0;1;1M",
        b"\x1b[I",
        b"\x1b[97;5u",
        "é".encode(),
    ),
]


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        (b"\x1b[6n", b"\x1b[30;1R"),
        (b"\x1b[?6n", b"\x1b[?30;1R"),
        (b"\x1b[5n", b"\x1b[0n"),
        (b"\x1b[c", b"\x1b[?1;2c"),
        (b"\x1b[0c", b"\x1b[?1;2c"),
        (b"\x1b[>c", b"\x1b[>0;10;1c"),
        (b"\x1b[>0c", b"\x1b[>0;10;1c"),
        (b"\x1b[?2026$p", b"\x1b[?2026;0$y"),
        (b"\x1b[?31$p", b""),
        (b"\x1b[?5n", b""),
    ],
)
def test_answer(query: bytes, reply: bytes):
    """Each question that is answered has one reply, and a mode that nobody asks for has none."""
    assert ANSWERED.fullmatch(query)
    assert answer(query, 30) == reply


@given(st.binary(max_size=30))
def test_echoes_nothing(data: bytes):
    """What a reply contains is fixed, whatever the output asks."""
    fixed = {answer(query, 24) for query in [*QUERIES, *(b"\x1b[?%d$p" % mode for mode in range(10_000))]}

    for match in ANSWERED.finditer(b"\x1b[" + data):
        assert answer(match[0], 24) in fixed


def through(made: Without, *pieces: bytes) -> bytes:
    return b"".join([*map(made.feed, pieces), made.flush()])


@pytest.mark.parametrize("query", QUERIES)
def test_queries_are_removed(query: bytes):
    """A question is shown to nobody, wherever it is cut; what is around it is."""
    for at in range(len(query) + 3):
        data = b"<" + query + b">"
        assert through(without_queries(), data[:at], data[at:]) == b"<" + ST + b">"


@pytest.mark.parametrize("shown", SHOWN)
def test_others_are_shown(shown: bytes):
    """All else in the output stays as it is."""
    for at in range(len(shown) + 1):
        assert through(without_queries(), shown[:at], shown[at:]) == shown


def test_name_of_the_terminal():
    """ENQ, to which some terminals reply with their name, is removed."""
    assert through(without_queries(), b"a\x05b") == b"ab"


@given(
    st.lists(st.sampled_from([*QUERIES, b"\x1b[6", b"\x1b[", b"n", b"\x1b", b"?", b"c", b"[6n"]), max_size=8)
)
def test_nothing_becomes_a_question(parts: list[bytes]):
    """What is left around removed questions is none."""
    left = through(without_queries(), *parts)

    assert through(without_queries(), left) == left


@pytest.mark.parametrize("reply", REPLIES)
def test_replies_are_removed(reply: bytes):
    """The replies of an attached terminal are not typed, in one piece or cut behind their first two bytes."""
    for at in [0, *range(2, len(reply) + 1)]:
        assert through(without_replies(), b"x" + reply[:at], reply[at:] + b"y") == b"xy"


@pytest.mark.parametrize("typed", TYPED)
def test_keys_are_typed(typed: bytes):
    """Keys, those with Shift and others too, mouse and paste are typed as they are."""
    for at in range(len(typed) + 1):
        assert through(without_replies(), typed[:at], typed[at:]) == typed


def test_escape_is_not_held():
    """The key Esc goes through at once; Alt and a bracket once nothing follows."""
    made = without_replies()

    assert (made.feed(b"\x1b"), made.held) == (b"\x1b", False)
    assert (made.feed(b"\x1b["), made.held) == (b"", True)
    assert (made.flush(), made.held) == (b"\x1b[", False)

"""Masked output: the same however it is cut, held back for a second at most."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.masking.masks import Masks
from runcast.masking.stream import HOLD_SECONDS, MaskedStream

SECRET = "hunter2-hunter2-and-more"


def masked(values: list[str], *pieces: bytes, terminal: bool = False) -> bytes:
    stream = MaskedStream(Masks(values), terminal=terminal)
    return b"".join([*(stream.feed(piece, 0.0) for piece in pieces), stream.end()])


def plainly(values: list[bytes], data: bytes) -> bytes:
    """The same by trying all places: three stars for each covered stretch of a line."""
    covered = [False] * len(data)
    for value in values:
        for at in range(len(data) - len(value) + 1):
            if data.startswith(value, at):
                covered[at : at + len(value)] = [True] * len(value)
    made, stars = bytearray(), False
    for at, byte in enumerate(data):
        if covered[at] and byte not in b"\r\n":
            made += b"" if stars else b"***"
            stars = True
        else:
            made.append(byte)
            stars = False
    return bytes(made)


@pytest.mark.parametrize("cut", range(len(SECRET) + 1))
def test_a_secret_cut_anywhere_is_masked(cut):
    """A secret that comes in two pieces is masked as one that comes at once."""
    data = SECRET.encode()
    for terminal, stars in ((False, b"***"), (True, b"*" * len(SECRET))):
        pieces = b"a " + data[:cut], data[cut:] + b" z\n"
        assert masked([SECRET], *pieces, terminal=terminal) == b"a " + stars + b" z\n"


def test_a_secret_that_comes_byte_by_byte_is_masked():
    """Single bytes are enough to be matched."""
    pieces = [bytes([byte]) for byte in f"say {SECRET}{SECRET}!\n".encode()]
    assert masked([SECRET], *pieces) == b"say ***!\n"


def test_what_belongs_to_a_secret_stays_masked_while_more_may_begin_there():
    """Of a secret whose end may begin another, no byte is shown, however slowly that comes."""
    pieces = [b":::a:", b":", b":", b":", b"a:", b"."]
    assert masked([":::a:"], *pieces) == masked([":::a:"], b"".join(pieces)) == b"***."


VALUES = st.lists(st.text(st.sampled_from("ab\n:é"), min_size=4, max_size=9), max_size=4)


@given(VALUES, st.data(), st.booleans())
def test_cutting_makes_no_difference(values, data, terminal):
    """Any cutting of an output is masked as the whole: as trying all places would mask it."""
    parts = [*values, *(value[:3] for value in values), "a", "b", "\n", "é", "::add-mask::", "aba%0Abb\n"]
    text = "".join(data.draw(st.lists(st.sampled_from(parts), max_size=12))).encode()
    whole = masked(values, text, terminal=terminal)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert masked(values, *(piece for piece in pieces if piece), terminal=terminal) == whole
    if b"::add-mask::" not in text and not terminal:
        assert whole == plainly(sorted(Masks(values).matcher.known), text)


@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from([0.0, 0.3, 0.9, 1.1, 3.0])), max_size=30))
def test_pauses_show_a_beginning_but_never_the_whole(steps):
    """What waits longer than a second is sent, and what completes the secret is masked all the same."""
    stream, now, made = MaskedStream(Masks([SECRET])), 0.0, b""
    rest = f"a{SECRET}\nb{SECRET}\n".encode()
    sent: list[bytes] = []
    for count, pause in [*steps, (len(rest), 0.0)]:
        if rest:
            sent.append(stream.feed(rest[:count], now))
        rest = rest[count:]
        now += pause
        assert stream.due is None or stream.due < now - pause + HOLD_SECONDS + 0.001
        sent.append(stream.expire(now))
    made = b"".join([*sent, stream.end()])
    assert SECRET.encode() not in made
    assert made.count(b"***") == 2
    assert made.replace(b"***", b"").replace(b"\n", b"").startswith(b"a")


def test_a_beginning_waits_for_a_second_and_no_longer():
    """What may begin a secret is held back until its second is over; later bytes do not prolong it."""
    stream = MaskedStream(Masks([SECRET]))
    assert stream.feed(b"x hun", 10.0) == b"x "
    assert stream.due == 11.0
    assert stream.feed(b"ter", 10.5) == b""
    assert stream.due == 11.0
    assert stream.expire(10.9) == b""
    assert stream.expire(11.0) == b"hunter"
    assert stream.due is None
    assert stream.feed(b"2-hunter2", 15.0) == b""
    assert stream.due == 16.0
    assert stream.feed(b"-and-more.", 15.1) == b"***."


def test_what_is_no_secret_after_all_is_sent_at_once():
    """As soon as what waits cannot become a secret it is sent."""
    stream = MaskedStream(Masks([SECRET]))
    assert stream.feed(b"hunter", 0.0) == b""
    assert stream.feed(b"s\n", 0.1) == b"hunters\n"
    assert stream.due is None


def test_other_output_is_passed_on_as_it_is():
    """Output without a secret is neither copied nor held back."""
    data = b"nothing of that kind\n"
    assert MaskedStream(Masks([SECRET])).feed(data, 0.0) is data


def test_a_value_of_many_lines_is_masked_line_by_line():
    """Each line of a value is a secret, and line ends stay, so that lines keep their numbers."""
    value = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nab\n-----END KEY-----\n"
    assert masked([value], value.encode()) == b"***\n***\n***\n***\n"
    assert masked([value], b"> MIIEvQIBADANBg <\r\n") == b"> *** <\r\n"
    assert masked([value], value.replace("\n", "\r\n").encode()) == b"***\r\n***\r\nab\r\n***\r\n"


def test_a_terminal_keeps_its_columns():
    """In a terminal each character of a secret becomes one star."""
    assert masked(["pässwörd"], "[pässwörd]".encode(), terminal=True) == b"[********]"


def test_add_mask_hides_its_value_from_then_on():
    """What follows `::add-mask::` is hidden there, and later, with its lines and in other forms."""
    stream = MaskedStream(masks := Masks())
    other = MaskedStream(masks)
    assert stream.feed(b"open-sesame\n::add-mask::open-ses", 0.0) == b"open-sesame\n::add-mask::"
    assert stream.feed(b"ame%0Asecond\nopen-sesame, second\n", 0.0) == b"***\n***, ***\n"
    assert other.feed(b"b3Blbi1zZXNhbWU=\n", 0.0) == b"***=\n"


def test_add_mask_is_heard_cut_anywhere():
    """The command is recognized however it is cut, also where a part of it was sent already."""
    text = b"  ::add-mask::open-sesame\nopen-sesame\n"
    for cut in range(text.index(b"\n") + 1):
        stream = MaskedStream(Masks())
        first = stream.feed(text[:cut], 0.0) + stream.expire(5.0)
        assert first + stream.feed(text[cut:], 6.0) + stream.end() == b"  ::add-mask::***\n***\n"


@pytest.mark.parametrize("text", [b"say ::add-mask::open-sesame\n", b"::ADD-MASK::open-sesame\n"])
def test_only_the_command_is_heard(text):
    """`::add-mask::` within a line is text, and so is another spelling."""
    assert masked([], text, b"open-sesame\n") == text + b"open-sesame\n"


@pytest.mark.parametrize("value", [b"", b"abc", b"  \r", b"x" * 40_000])
def test_add_mask_with_a_value_that_cannot_be_masked_says_so(value):
    """A value that is too short or too long is hidden where it stands, with a word about it."""
    made = masked([], b"::add-mask::" + value + b"\nabc\n")
    assert made.startswith(b"::add-mask::*** (runcast masks values of 4 bytes to 32 KiB)")
    assert made.endswith(b"\nabc\n")


def test_add_mask_without_a_line_end_is_hidden_at_the_end():
    """A value at the very end of an output needs no line end."""
    assert masked([], b"::add-mask::open-ses", b"ame") == b"::add-mask::***"

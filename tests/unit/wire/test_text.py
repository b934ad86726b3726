"""Plain text."""

from hypothesis import given

from runcast.model import Channel, Outcome, Reason, State
from runcast.wire.resume_point import ResumePoint
from runcast.wire.text import Text
from tests.unit.wire.logs import ERR, OUT, PROPERTY, RUN, Appends, Pieces, appends

FAILED = Outcome(Reason.EXITED, 3)


@PROPERTY
@given(appends())
def test_raw(parts: Appends):
    """The bytes of the log come as they are, at once, however they are read."""
    log = Pieces(parts)

    for limit in (1, 3, 1000):
        assert b"".join(log.feed(Text(RUN), limit)) == b"".join(data for _, data in parts)


def test_place():
    """The place is the offset of the next byte: text is resumed by counting."""
    log = Pieces([(OUT, b"abc"), (ERR, b"def")])
    encoder = Text(RUN, ResumePoint(1))

    assert encoder.feed(log.read(encoder.next, 3)) == b"bcd"
    assert encoder.resume_point == ResumePoint(4, fresh=False)
    assert encoder.feed(log.read(encoder.next, 100, {OUT})) == b""
    assert encoder.resume_point == ResumePoint(6, fresh=False)


def test_nothing_beside_the_log():
    """What stands beside the log is silent, unless it was asked for."""
    encoder = Text(RUN)

    assert encoder.preamble({"id": RUN}) == b""
    assert encoder.update("progress", {"done": 1}) == b""
    assert encoder.heartbeat() == b""
    assert encoder.restart() == b""
    assert encoder.exit(State.EXITED, FAILED) == b""


def test_end():
    """With `end` the outcome is a last line."""
    assert Text(RUN, end=True).exit(State.EXITED, FAILED) == b"[runcast: exit code 3]\n"


def test_lines_of_our_own_stand_alone():
    """A line of ours begins a line, also behind output that did not end one."""
    log = Pieces([(OUT, b"half")])
    encoder = Text(RUN, end=True)
    encoder.feed(log.read(0))

    assert encoder.notice("nothing for 5 s") == b"\nnothing for 5 s\n"
    assert encoder.exit(State.EXITED, FAILED) == b"[runcast: exit code 3]\n"


def test_lines_of_our_own_stand_alone_for_who_joins():
    """Whether what was said ends a line goes with the place: who is told less is at another one."""
    log = Pieces([(OUT, b"half")])
    one = Text(RUN)
    one.feed(log.read(0))
    other = Text(RUN, one.resume_point)
    assert one.key == other.key

    assert one.notice("nothing for 5 s") == b"\nnothing for 5 s\n"
    assert one.key != other.key
    assert other.notice("nothing for 5 s") == b"\nnothing for 5 s\n"
    assert one.key == other.key


def test_message_is_one_line():
    """What an outcome's message says cannot look like lines of output."""
    outcome = Outcome(Reason.EXITED, 1, message="ValueError: a\r\nb")

    assert Text(RUN, end=True).exit(State.EXITED, outcome) == b"[runcast: exit code 1 (ValueError: a  b)]\n"


def test_gap():
    """A gap is a visible line with its range."""
    log = Pieces([(OUT, b"ab"), (Channel.GAP, b"..."), (OUT, b"c\n"), (Channel.GAP, b"."), (OUT, b"d")])

    assert b"".join(log.feed(Text(RUN))) == (
        b"ab\n[runcast: bytes 2 to 5 are gone]\nc\n[runcast: bytes 7 to 8 are gone]\nd"
    )

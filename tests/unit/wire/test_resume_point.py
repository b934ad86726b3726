"""Places and event ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.model import Channel
from runcast.wire.resume_point import REACH, START, EventId, ResumePoint, event_id, parse_event_id
from tests.unit.wire.logs import DATA, ERR, OUT, PROPERTY, RUN

BEGINS = st.dictionaries(st.sampled_from([OUT, ERR, DATA, Channel.UNKNOWN]), st.integers(1, REACH))


def test_text():
    """An id is the run and the padded offset, and where unfinished lines begin."""
    assert event_id(RUN, ResumePoint(42)) == f"{RUN}:00000000000000000042"
    assert event_id(RUN, ResumePoint(42, ((ERR, 7), (OUT, 3)))) == f"{RUN}:00000000000000000042-e7-o3"
    assert event_id(RUN, None) == f"{RUN}:end"


@PROPERTY
@given(st.integers(REACH, 10**20 - 1), BEGINS)
def test_round_trip(offset: int, back: dict[Channel, int]):
    """What an id says is read back."""
    place = ResumePoint(offset, tuple((channel, offset - count) for channel, count in back.items()))

    assert parse_event_id(event_id(RUN, place)) == EventId(RUN, place)


def test_end():
    """The id of the exit has no place."""
    assert parse_event_id(f"{RUN}:end") == EventId(RUN, None)


def test_plain_decimals():
    """An offset need not be padded, and blanks around the header's value do no harm."""
    assert parse_event_id(" other:42 ") == EventId("other", ResumePoint(42))


@pytest.mark.parametrize(
    "text",
    [
        *("", "42", ":42", f"{RUN}", f"{RUN}:", f"{RUN}:-1", f"{RUN}:now", f"{RUN}:End", f"{RUN}:1x"),
        *(f"{RUN}:42-", f"{RUN}:42-x1", f"{RUN}:42-o", f"{RUN}:42-o1-o2", f"{RUN}:42-o42", f"{RUN}:42-o43"),
        *(f"{RUN}:end-o1", f"{RUN}:{'9' * 21}", "a b:42", "a/b:42", f"{'x' * 129}:1", f"{RUN}:4\n2", "é:1"),
        *(f"{RUN}:\u0664", f"{RUN}:{5 * REACH}-o1", f"{RUN}:42:43"),
    ],
)
def test_malformed(text: str):
    """What is no id of ours is told apart from an id of another run."""
    assert parse_event_id(text) is None


def test_start():
    """Reading begins where the first unfinished line does."""
    assert START.read_from == 0
    assert ResumePoint(9).read_from == 9
    assert ResumePoint(9, ((OUT, 5), (ERR, 3))).read_from == 3

"""The values everybody speaks, and their text on the wire."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runcast.errors import BadOffset, OffsetBeyondTail
from runcast.model import Outcome, Reason, format_offset, parse_offset, signal_name
from tests.unit.texts import texts

U64 = st.integers(0, 2**64 - 1)


@given(U64, U64)
def test_offsets_as_text(one: int, other: int):
    """The text of an offset comes back, and the order of texts is the order of offsets."""
    assert parse_offset(format_offset(one), one) == one
    assert (format_offset(one) < format_offset(other)) == (one < other)
    assert len(format_offset(one)) == 20


@pytest.mark.parametrize(
    ("text", "offset"), [("0", 0), ("12", 12), ("00012", 12), ("100", 100), ("-1", 0), ("now", 100)]
)
def test_offsets_people_write(text: str, offset: int):
    """Plain decimals, `-1` for the start and `now` for the tail are taken."""
    assert parse_offset(text, 100) == offset


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "+1", "-2", "1.0", "0x1", "NOW", "٣", "²", "1_000", "9" * 21, "\0", "1\n"]
)
def test_texts_that_are_no_offset(text: str):
    """Anything else is refused, and the message shows it."""
    with pytest.raises(BadOffset, match=r"expected an offset .*, got "):
        parse_offset(text, 100)


def test_offset_beyond_the_tail():
    """An offset past the tail is refused with the tail."""
    with pytest.raises(OffsetBeyondTail) as refused:
        parse_offset("101", 100)

    assert (refused.value.offset, refused.value.tail) == (101, 100)


@pytest.mark.parametrize(
    ("outcome", "ok", "status", "text"),
    [
        (Outcome(Reason.EXITED, 0), True, 0, "exit code 0"),
        (Outcome(Reason.EXITED, 3), False, 3, "exit code 3"),
        (Outcome(Reason.EXITED, 127), False, 127, "exit code 127"),
        (Outcome(Reason.SIGNALED, signal=9), False, 137, "killed by SIGKILL"),
        (Outcome(Reason.STOPPED, signal=15), False, 143, "stopped, killed by SIGTERM"),
        (Outcome(Reason.STOPPED, 0), False, 0, "stopped, exit code 0"),
        (Outcome(Reason.TIMED_OUT, 127), False, 127, "timed out, exit code 127"),
        (Outcome(Reason.IDLE_TIMED_OUT, signal=40), False, 168, "idle timed out, killed by signal 40"),
        (Outcome(Reason.FAILED_TO_START, 127, message="why"), False, 127, "failed to start (why)"),
        (Outcome(Reason.FAILED_TO_START, 126, message="why"), False, 126, "failed to start (why)"),
        (Outcome(Reason.LOST), False, 1, "lost"),
    ],
)
def test_outcomes(outcome: Outcome, ok: bool, status: int, text: str):
    """Ok is exit code 0 by itself; the status is a shell's; the text says how it ended."""
    assert (outcome.ok, outcome.exit_status, str(outcome)) == (ok, status, text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | texts(),
    lambda some: st.lists(some, max_size=3),
    max_leaves=4,
)
OUTCOMES = st.builds(
    Outcome,
    st.sampled_from(Reason),
    st.none() | st.integers(0, 255),
    st.none() | st.integers(1, 64),
    texts(),
    VALUES,
    st.integers(0),
    st.booleans(),
    st.floats(0, 1e10),
)


@given(OUTCOMES)
def test_outcome_as_json(outcome: Outcome):
    """An outcome comes back from its JSON, whatever a later version adds to it."""
    value = outcome.to_json() | {"invented_later": 1}

    assert Outcome.from_json(value) == outcome
    assert value["ok"] is outcome.ok


@example(Outcome(Reason.STOPPED, 0), False)
@given(OUTCOMES, st.booleans())
def test_reason_of_a_later_version(outcome: Outcome, ok: bool):
    """A reason that is not known here is told in the message, and never turns a failure into success."""
    read = Outcome.from_json(outcome.to_json() | {"reason": "evicted", "ok": ok})

    assert read.message.startswith("evicted")
    assert (read.code, read.signal, read.exit_status) == (outcome.code, outcome.signal, outcome.exit_status)
    assert not read.ok or (ok and outcome.code == 0)
    assert (read.reason is Reason.LOST) == (outcome.code is None and outcome.signal is None)


def test_signal_names():
    """Signals have their names; those without one have their number."""
    assert (signal_name(15), signal_name(40), signal_name(999)) == ("SIGTERM", "signal 40", "signal 999")

"""The values everybody speaks, and their text on the wire."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runcast.model import Outcome, Reason, signal_name
from tests.unit.texts import texts


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
    st.just(""),  # which is told to few, and is no part of the JSON
    st.floats(0, 1e10),
)


@given(OUTCOMES)
def test_outcome_as_json(outcome: Outcome):
    """An outcome comes back from its JSON, whatever a later version adds to it."""
    value = outcome.to_json() | {"invented_later": 1}

    assert Outcome.from_json(value) == outcome
    assert (value["ok"], value["text"]) == (outcome.ok, outcome.text)


@example(Outcome(Reason.STOPPED, 0), False)
@given(OUTCOMES, st.booleans())
def test_reason_of_a_later_version(outcome: Outcome, ok: bool):
    """A reason that is not known here is told in the message, and never turns a failure into success."""
    read = Outcome.from_json(outcome.to_json() | {"reason": "evicted", "ok": ok})

    assert read.message.startswith("evicted")
    assert (read.code, read.signal, read.exit_status) == (outcome.code, outcome.signal, outcome.exit_status)
    assert not read.ok or (ok and outcome.code == 0)
    assert (read.reason is Reason.LOST) == (outcome.code is None and outcome.signal is None)


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (Outcome(Reason.EXITED, 0), "Finished with exit code 0 after 3.1 s."),
        (Outcome(Reason.EXITED, 2), "Failed with exit code 2 after 3.1 s."),
        (
            Outcome(Reason.EXITED, 1, message="ValueError: no"),
            "Failed with exit code 1 after 3.1 s: ValueError: no.",
        ),
        (Outcome(Reason.SIGNALED, signal=9), "Killed by SIGKILL after 3.1 s."),
        (Outcome(Reason.STOPPED, signal=15), "Stopped after 3.1 s, with SIGTERM."),
        (Outcome(Reason.STOPPED), "Stopped after 3.1 s."),
        (Outcome(Reason.TIMED_OUT, signal=15), "Stopped because its time was up, after 3.1 s."),
        (Outcome(Reason.IDLE_TIMED_OUT), "Stopped because it printed nothing for too long, after 3.1 s."),
        (Outcome(Reason.FAILED_TO_START, 127, message="Not there."), "Could not be started: Not there."),
        (Outcome(Reason.LOST), "Lost: its end was not observed."),
        (
            Outcome(Reason.EXITED, 0, dropped=1234, truncated=True),
            "Finished with exit code 0 after 3.1 s. 1,234 bytes of its output could not be kept. "
            "The middle of its output was dropped, at the cap on its size.",
        ),
    ],
)
def test_text(outcome: Outcome, text: str):
    """Each way to end has a sentence, with how long it took where that is known."""
    assert outcome._replace(started_at=10.0, ended_at=13.1).text == text
    assert outcome.text == text.replace(",  after", "").replace(", after 3.1 s", "").replace(
        " after 3.1 s", ""
    )


def test_signal_names():
    """Signals have their names; those without one have their number."""
    assert (signal_name(15), signal_name(40), signal_name(999)) == ("SIGTERM", "signal 40", "signal 999")

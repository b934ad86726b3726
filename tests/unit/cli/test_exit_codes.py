"""What the command line exits with for a run."""

import pytest

from runcast import Outcome, Reason
from runcast.cli.exit_codes import of_outcome


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome(Reason.EXITED, 0), 0),
        (Outcome(Reason.EXITED, 255), 255),
        (Outcome(Reason.SIGNALED, signal=9), 137),
        (Outcome(Reason.FAILED_TO_START, 127), 127),
        (Outcome(Reason.FAILED_TO_START, 126), 126),
        (Outcome(Reason.STOPPED, 0), 0),
        (Outcome(Reason.FAILED_TO_START, 125), 125),
        (Outcome(Reason.TIMED_OUT, signal=15), 124),
        (Outcome(Reason.TIMED_OUT, signal=9), 124),
        (Outcome(Reason.TIMED_OUT, 3), 124),
        (Outcome(Reason.TIMED_OUT, 0), 124),
        (Outcome(Reason.IDLE_TIMED_OUT, 0), 124),
        (Outcome(Reason.LOST), 1),
    ],
)
def test_of_outcome(outcome: Outcome, code: int):
    """It is the command's exit status as a shell has it, and 124 where a timeout of its own ended it."""
    assert of_outcome(outcome) == code

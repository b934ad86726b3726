"""Runs in numbers: their outcomes, their durations, and how many names there may be."""

from collections import Counter

import pytest

from runcast.model import Outcome, Reason
from runcast.server.run_counts import MOST_NAMES, OTHER, OUTCOMES, Durations, RunCounts, outcome_label


@pytest.mark.parametrize(
    ("outcome", "label"),
    [
        (Outcome(Reason.EXITED, 0), "ok"),
        (Outcome(Reason.EXITED, 3), "failed"),
        (Outcome(Reason.STOPPED, signal=15), "stopped"),
        (Outcome(Reason.OUT_OF_MEMORY, signal=9), "out of memory"),
        (Outcome(Reason.LOST), "lost"),
        (None, "removed"),
    ],
)
def test_outcome_label(outcome: Outcome | None, label: str):
    """An outcome has the word of its JSON; a command that ended by itself, whether it succeeded."""
    assert outcome_label(outcome) == label
    assert label in OUTCOMES


def test_names_are_bounded():
    """Ten thousand names make a hundred labels, and those of the server's commands are always kept apart."""
    counts = RunCounts(["backup"])
    for number in range(10_000):
        counts.add(f"build-{number}", Outcome(Reason.EXITED, 0, started_at=1.0, ended_at=2.0))
    counts.add("backup", Outcome(Reason.EXITED, 1))
    counts.set_now(Counter({"late-1": 2, "late-2": 3}), Counter({f"queue-{n}": 1 for n in range(200)}))

    assert len(counts.ended) == MOST_NAMES + len(OUTCOMES) + 1
    assert counts.ended["backup", "lost"] == 0
    assert counts.ended[OTHER, "ok"] == 10_000 - MOST_NAMES
    assert counts.ended["backup", "failed"] == 1
    assert len(counts.durations) == MOST_NAMES + 1
    assert counts.running == {"backup": 0, OTHER: 5}
    assert (len(counts.queued), counts.queued[OTHER]) == (MOST_NAMES + 1, 100)


def test_none_is_zero():
    """A name that no run has any more stays, as 0: else a graph would go on with its last value."""
    counts = RunCounts()
    counts.set_now(Counter(build=2), Counter(deploy=1))
    counts.set_now(Counter(), Counter())

    assert (counts.running, counts.queued) == ({"build": 0}, {"deploy": 0})


def test_durations():
    """A bucket includes its bound, as Prometheus has it; a clock that was set back is no negative time."""
    durations = Durations()
    for seconds in (-5.0, 0.1, 60.0, 60.1, 1e6):
        durations.add(seconds)
    buckets = dict(durations.buckets())

    assert (buckets["0.1"], buckets["60.0"], buckets["300.0"], buckets["+Inf"]) == (2, 3, 4, 5)
    assert durations.sum == pytest.approx(1_000_120.2)


def test_never_started():
    """A run that could not be started, or that waited until it was stopped, has no duration."""
    counts = RunCounts()
    counts.add("build", Outcome(Reason.FAILED_TO_START, 127, ended_at=5.0))

    assert counts.durations == {}
    assert counts.ended["build", "failed to start"] == 1

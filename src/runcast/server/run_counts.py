"""What is counted of runs: how they ended, how long they took, how many there are now.

Owns the labels of these metrics and their bound: a name is whatever a starter wrote, and each new one would
be some 25 numbers more that a monitoring system keeps for ever. Must not know files or how metrics are
written.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator

from runcast.model import Outcome, Reason

__all__ = ["MOST_NAMES", "OTHER", "OUTCOMES", "REMOVED", "Durations", "Labels", "RunCounts", "outcome_label"]

OTHER = "other"
MOST_NAMES = 100  # of runs, beside the server's own commands
REMOVED = "removed"  # before anybody saw how it ended
OUTCOMES = ("ok", "failed", *(reason.value for reason in Reason if reason is not Reason.EXITED), REMOVED)
_BOUNDS = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0)


def outcome_label(outcome: Outcome | None) -> str:
    """Return how a run ended, one of `OUTCOMES`: the reason in its JSON; `exited` is `ok` or `failed`."""
    if outcome is None:
        return REMOVED
    if outcome.reason is Reason.EXITED:
        return "ok" if outcome.ok else "failed"
    return outcome.reason.value


class Labels:
    """Label values that others choose, of which there are never too many.

    Args:
        own: those that are always kept apart.
        most: how many others are, the first to come; those behind them are `OTHER`.
    """

    def __init__(self, own: Collection[str] = (), most: int = MOST_NAMES) -> None:
        self._known, self._most = set(own), len(set(own)) + most

    def of(self, name: str) -> str:
        """Return the label for a name."""
        if name not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(name)
        return name


class Durations:
    """How long runs took, as a histogram: in buckets, and their sum in seconds."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one. Of clocks that were set back meanwhile it is 0."""
        seconds = max(seconds, 0.0)
        self._counts[bisect_left(_BOUNDS, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> Iterator[tuple[str, int]]:
        """Yield the upper bound of each bucket, which it includes, and how many are not above it."""
        total = 0
        for bound, count in zip([*map(str, _BOUNDS), "+Inf"], self._counts, strict=True):
            total += count
            yield bound, total


class RunCounts:
    """The runs of a store that ended while a server looked, and those that go on.

    Attributes:
        ended: how many ended, by name and outcome.
        durations: of those that had started, by name; the time in a queue is no part of it.
        running: how many go on now, by name.
        queued: how many wait now, by queue.
    """

    def __init__(self, commands: Collection[str] = ()) -> None:
        self._names, self._queues = Labels(commands), Labels()
        # From 0 on: of a counter that begins with 1, nobody sees the increase.
        self.ended: Counter[tuple[str, str]] = Counter(
            {(name, outcome): 0 for name in commands for outcome in OUTCOMES}
        )
        self.durations: dict[str, Durations] = {}
        self.running: Counter[str] = Counter(dict.fromkeys(commands, 0))
        self.queued: Counter[str] = Counter()

    def add(self, name: str, outcome: Outcome | None) -> None:
        """Count a run that is over.

        Args:
            name: of the run.
            outcome: how it ended; None where it was removed before that was seen.
        """
        label = self._names.of(name)
        self.ended[label, outcome_label(outcome)] += 1
        if outcome is not None and outcome.started_at and outcome.ended_at:
            took = max(outcome.ended_at - outcome.started_at, 0.0)  # of a lost one by any clock
            self.durations.setdefault(label, Durations()).add(took)

    def set_now(self, running: Counter[str], queued: Counter[str]) -> None:
        """Take how many runs go on, by name, and wait, by queue. What was there before stays, as 0."""
        for counts, labels, found in (
            (self.running, self._names, running),
            (self.queued, self._queues, queued),
        ):
            now = Counter(dict.fromkeys(counts, 0))
            for name, count in found.items():
                now[labels.of(name)] += count
            counts.clear()
            counts.update(now)

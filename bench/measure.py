"""Measuring in turns: ours, the peers, ours, the peers …, so that all meet the same weather.

Owns the order, the percentiles and how samples become figures. Measures nothing by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.row import Figure

if TYPE_CHECKING:
    from bench.bench import Bench

__all__ = ["OURS", "Results", "alternate", "percentile", "quantiles"]

OURS = "runcast"

Contender = Callable[[], Mapping[str, float]]


class Results:
    """Samples by metric and contender, one a round."""

    def __init__(self) -> None:
        self._samples: dict[str, dict[str, list[float]]] = {}

    def add(self, contender: str, sample: Mapping[str, float]) -> None:
        """Keep what a contender reached in one round."""
        for metric, value in sample.items():
            self._samples.setdefault(metric, {}).setdefault(contender, []).append(value)

    def figure(
        self,
        metric: str,
        name: str,
        unit: str,
        *,
        ours: str = OURS,
        peers: Collection[str] | None = None,
        **rest: Any,
    ) -> Figure:
        """Return one metric as a figure.

        Args:
            metric: what the contenders call it.
            name: what the table calls it.
            unit: of the samples.
            ours: the contender that is runcast.
            peers: those to set beside it; by default all others that measured it.
            rest: see `Figure`.
        """
        samples = self._samples[metric]
        beside = {peer: samples[peer] for peer in peers or samples if peer != ours}
        return Figure(name, unit, samples[ours], beside, **rest)


def alternate(bench: Bench, title: str, contenders: Mapping[str, Contender]) -> Results:
    """Have each contender measure itself once a round, in order, and return what they reached."""
    results = Results()
    for number in range(bench.rounds):
        for name, contender in contenders.items():
            bench.calm()
            bench.say(f"{title}: round {number + 1} of {bench.rounds}, {name}")
            results.add(name, contender())
    return results


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` percent of all are not above."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * share / 100) - 1, 0)]


def quantiles(values: Iterable[float]) -> dict[str, float]:
    """Return the median and the 99th percentile, as metrics."""
    all_values = list(values)
    return {"p50": percentile(all_values, 50), "p99": percentile(all_values, 99)}

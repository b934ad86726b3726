"""Rows: what a row of the table is, what it finds, and how it is found itself.

A row is a module in `bench/rows` with a `ROW`. Its `measure` gets a `Bench` and yields figures:
ours and the peers', one sample a round, measured in turns (`bench.measure.alternate`).
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.bench import Bench

__all__ = ["Figure", "Goal", "Row", "Skipped", "load_rows"]


class Skipped(Exception):
    """A row or a part of it cannot be measured here; the message says what is missing."""


@dataclass(frozen=True)
class Goal:
    """What is to be reached.

    Attributes:
        limit: in the figure's unit, or a ratio if there is a peer.
        peer: ours divided by this one's is what counts.
    """

    limit: float
    peer: str | None = None


@dataclass(frozen=True)
class Figure:
    """One thing measured.

    Attributes:
        name: what was measured.
        unit: of the samples.
        ours: one sample a round; empty if it was not measured, and then `note` says why.
        peers: the same of each peer, round by round beside ours.
        goals: what is to be reached.
        higher: whether more is better.
        note: what a reader must know beside the number.
    """

    name: str
    unit: str = ""
    ours: Sequence[float] = ()
    peers: Mapping[str, Sequence[float]] = field(default_factory=dict)
    goals: tuple[Goal, ...] = ()
    higher: bool = False
    note: str = ""

    def ratio(self, peer: str) -> float:
        """Return ours divided by a peer's: the median of the rounds' ratios, each of one moment."""
        pairs = zip(self.ours, self.peers[peer], strict=True)
        return median(mine / its if its else (math.inf if mine else 1.0) for mine, its in pairs)

    def reached(self, goal: Goal) -> bool:
        """Return whether a goal is reached."""
        value = median(self.ours) if goal.peer is None else self.ratio(goal.peer)
        return value >= goal.limit if self.higher else value <= goal.limit


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        name: what it is called on the command line.
        title: one line for people.
        measure: yields the figures.
        quick: whether `--quick` runs it unless rows are named.
    """

    name: str
    title: str
    measure: Callable[[Bench], Iterable[Figure]]
    quick: bool = False


def load_rows() -> dict[str, Row]:
    """Return all rows by name, in the order of their modules."""
    import bench.rows

    names = sorted(module.name for module in pkgutil.iter_modules(bench.rows.__path__))
    rows = [importlib.import_module(f"bench.rows.{name}").ROW for name in names]
    return {row.name: row for row in rows}

"""The final table, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from bench.row import Figure, Goal

__all__ = ["as_json", "markdown", "render"]

_HEAD = ("row", "figure", "runcast", "peer", "its", "ratio", "goal", "reached?")
Found = Mapping[str, Sequence[Figure]]
"""Figures by the name of their row."""


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _samples(samples: Sequence[float], unit: str) -> str:
    low, high = _number(min(samples)), _number(max(samples))
    spread = f" ({low}-{high})" if low != high else ""
    return f"{_number(median(samples))}{spread} {unit}".rstrip()


def _goal(figure: Figure, goal: Goal) -> tuple[str, str]:
    sign = ">=" if figure.higher else "<="
    what = f"x {goal.peer}" if goal.peer else f" {figure.unit}"
    return f"{sign} {goal.limit:g}{what}".rstrip(), "yes" if figure.reached(goal) else "NO"


def _lines(row: str, figure: Figure) -> Iterator[tuple[str, ...]]:
    if not figure.ours:
        yield row, figure.name, figure.note or "not measured", "", "", "", "", ""
        return
    absolute = [goal for goal in figure.goals if goal.peer is None]
    head = (row, figure.name, _samples(figure.ours, figure.unit))
    goal = _goal(figure, absolute[0]) if absolute else ("", "")
    if not figure.peers:
        yield *head, "-", "", "", *goal
    for peer, samples in figure.peers.items():
        against = next((goal for goal in figure.goals if goal.peer == peer), None)
        told = _goal(figure, against) if against else goal
        yield *head, peer, _samples(samples, figure.unit), f"{figure.ratio(peer):.2f}", *told
        head, goal = ("", "", ""), ("", "")
    if figure.note:
        yield "", f"  {figure.note}", "", "", "", "", "", ""


def render(found: Found) -> str:
    """Return the table as text; a figure's further peers follow in lines of their own."""
    lines = [
        _HEAD,
        *(line for row, figures in found.items() for figure in figures for line in _lines(row, figure)),
    ]
    full = [line for line in lines if any(line[3:])]  # a note may run on to the right
    widths = [max(len(line[column]) for line in full) for column in range(len(_HEAD))]
    text = []
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        text.append("  ".join(cells).rstrip())
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(text)


def markdown(found: Found) -> str:
    """Return the table for a page of the documentation: a line a peer."""
    lines = [line for row, figures in found.items() for figure in figures for line in _lines(row, figure)]
    text = [_HEAD, tuple("---" for _ in _HEAD), *(line for line in lines if any(line[3:]))]
    skipped = [f"\n{row}, {name.strip()}: {why}" for row, name, why, *rest in lines if why and not any(rest)]
    return "\n".join(["| " + " | ".join(cells) + " |" for cells in text] + skipped)


def as_json(facts: Mapping[str, str], found: Found) -> dict[str, Any]:
    """Return everything that was measured, every sample, as JSON values."""
    figures = [
        {
            "row": row,
            "figure": figure.name,
            "unit": figure.unit,
            "runcast": list(figure.ours),
            "peers": {peer: list(samples) for peer, samples in figure.peers.items()},
            "ratios": {peer: figure.ratio(peer) for peer in figure.peers},
            "goals": [
                {"limit": goal.limit, "peer": goal.peer, "reached": figure.reached(goal)}
                for goal in figure.goals
                if figure.ours
            ],
            "note": figure.note,
        }
        for row, its in found.items()
        for figure in its
    ]
    return {"machine": dict(facts), "figures": figures}

"""All checks, in the order of the report: what ends runs first, then what they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from runcast.doctor import resources, restarts, sharing, storage
from runcast.doctor.facts import Facts, Finding, Level

__all__ = ["CHECKS", "findings", "has_problem"]

CHECKS: Final[tuple[Callable[[Facts], Finding], ...]] = (
    restarts.unit,
    restarts.unit_memory,
    restarts.container,
    restarts.init,
    storage.store,
    storage.file_system,
    storage.disk,
    storage.files,
    sharing.link,
    sharing.hosts,
    sharing.shelf,
    resources.processes,
    resources.open_files,
    resources.bounds,
    resources.memory,
    resources.inotify,
    resources.terminals,
    resources.clock,
    resources.python,
    resources.extras,
)


def findings(facts: Facts) -> list[Finding]:
    """Return what each check finds."""
    return [check(facts) for check in CHECKS]


def has_problem(found: Iterable[Finding]) -> bool:
    """Return whether something is wrong; hints are not."""
    return any(one.level is Level.PROBLEM for one in found)

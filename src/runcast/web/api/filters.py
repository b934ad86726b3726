"""The filters of the list: which runs have a name, a key, a state, a source, ended well.

Owns a cache, so that a filtered list does not read all runs each time: of an undamaged run the name, key and
source, which are written once, and the state and the ending when they are final. What may change, or is
damaged, is read each time. A run that passes is always read, so no cached value is ever shown. Bounded in
memory: runs beyond `_MOST` are not cached.
"""

from __future__ import annotations

import fnmatch
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from runcast.errors import UsageError
from runcast.model import State
from runcast.run import Run
from runcast.run.base import files_of
from runcast.supervisor.shared_keys import newest_of_key
from runcast.wire.query import parse_flag

__all__ = ["FILTERS", "Known", "Wanted", "not_newer", "parse_filters"]

Wanted = Mapping[str, Callable[[str], bool]]
"""By the name of a filter, whether a value is as wanted."""


def _ok(run: Run) -> str:
    return "" if (outcome := run.outcome) is None else str(int(outcome.ok))


FILTERS: Final[Mapping[str, Callable[[Run], object]]] = {
    "name": lambda run: run.name,
    "key": lambda run: run.request.get("key") or "",
    "state": lambda run: run.state,
    "source": lambda run: run.request["source"],
    "ok": _ok,
}
_SPECIAL = re.compile(r"[\[?]")  # in patterns of a shell, of which a name has the star alone
_MOST = 131_072  # runs, with some 200 bytes each
_NAME_CHARACTERS = 200  # the name of a command that somebody typed is shorter; others are read each time


def not_newer(params: Mapping[str, str], store: str) -> str | None:
    """Return what all runs that are wanted sort before; None where that is not known.

    That is behind the run `at` which a search begins with, or behind the newest run of a key, which is found
    at once.
    """
    newest = params.get("at") or (newest_of_key(store, params["key"]) if "key" in params else None)
    return newest and f"{newest}0"  # what is behind a run's id sorts behind it: so that one is before this


def parse_filters(params: Mapping[str, str]) -> Wanted:
    """Return the filters among the parameters of a request.

    Raises:
        UsageError: there is no such state, or `ok` is neither 1 nor 0.
    """
    return {name: _test(name, params) for name in FILTERS if name in params}


def _test(name: str, params: Mapping[str, str]) -> Callable[[str], bool]:
    value = params[name]
    if name == "ok":
        value = str(int(parse_flag(params, name)))
    elif name == "state" and value not in [*State]:
        raise UsageError(f"expected state to be one of {', '.join(State)}, got {value[:40]!r}")
    elif name == "name" and "*" in value:
        pattern = re.compile(fnmatch.translate(_SPECIAL.sub(r"[\g<0>]", value)), re.IGNORECASE)
        return lambda found: pattern.match(found) is not None
    return value.__eq__


class _Facts(NamedTuple):
    """What does not change any more, as a filter has it; None is for what may, or was not looked at."""

    name: str | None = None
    key: str | None = None
    state: str | None = None
    source: str | None = None
    ok: str | None = None


class Known:
    """What is known of the runs of one store, by id. Threads may share it."""

    def __init__(self) -> None:
        self._facts: dict[str, _Facts] = {}

    def excludes(self, run_id: str, wanted: Wanted) -> bool:
        """Return whether a run is known not to be as wanted; reads nothing."""
        facts = self._facts.get(run_id)
        if facts is None:
            return False
        for name, fits in wanted.items():
            fact = getattr(facts, name)
            if fact is not None and not fits(fact):
                return True
        return False

    def passes(self, run: Run, wanted: Wanted) -> bool:
        """Return whether a run is as wanted: reads no more than that takes, and remembers it.

        Raises:
            RunNotFound, OSError: it was removed; it cannot be read.
        """
        for name, fits in wanted.items():
            # A stream is no run of the store, and has another state than its files say.
            found = self._look(run, name) if type(run) is Run else str(FILTERS[name](run))
            if not fits(found):
                return False
        return True

    def may_go_on(self, run_ids: Iterable[str]) -> Iterator[str]:
        """Yield those of which it is not known that they are over; reads nothing."""
        for run_id in run_ids:
            facts = self._facts.get(run_id)
            if facts is None or facts.state is None:
                yield run_id

    def goes_on(self, run: Run) -> bool:
        """Return whether a run of the store goes on.

        Raises:
            RunNotFound, OSError: it was removed; it cannot be read.
        """
        return self._look(run, "state") not in (State.EXITED, State.LOST)

    def _look(self, run: Run, name: str) -> str:
        """Return a value of a run, remembered or read."""
        facts = self._facts.get(run.id)
        if (known := getattr(facts, name, None)) is not None:
            return str(known)
        if name in ("state", "ok"):
            state, ok = run.state, _ok(run)
            found = {"state": str(state), "ok": ok}
            fixed = state is State.EXITED or (  # an outcome that cannot be read makes a run lost, too
                state is State.LOST and files_of(run).problem(run.outcome) is None
            )
            fixed = fixed and ok != ""
        else:
            request, problem = files_of(run).described()
            found = {name: str(request[name] or "")}
            fixed = problem is None and len(found[name]) <= _NAME_CHARACTERS
        if fixed and (facts is not None or len(self._facts) < _MOST):
            kept = {one: sys.intern(value) for one, value in found.items()}
            self._facts[run.id] = (facts or _Facts())._replace(**kept)
        return found[name]

    def make_room(self, ids: Collection[str]) -> None:
        """Where there is no room for more runs, forget those that are gone: all but `ids`."""
        if len(self._facts) >= _MOST:
            there = set(ids)
            self._facts = {run_id: facts for run_id, facts in self._facts.items() if run_id in there}

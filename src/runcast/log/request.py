"""What the small files of a run say: read, checked field by field, and stood in for where they are damaged.

Owns the types in `run.json`, `lock`, `progress.json` and `outcome.json`. Whoever lists or shows runs
gets values of the right types whatever is on the disk, and beside them one sentence on what is wrong
there: one damaged run must not hide the others, nor its own log. Keys that are missing or unknown
are no damage where another version may leave them out or add them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any

from runcast.errors import FileDamaged
from runcast.ids import is_run_id, time_of
from runcast.model import Outcome, Reason, State
from runcast.sysio import parse_object, read_json

__all__ = ["FORMAT", "UNKNOWN", "outcome_in", "progress_in", "request_in", "state_of"]

FORMAT = 1
UNKNOWN = "unknown"  # the source of a run whose run.json does not say it
_LATEST = 253402300799.0  # the last second that RFC 3339 can say
_MOST = 2**63  # of offsets and counts


def _text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode("utf-8", "surrogateescape")  # names and arguments need not be UTF-8
    except UnicodeEncodeError:
        return False
    return True


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _time(value: object) -> bool:
    return _number(value) and 0 <= value <= _LATEST  # type: ignore[operator]  # it is a number


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST


def _byte(value: object) -> bool:
    return _count(value) and value < 256  # type: ignore[operator]


def _bool(value: object) -> bool:
    return isinstance(value, bool)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _variables(value: object) -> bool:
    return isinstance(value, dict) and all(map(_text, [*value, *value.values()]))


def _or_none(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or check(value)


Checks = Mapping[str, tuple[Callable[[object], bool], str]]

_TEXT, _TIME = (_text, "text"), (_time, "seconds since the epoch")
_COUNT = (_count, "a whole number")
_ANY: tuple[Callable[[object], bool], str] = (lambda value: True, "anything")
_REQUEST: Checks = {
    "name": _TEXT,
    "source": _TEXT,
    "command": (_texts, "a list of texts"),
    "created_at": _TIME,
    "id": _TEXT,
    "cwd": _TEXT,
    "env": (_variables, "an object of texts"),
    **{
        name: (_or_none(_number), "seconds or null") for name in ("timeout", "idle_timeout", "stop_unwatched")
    },
    "cap": (_or_none(_count), "bytes or null"),
    "lazy": (_bool, "true or false"),
    "tty": (_bool, "true or false"),
    "view": (_or_none(_text), "text or null"),
    "key": (_or_none(_text), "text or null"),
    "host": _TEXT,
}
_NEEDED = ("name", "source", "command", "created_at")  # which every version has written
_STATES = frozenset(state.value for state in State)
_STATE: Checks = {
    "state": (lambda value: isinstance(value, str) and value in _STATES, "a state"),
    "pid": (lambda value: _count(value) and 0 < value < 2**31, "a process id"),  # type: ignore[operator]
    "supervisor": (lambda value: _count(value) and 0 < value < 2**31, "a process id"),  # type: ignore[operator]
    "started_at": _TIME,
    "owner": (lambda value: isinstance(value, str) and is_run_id(value), "a name"),
}
_PROGRESS: Checks = {
    "done": (_or_none(_number), "a number or null"),
    "total": (_or_none(_number), "a number or null"),
    "text": _TEXT,
    "time": _TIME,
}
_OUTCOME: Checks = {
    "reason": _TEXT,
    "code": (_or_none(_byte), "0 to 255 or null"),
    "signal": (_or_none(_byte), "a signal's number or null"),
    "message": _TEXT,
    "value": _ANY,
    "dropped": _COUNT,
    "truncated": (_bool, "true or false"),
    "ended_at": _TIME,
}


def _wrong(value: Mapping[str, Any], checks: Checks) -> tuple[str, str] | None:
    """Return the first field of a wrong type, and what is wrong; None if all are right."""
    for name, (good, expected) in checks.items():
        if name in value and not good(value[name]):
            return name, f"expected {name} as {expected}, got {value[name]!r:.60}"
    return None


def request_in(folder: str) -> tuple[dict[str, Any], str | None]:
    """Return what was asked of the run in a folder, and what is wrong with its `run.json`, if anything.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    run_id = os.path.basename(folder)
    value: dict[str, Any] = {}
    problem: str | None = None
    try:
        value = read_json(f"{folder}/run.json")
    except FileNotFoundError:
        if not os.path.isdir(folder):
            raise
        problem = "run.json: it is missing"
    except OSError as error:
        problem = _short(folder, error)
    else:
        problem = _format(value) or _missing(value)
    while (wrong := _wrong(value, _REQUEST)) is not None:
        problem = problem or f"run.json: {wrong[1]}"
        del value[wrong[0]]
    if problem is not None:
        value = _stand_in(run_id) | value
    return value, problem


def _short(folder: str, error: OSError) -> str:
    """Return an error of a file in a folder without the folder's path."""
    if isinstance(error, FileDamaged):
        return str(error).removeprefix(f"{folder}/")
    return f"{os.path.basename(error.filename or '')}: {(error.strerror or str(error)).lower()}"


def _format(value: Mapping[str, Any]) -> str | None:
    version = value.get("format", FORMAT)
    if not _count(version):
        return f"run.json: expected format as a whole number, got {version!r:.60}"
    if version > FORMAT:
        return (
            f"run.json: it has format {version}, this runcast reads up to {FORMAT}: upgrade runcast to "
            "see all of it"
        )
    return None


def _missing(value: Mapping[str, Any]) -> str | None:
    return next((f"run.json: expected {name}, it is missing" for name in _NEEDED if name not in value), None)


def _stand_in(run_id: str) -> dict[str, Any]:
    known = is_run_id(run_id)
    return {
        "id": run_id,
        "name": run_id,
        "source": UNKNOWN,
        "command": [],
        "created_at": min(time_of(run_id), _LATEST) if known else 0.0,
    }


def state_of(data: bytes) -> dict[str, Any] | None:
    """Return the state that the content of a `lock` tells, without what has a wrong type.

    None where it is no JSON: half of a line, maybe.
    """
    try:
        value = parse_object(data)
    except ValueError:
        return None
    while (wrong := _wrong(value, _STATE)) is not None:
        del value[wrong[0]]
    return value


def progress_in(folder: str) -> dict[str, Any] | None:
    """Return what a function last told of its progress; None if nothing can be read."""
    try:
        value = read_json(f"{folder}/progress.json")
    except OSError:
        return None
    return value if _wrong(value, _PROGRESS) is None else None


def outcome_in(folder: str) -> tuple[Outcome | None, str | None]:
    """Return how the run in a folder ended, and what is wrong with its `outcome.json`, if anything.

    Where it cannot be read the run is over, that much is sure, and the outcome says no more.
    """
    try:
        value = read_json(f"{folder}/outcome.json")
        if "reason" not in value:
            raise FileDamaged("outcome.json: expected reason, it is missing")
        if (wrong := _wrong(value, _OUTCOME)) is not None:
            raise FileDamaged(f"outcome.json: {wrong[1]}")
        return Outcome.from_json(value), None
    except FileNotFoundError:
        return None, None
    except NotADirectoryError:  # the run was removed, and something else is in its place
        return None, None
    except OSError as error:
        problem = _short(folder, error)
        return Outcome(Reason.LOST, message=f"its {problem.replace(':', ' is damaged:', 1)}"), problem

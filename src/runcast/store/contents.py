"""The small files of a run: read, validated field by field, and replaced by defaults where damaged.

Owns the schema of `run.json`, `lock`, `progress.json` and `outcome.json`. A list or a page gets
values of the right types whatever is on the disk, and one sentence about any damage: a damaged run
must not hide the others, nor its own log. Missing or unknown keys are not damage where another
version may omit or add them.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

from runcast import loggers
from runcast.errors import FileDamaged
from runcast.ids import is_run_id, time_of
from runcast.json_objects import parse_object, read_json
from runcast.model import CELLS_MOST, Note, Outcome, Reason, State, TerminalSize, Usage, Waiting
from runcast.sysio.files import read_own
from runcast.utf8 import is_text
from runcast.who import Who

__all__ = [
    *("AGENT", "FORMAT", "NOTES_BYTES", "SIZES_BYTES", "UNKNOWN", "notes_in", "outcome_in"),
    *("progress_in", "request_in", "sizes_in", "state_of"),
]

FORMAT = 1
AGENT = "agent"  # the name of the owner that is a store's agent (mirrors.py)
UNKNOWN = "unknown"  # the source of a run whose run.json has none
NOTES_BYTES = 1024 * 1024  # more than 100 notes take, each of 500 characters in JSON
SIZES_BYTES = 512 * 1024  # more than is read of `sizes`; that is some 5,000 changes
_LATEST = 253402300799.0  # the last second that RFC 3339 can express
_MOST = 2**63  # of offsets and counts


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
    return isinstance(value, list) and all(map(is_text, value))


def _variables(value: object) -> bool:
    return isinstance(value, dict) and all(map(is_text, [*value, *value.values()]))


def _waiting(value: object) -> bool:
    good = isinstance(value, dict) and is_text(value.get("for")) and is_text(value.get("question"))
    return good and Waiting.from_json(value).to_json() == value  # type: ignore[arg-type]  # it is a dict


def _usage(value: object) -> bool:
    return isinstance(value, dict) and all(_or_none(_number)(value.get(name)) for name in Usage._fields)


def _who(value: object) -> bool:
    who = Who.from_json(value)
    return who is not None and is_text(who.kind) and is_text(who.name)


def _or_none(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or check(value)


Checks = Mapping[str, tuple[Callable[[object], bool], str]]

_TEXT, _TIME = (is_text, "text"), (_time, "seconds since the epoch")
_COUNT = (_count, "a whole number")
_ANY: tuple[Callable[[object], bool], str] = (lambda value: True, "anything")
_REQUEST: Checks = {
    "name": _TEXT,
    "source": _TEXT,
    "command": (_texts, "a list of texts"),
    "created_at": _TIME,
    "id": _TEXT,
    "lazy": (_bool, "true or false"),
    "host": _TEXT,
    "masked": (_bool, "true or false"),
    "fingerprint": _TEXT,
    "files": (_variables, "an object of texts"),
    "started_by": (_or_none(_who), "who it was, or null"),
}
_NEEDED = ("name", "source", "command", "created_at")  # written by every version
_STATES = frozenset(state.value for state in State)
_STATE: Checks = {
    "state": (lambda value: isinstance(value, str) and value in _STATES, "a state"),
    "pid": (lambda value: _count(value) and 0 < value < 2**31, "a process id"),  # type: ignore[operator]
    "supervisor": (lambda value: _count(value) and 0 < value < 2**31, "a process id"),  # type: ignore[operator]
    "started_at": _TIME,
    "tail": _COUNT,
    "lines": (_or_none(_count), "a count or null"),
    "lines_so_far": _COUNT,
    "waiting": (_or_none(_waiting), "what it may be waiting for, or null"),
    "owner": (lambda value: isinstance(value, str) and (is_run_id(value) or value == AGENT), "a name"),
}
_PROGRESS: Checks = {
    "done": (_or_none(_number), "a number or null"),
    "total": (_or_none(_number), "a number or null"),
    "text": _TEXT,
    "status": _TEXT,
    "time": _TIME,
}
_CELLS = (lambda value: _count(value) and 0 < value <= CELLS_MOST, "a number of cells")
_SIZE: Checks = {"offset": _COUNT, "columns": _CELLS, "rows": _CELLS, "time": _TIME}
_NOTE: Checks = {"offset": _COUNT, "line": _COUNT, "time": _TIME, "text": _TEXT}
_OUTCOME: Checks = {
    "reason": _TEXT,
    "code": (_or_none(_byte), "0 to 255 or null"),
    "signal": (_or_none(_byte), "a signal's number or null"),
    "message": _TEXT,
    "value": _ANY,
    "dropped": _COUNT,
    "truncated": (_bool, "true or false"),
    "ended_at": _TIME,
    "traceback": _TEXT,
    "usage": (_or_none(_usage), "an object of numbers or null"),
    "stopped_by": (_or_none(_who), "who it was, or null"),
}


def _wrong(value: Mapping[str, Any], checks: Checks) -> tuple[str, str] | None:
    """Return the first field of a wrong type, and a description of the fault; None if all are valid."""
    for name, (good, expected) in checks.items():
        if name in value and not good(value[name]):
            return name, f"expected {name} as {expected}, got {value[name]!r:.60}"
    return None


def request_in(folder: str) -> tuple[dict[str, Any], str | None]:
    """Return the request of the run in a folder, and the fault of its `run.json`, if it has one.

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
    checks = _of_request()
    while (wrong := _wrong(value, checks)) is not None:
        problem = problem or f"run.json: {wrong[1]}"
        del value[wrong[0]]
    if problem is not None:
        _log_damage(folder, problem)
        value = _stand_in(run_id) | value
    return value, problem


@functools.cache
def _of_request() -> Checks:
    """Return the checks of `run.json`. Those of options load late: a supervisor needs none of them."""
    from runcast.options import OPTIONS

    checks = {one.name: (one.is_kept, one.kept_words) for one in OPTIONS.values() if one.kept}
    return {**_REQUEST, **checks}


def _log_damage(folder: str, problem: str) -> None:
    loggers.warning_once("store", "a file of run %s is damaged: %s", os.path.basename(folder), problem)


def _short(folder: str, error: OSError) -> str:
    """Return the text of a file's error, without the path of its folder."""
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
    """Return the state in the content of a `lock`, without fields of a wrong type.

    None where it is not JSON, such as a part of a line.
    """
    try:
        value = parse_object(data)
    except ValueError:
        return None
    while (wrong := _wrong(value, _STATE)) is not None:
        del value[wrong[0]]
    return value


def progress_in(folder: str) -> dict[str, Any] | None:
    """Return the latest progress of a run; None if it cannot be read."""
    try:
        value = read_json(f"{folder}/progress.json")
    except OSError:
        return None
    return value if _wrong(value, _PROGRESS) is None else None


def sizes_in(folder: str) -> list[TerminalSize]:
    """Return the changes of size in a folder, in order; what cannot be read is left out.

    Of several at one offset the last counts: nothing was written in between.
    """
    try:
        lines = read_own(f"{folder}/sizes", SIZES_BYTES).splitlines()
    except OSError:
        return []
    sizes: list[TerminalSize] = []
    for line in lines:
        try:
            value = parse_object(line)
            if _wrong(value, _SIZE) is not None:
                continue
            size = TerminalSize(*(value[name] for name in TerminalSize._fields))
        except (ValueError, KeyError):  # a part of a line
            continue
        if sizes and size.offset <= sizes[-1].offset:
            if size.offset < sizes[-1].offset:
                continue
            sizes.pop()
        sizes.append(size)
    return sizes


def notes_in(folder: str) -> list[Note]:
    """Return the notes of a run, in order; what cannot be read is left out."""
    try:
        found = read_json(f"{folder}/notes.json", NOTES_BYTES).get("notes")
    except OSError:
        return []
    notes = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    good = [one for one in notes if _NOTE.keys() <= one.keys() and _wrong(one, _NOTE) is None]
    return [Note(*(one[name] for name in Note._fields)) for one in good]


def outcome_in(folder: str) -> tuple[Outcome | None, str | None]:
    """Return the outcome of the run in a folder, and the fault of its `outcome.json`, if it has one.

    Where the file cannot be read, the run is certainly over, and the outcome has no details.
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
    except NotADirectoryError:  # the run was removed, and its path is another file now
        return None, None
    except OSError as error:
        problem = _short(folder, error)
        _log_damage(folder, problem)
        return Outcome(Reason.LOST, message=f"its {problem.replace(':', ' is damaged:', 1)}"), problem

"""A process that searches a log: what it is given, and what it prints.

Owns the time that a search may take, whatever its expression does: an alarm interrupts even a regular
expression that runs away, since Python's engine looks for signals. What it is given is a JSON object on
stdin; it prints one for each hit, and one more with `done` at the end. With `until` it looks for the
first line that matches, in a log that grows: each further line of stdin says how far. Runs in an
interpreter of its own, which imports little: a search must neither block nor endanger the process that
has the viewers.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from types import FrameType
from typing import Any

from runcast.errors import RuncastError
from runcast.log.fetch import patient
from runcast.log.file import FileLog
from runcast.model import Channel
from runcast.search.expression import Expression
from runcast.search.first import FirstMatch, line_json
from runcast.search.many import Bounds, SearchOfRuns
from runcast.search.whole import Found, Limits, search_log
from runcast.store.run_files import RunFiles

__all__ = ["TEXT_LENGTH", "main"]

TEXT_LENGTH = 4096  # characters of a hit's text at most
_NICE = 5
_OUT = 1
_encode = json.JSONEncoder(separators=(",", ":")).encode


class _TimeIsUp(BaseException):
    pass


def main() -> None:
    """Search as stdin says, and print what is found."""
    given = json.loads(sys.stdin.readline())
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, _alarm)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if given.get("until"):
        _answer(given)
    elif "runs" in given:
        _search_runs(given)
    else:
        _search(given)


def _answer(given: dict[str, Any]) -> None:
    """Look for the first line that matches, as far as each question says."""
    expression = Expression(given["q"], regex=True)
    channels = [Channel(name) for name in given["channels"]] or None
    match = FirstMatch(
        patient(FileLog(given["path"])), expression, int(given["start"]), channels, again=given["again"]
    )
    for line in sys.stdin:
        question = json.loads(line)
        try:
            # Its own time, for a machine may be busy: a question is about what came at once.
            signal.setitimer(signal.ITIMER_PROF, float(given["seconds"]))
            if "up_to" in question:
                hit = match.up_to(int(question["up_to"]))
            else:
                hit = match.rested() if "rested" in question else match.last()
        except _TimeIsUp:
            _print([{"stopped": "time"}])
            return
        except RuncastError as error:
            _print([{"stopped": str(error)}])
            return
        signal.setitimer(signal.ITIMER_PROF, 0)
        _print([{"line": hit and line_json(hit)}])


def _search_runs(given: dict[str, Any]) -> None:
    """Search the logs of many runs."""
    _limit(float(given["seconds"]))

    def files_of(run: str) -> RunFiles:
        return RunFiles(f"{given['store']}/{run}")

    search = SearchOfRuns(
        given["runs"],
        Expression(given["q"], regex=given["regex"], ignore_case=given["ignore_case"]),
        lambda run: patient(FileLog(files_of(run).path)),
        lambda run: str(files_of(run).described()[0]["name"]),
        Bounds(**given["bounds"]),
        [Channel(name) for name in given["channels"]] or None,
    )
    try:
        signal.setitimer(signal.ITIMER_REAL, float(given["seconds"]))
        for values in search.search():
            _print(values)
    except _TimeIsUp:
        _print([search.end("time")])


def _limit(seconds: float) -> None:
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 2, int(seconds) + 2))


def _search(given: dict[str, Any]) -> None:
    seconds = float(given["seconds"])
    _limit(seconds)
    log = patient(FileLog(given["path"]))
    line = int(given["line"])
    found = searched = 0
    stopped: str | None = None
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        expression = Expression(given["q"], regex=given["regex"], ignore_case=given["ignore_case"])
        channels = [Channel(name) for name in given["channels"]] or None
        for item in search_log(log, expression, Limits(line, int(given["max"])), channels):
            if isinstance(item, Found):
                _print([hit.to_json(TEXT_LENGTH) for hit in item.hits])
                found, searched = found + len(item.hits), item.offset
            else:
                found, line, stopped = item
    except _TimeIsUp:
        line, stopped = max(line, log.lines_before(searched) + 1), "time"
    except RuncastError as error:
        stopped = str(error)
    signal.setitimer(signal.ITIMER_REAL, 0)
    _print([{"done": True, "matches": found, "next": line, "stopped": stopped}])


def _alarm(number: int, frame: FrameType | None) -> None:
    raise _TimeIsUp


def _print(values: list[dict[str, Any]]) -> None:
    data = "".join([_encode(value) + "\n" for value in values]).encode()
    while data:
        data = data[os.write(_OUT, data) :]

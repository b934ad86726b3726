"""The audit of a store: who started, changed or removed what, and with which result, as JSON lines.

Owns `<store>/.audit.jsonl`, its lines, and its size: a full file becomes `.audit.1.jsonl`, and so on up to
`_KEPT`, whose content is dropped. A line is appended by one write, so lines of several processes never
mix. What comes many times a second, such as keys that are typed, is noted once a minute for each person
and run, and so is what is refused: nobody can push the lines of others out. No secret is ever in
it: no token, no input, no command. What cannot be written is a warning in the log: a disk that is full
must not keep anybody from stopping a run.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
from collections.abc import Iterator

from runcast import loggers
from runcast.acting import acting_peer, acting_who
from runcast.model import rfc3339
from runcast.sysio.files import is_at, open_or_make, open_own
from runcast.sysio.locks import lock
from runcast.who import Who

__all__ = ["DONE", "FILE", "audit_line", "audit_once", "audited"]

FILE = ".audit.jsonl"  # in the store; a leading dot: no run
DONE = "done"
_BYTES = 8 * 1024 * 1024  # of one file, some 40,000 lines …
_KEPT = 4  # … and how many stay beside the one that is written
_AGAIN_SECONDS = 60.0  # between two notes of what comes again and again
_NOTED_MOST = 4096  # of these that are remembered
_NAME_MOST = 200  # characters of a name

_noted: dict[tuple[object, ...], float] = {}


@contextlib.contextmanager
def audited(store: str, verb: str, run: str | None = None, name: str | None = None) -> Iterator[None]:
    """Note what is done in this context, with its result.

    Args:
        store: its folder.
        verb: what is done.
        run: the id of the run, if it has one.
        name: the name of the run or the stream, where that is known.
    """
    who = acting_who()  # before: to find out may fail
    try:
        yield
    except Exception as error:
        audit_line(store, verb, run, name, result=type(error).__name__, who=who)
        raise
    audit_line(store, verb, run, name, who=who)


def audit_once(
    store: str, verb: str, run: str | None = None, name: str | None = None, *, result: str = DONE
) -> None:
    """Note what comes again and again, at most once a minute of one person, run and result."""
    who, now = acting_who(), time.monotonic()
    # What is refused counts for all runs together: ids that are tried must not fill the file.
    key = (store, who, verb, result, (run, name) if result == DONE else None)
    if now < _noted.get(key, 0.0):
        return
    if len(_noted) >= _NOTED_MOST:
        _noted.clear()
    _noted[key] = now + _AGAIN_SECONDS
    audit_line(store, verb, run, name, result=result, who=who)


def audit_line(
    store: str,
    verb: str,
    run: str | None = None,
    name: str | None = None,
    *,
    result: str = DONE,
    who: Who | None = None,
) -> None:
    """Append a line to the audit, and log it.

    Args:
        store: its folder.
        verb: what was done.
        run: the id of the run, if it has one.
        name: the name of the run or the stream, where that is known.
        result: `done`, or the class of the error.
        who: who did it; by default who acts now.
    """
    who, peer = acting_who() if who is None else who, acting_peer()
    line = {
        "time": rfc3339(time.time()),
        "who": {"kind": str(who.kind), "name": who.name[:_NAME_MOST]},
        "peer": peer or None,
        "verb": verb,
        "run": run,
        "name": name and name[:_NAME_MOST],
        "result": result,
    }
    about = " ".join(filter(None, (verb, run, name and repr(name[:_NAME_MOST]))))
    from_peer = f" from {peer}" if peer else ""
    by = f"{who.kind} {who.name!r}" if who.name else str(who.kind)
    loggers.info("audit", "%s by %s%s: %s", about, by, from_peer, result)
    try:
        _append(f"{store}/{FILE}", json.dumps(line).encode() + b"\n")
    except FileNotFoundError:  # the store was removed
        return
    except OSError as error:
        loggers.warning_once("store", "the audit of %s cannot be written: %s", store, str(error))


def _append(path: str, line: bytes) -> None:
    for _ in range(_KEPT):  # others may move it meanwhile
        try:  # it is there, nearly always
            fd = open_own(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            fd = open_or_make(path, os.O_RDWR | os.O_APPEND)
        try:
            size = os.fstat(fd).st_size
            if size < _BYTES:
                # Behind the part of a line that a full disk left begins a line of its own. What another
                # process writes at this very moment may look so, too: then there is an empty line.
                torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
                os.write(fd, b"\n" * torn + line)
                return
            lock(fd)
            if is_at(path, fd):
                _rotate(path)
        finally:
            os.close(fd)


def _rotate(path: str) -> None:
    """Move the files on by one; the last is dropped."""
    base = path.removesuffix(".jsonl")
    names = [path, *(f"{base}.{number}.jsonl" for number in range(1, _KEPT + 1))]
    for old, new in reversed(list(itertools.pairwise(names))):
        with contextlib.suppress(FileNotFoundError):
            os.rename(old, new)

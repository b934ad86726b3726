"""What became of the hooks of a run, which run when it is over: the file `hooks` in its folder.

The file has one JSON object a line, appended by one helper process, which holds its lock as long as
it lives. So the one that finds it empty and takes the lock has the hooks to do, alone; and where it says
that something is still to be done and the lock is free, the helper died. Owns the file and what it means.
Must not know how a hook is done.

    {"pid": 4711, "time": …}                                        the claim
    {"hook": 0, "state": "waiting", "attempts": 1, "code": 503, …}  after each attempt, and at the end

A mirror has the last line of each hook, as the host of the run has it; that host alone knows whether the
helper lives.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from runcast.json_objects import parse_object
from runcast.model import rfc3339
from runcast.store.mirrors import mirror_of
from runcast.sysio.files import is_locked, open_own, read_own
from runcast.sysio.locks import lock
from runcast.sysio.writes import write_whole

__all__ = [
    *(
        "UNDONE",
        "WAITING",
        "EndHooks",
        "delivery_id",
        "has_notes",
        "hook_notes",
        "hooks_in",
        "hooks_settled",
        "target_of",
        "wants_hooks",
    ),
]

FILE = "hooks"
WAITING, INTERRUPTED = "waiting", "interrupted"
UNDONE = ("failed", INTERRUPTED)
_DONE = ("delivered", "failed", "skipped")
_BYTES = 256 * 1024  # more than is ever written
_PAUSE_SECONDS = 0.001
_MOST_CODE = 1000  # of exit codes and HTTP
_NOTHING = {"attempts": 0, "code": None, "message": "", "time": 0.0}


class EndHooks:
    """The claim to the hooks of one run. It is held until the process ends."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def claim(cls, path: str) -> EndHooks | None:
        """Claim the hooks of the run in a folder; return None if they are, or were, another's.

        Raises:
            OSError: the run was removed, or the store cannot be written to.
        """
        fd = open_own(f"{path}/{FILE}", os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            while os.fstat(fd).st_size == 0:
                if not lock(fd, wait=False):  # by another, which will write at once; or by one who looks
                    time.sleep(_PAUSE_SECONDS)
                elif os.fstat(fd).st_size == 0:
                    claim = cls(fd)
                    claim._append({"pid": os.getpid()})
                    fd = -1
                    return claim
            return None
        finally:
            if fd >= 0:
                os.close(fd)

    def note(self, hook: int, state: str, attempts: int, code: int | None, message: str) -> None:
        """Note what became of a hook, by its number, so far. A full disk is no error."""
        with contextlib.suppress(OSError):
            self._append(
                {"hook": hook, "state": state, "attempts": attempts, "code": code, "message": message}
            )

    def _append(self, value: dict[str, Any]) -> None:
        write_whole(self._fd, json.dumps(value | {"time": time.time()}).encode() + b"\n")

    def release(self) -> None:
        """Give it up: what is not done stays so."""
        os.close(self._fd)

    @property
    def removed(self) -> bool:
        """Whether the run was removed meanwhile."""
        return os.fstat(self._fd).st_nlink == 0


def delivery_id(run_id: str, number: int) -> str:
    """Return the id of what a hook is sent, the same for each attempt."""
    return f"{run_id}-{number}"


def target_of(hook: Mapping[str, Any]) -> str:
    """Return what a hook is called where people look: its program, or the host of its URL.

    The path of such a URL is a secret of its own at many services, so it is not shown.
    """
    if command := hook.get("command"):
        return str(command[0])
    with contextlib.suppress(ValueError):
        parts = urlsplit(str(hook.get("webhook")))
        if parts.hostname:
            return f"{parts.scheme}://{parts.netloc}/…"
    return "…"


def hooks_in(path: str, request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what became of the hooks of the run in a folder, as JSON values; empty where it has none.

    `state` is `waiting` (for the end of the run, or for another attempt), `delivered`, `failed`,
    `skipped` (it was not for this end) or `interrupted` (its process died).
    """
    hooks = request.get("on_end")
    if not hooks:
        return []
    notes, claimed = _notes(path)
    found = []
    for number, hook in enumerate(hooks):
        note = notes.get(number, {})
        state = note.get("state", WAITING)
        if state == WAITING and claimed and not _goes_on(path) and not mirror_of(path):
            # It may have ended since its notes were read.
            note = _notes(path)[0].get(number, note)
            state = INTERRUPTED if note.get("state", WAITING) == WAITING else note["state"]
        found.append(
            {
                "kind": "command" if "command" in hook else "webhook",
                "target": target_of(hook),
                "when": hook["when"],
                "state": state,
                "attempts": note.get("attempts", 0),
                "code": note.get("code"),
                "message": note.get("message", ""),
                "at": rfc3339(note.get("time") or None),
                "delivery": delivery_id(os.path.basename(path), number),
            }
        )
    return found


def hook_notes(path: str, request: Mapping[str, Any]) -> bytes:
    """Return what other hosts have in place of the file of a run; empty before the hooks are claimed."""
    notes, claimed = _notes(path)
    if not claimed:
        return b""
    lines: list[dict[str, Any]] = [{"pid": None}]
    for number, hook in enumerate(hooks_in(path, request)):
        note = notes.get(number)
        if hook["state"] == INTERRUPTED:
            note = (note or _NOTHING) | {"hook": number, "state": INTERRUPTED}
        if note is not None:
            lines.append(note)
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def hooks_settled(path: str, request: Mapping[str, Any]) -> bool:
    """Return whether nothing more becomes of the hooks of the run in a folder, or it has none."""
    return all(hook["state"] != WAITING for hook in hooks_in(path, request))


def wants_hooks(request: bytes) -> bool:
    """Return whether a `run.json` may have hooks: to parse each to learn that would take longer."""
    return b'"on_end"' in request


def has_notes(path: str) -> bool:
    """Return whether the run in a folder has hooks, and somebody has, or had, them to do."""
    return os.path.lexists(f"{path}/{FILE}")


def _goes_on(path: str) -> bool:
    with contextlib.suppress(OSError):
        return is_locked(f"{path}/{FILE}")
    return False


def _notes(path: str) -> tuple[dict[int, dict[str, Any]], bool]:
    """Return the last note of each hook, by number, and whether a process ever claimed them."""
    try:
        lines = read_own(f"{path}/{FILE}", _BYTES).splitlines()
    except OSError:
        return {}, False
    notes: dict[int, dict[str, Any]] = {}
    for line in lines:
        with contextlib.suppress(ValueError):  # a part of a line
            value = parse_object(line)
            if _is_note(value):
                notes[value["hook"]] = value
    return notes, bool(lines)


def _is_note(value: Mapping[str, Any]) -> bool:
    code, attempts, at = value.get("code"), value.get("attempts"), value.get("time")
    return (
        type(value.get("hook")) is int
        and value.get("state") in (*_DONE, WAITING, INTERRUPTED)
        and (code is None or (type(code) is int and abs(code) < _MOST_CODE))
        and type(attempts) is int
        and isinstance(value.get("message"), str)
        and type(at) is float
        and 0 <= at < 253402300799.0
    )

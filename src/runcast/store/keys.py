"""Keys: names that runs of a store have until they are removed, so that a start finds what has begun.

Owns the folder `keys` of a store: a key is a hard link to the `run.json` of its run, under a hash. An
attempt, a run that stands for code of others, has its key until it is over: then the next attempt takes it.
Does not know how a run is started, nor how to learn that one is over.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runcast.errors import FileDamaged, RunExists
from runcast.ids import is_run_id
from runcast.json_objects import read_json
from runcast.store.mirrors import mirror_of
from runcast.sysio.files import create, folder, is_folder, is_locked, open_own, remove
from runcast.sysio.locks import lock

__all__ = ["ATTEMPT", "IsOver", "compared", "free_key", "holder_of", "link_key", "run_of_key", "take_key"]

ATTEMPT = "attempt"  # in the record of a run that has its key until it is over

_KEY_SECONDS = 60.0  # a run that has the key but is not there yet is being started


IsOver = Callable[[str], bool]


def take_key(
    store: str, key: str, new: str, request: Mapping[str, Any], is_over: IsOver
) -> tuple[int | None, str | None]:
    """Claim a key for this run; return a lock to close once it began, or else the folder of another run.

    Creating a hard link is atomic, even among many processes (link(2)). The linked file is locked: if the
    lock is free, and there is no run, the process that had the key died before its run began.

    Args:
        store: its folder.
        key: the name.
        new: the folder of this run.
        request: that of this run, in clear if its record is masked.
        is_over: whether the run in a folder has ended, or is lost.

    Raises:
        RunExists: the key names a run with another request, or an attempt that goes on.
    """
    link = _link(store, key)
    folder(os.path.dirname(link), make=True)
    deadline = time.monotonic() + _KEY_SECONDS
    taken = open_own(f"{new}/run.json", os.O_RDONLY)
    try:
        lock(taken)
        while True:
            with contextlib.suppress(FileExistsError):
                os.link(f"{new}/run.json", link)
                kept, taken = taken, -1
                return kept, None
            holder = holder_of(store, key, request, is_over)
            if holder is not None:
                return None, holder
            other = _named(link)
            if other is None:
                continue
            if is_locked(link) and time.monotonic() < deadline:
                time.sleep(0.002)
            elif not other or _gives_up(f"{store}/{other['id']}", other, request, is_over):
                _unlink_same(link, other.get("id"))
    finally:
        if taken >= 0:
            os.close(taken)


def _gives_up(path: str, other: Mapping[str, Any], request: Mapping[str, Any], is_over: IsOver) -> bool:
    """Whether the run in a folder has no key any more: it died early, was removed, or was an attempt."""
    return not is_folder(path) or ((ATTEMPT in other or ATTEMPT in request) and is_over(path))


def run_of_key(store: str, key: str) -> str | None:
    """Return the id of the run that has a key, or had it last; None where there is none."""
    run_id = str((_named(_link(store, key)) or {}).get("id", ""))
    return run_id if run_id and is_folder(f"{store}/{run_id}") else None


def holder_of(store: str, key: str, request: Mapping[str, Any], is_over: IsOver) -> str | None:
    """Return the folder of the run that has a key, if there is one.

    Raises:
        RunExists: that run has another request, or one of the two is an attempt and it goes on.
    """
    return _checked(store, key, _named(_link(store, key)), request, is_over)


def link_key(store: str, key: str, run_id: str, request: Mapping[str, Any], is_over: IsOver) -> str | None:
    """Have a key name a run that has it on another host; return its folder, None if that is not here.

    Raises:
        RunExists: that run has another request.
    """
    link, path = _link(store, key), f"{store}/{run_id}"
    folder(os.path.dirname(link), make=True)
    with contextlib.suppress(FileExistsError, FileNotFoundError):  # another process was first
        os.link(f"{path}/run.json", link)
    return _checked(store, key, _named(f"{path}/run.json"), request, is_over)


def _checked(
    store: str, key: str, other: Mapping[str, Any] | None, request: Mapping[str, Any], is_over: IsOver
) -> str | None:
    """Return the folder of a run that has a key, if it is there and its request is like another one."""
    if not other or _gives_up(path := f"{store}/{other['id']}", other, request, is_over):
        return None
    if ATTEMPT in other or ATTEMPT in request:
        raise RunExists(
            f"the key {key[:80]!r} names run {other['id']}, which goes on: expected one that is over; wait "
            "for its end, or stop it",
            str(other["id"]),
        )
    names = compared(request)
    if (masked := other.get("fingerprint")) is not None:
        from runcast.store.masked import has_fingerprint  # few runs are masked

        same = has_fingerprint(store, masked, request, names)
    else:
        same = all(other.get(name) == request[name] for name in names)
    if not same:
        unlike = ""
        if masked is not None and (host := mirror_of(path)) is not None:
            unlike = (
                f", or by host {host} with another password of the engine (give all hosts the same secret= "
                "in the URL of the store)"
            )
        raise RunExists(
            f"the key {key[:80]!r} already names run {other['id']}, which was started with other "
            f"options{unlike}: use another key, or remove that run",
            str(other["id"]),
        )
    return path


def compared(request: Mapping[str, Any]) -> Sequence[str]:
    """Return the names of what two requests with one key must have in common."""
    if request["view"]:
        return "source", "view"
    command = ("command",) if request["source"] == "command" else ()
    return "source", "view", "name", *command


def _named(link: str) -> dict[str, Any] | None:
    """Return the request of the run that a link names; empty if it cannot be read, None for no link."""
    try:
        named = read_json(link)
        return named if is_run_id(str(named.get("id"))) else {}  # it names a folder
    except FileNotFoundError:
        return None
    except FileDamaged:
        return {}


def free_key(store: str, key: str, run_id: str) -> None:
    """Have a key name nothing, if it still names this run."""
    _unlink_same(_link(store, key), run_id)


def _link(store: str, key: str) -> str:
    import hashlib  # loads OpenSSL, and few starts have a key

    return f"{store}/keys/{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()}"


def _unlink_same(link: str, run_id: str | None) -> None:
    """Remove a key, if it still names this run: one process at a time, for nobody's else may be removed."""
    keys = os.path.dirname(link)
    if not is_folder(keys):
        return
    with contextlib.suppress(FileNotFoundError):
        taken = create(f"{keys}/.lock", os.O_RDWR)
        try:
            lock(taken)
            if (_named(link) or {}).get("id") == run_id:
                remove(link)
        finally:
            os.close(taken)

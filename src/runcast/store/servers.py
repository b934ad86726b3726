"""Which servers watch a store: so that `runcast run` can print a link.

Owns `<store>/.servers/<pid>.json`, one file a server: `{"url", "outside", "pid", "started_at"}`, the
URLs without a token: that for this machine, and that for others. The server holds a lock on it while it
lives, so that the file of a killed one is known as such, without heartbeats, and is removed by the next
reader. Imports next to nothing: it is imported wherever a run is started.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterator

from runcast.json_objects import parse_object
from runcast.sysio.files import folder as make_folder
from runcast.sysio.files import names_in, open_own
from runcast.sysio.locks import lock

__all__ = ["outside_url", "registered", "servers"]

FOLDER = ".servers"
_MOST_BYTES = 64 * 1024


def servers(store: str) -> list[str]:
    """Return the URLs of the servers that watch the store at a path now, the latest first."""
    return [url for url, _ in _listed(store)]


def outside_url(store: str, url: str) -> str:
    """Return the URL by which other machines reach the server of a URL; the same where none can."""
    return dict(_listed(store)).get(url, url)


def _listed(store: str) -> list[tuple[str, str]]:
    folder = f"{store}/{FOLDER}"
    found: list[tuple[float, str, str]] = []
    for name in names_in(folder):
        if name.endswith(".json"):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
                found += _registered(f"{folder}/{name}")
    return [(url, outside) for _, url, outside in sorted(found, reverse=True)]


def _registered(path: str) -> list[tuple[float, str, str]]:
    """Return the server that a file describes, if it lives; else remove the file."""
    fd = open_own(path, os.O_RDONLY)
    try:
        if not lock(fd, wait=False, shared=True):
            value = parse_object(os.read(fd, _MOST_BYTES))
            url = str(value["url"])
            return [(float(value["started_at"]), url, str(value.get("outside", url)))]
        if os.path.samestat(os.fstat(fd), os.lstat(path)):
            os.unlink(path)
    finally:
        os.close(fd)
    return []


@contextlib.contextmanager
def registered(store: str, url: str, outside: str | None = None) -> Iterator[None]:
    """Tell that this process serves the store at a URL, as long as the block lasts.

    `outside` is the URL for other machines; the same without it.

    If the folder cannot be written to, the server runs without an entry.
    """
    path, fd = None, None
    with contextlib.suppress(OSError):
        path, fd = _write(f"{store}/{FOLDER}", url, outside or url)
    try:
        yield
    finally:
        if path is not None and fd is not None:
            with contextlib.suppress(OSError):
                os.unlink(path)
            os.close(fd)


def _write(folder: str, url: str, outside: str) -> tuple[str, int]:
    """Write and lock the file before it gets its name: it is never seen without its lock."""
    make_folder(folder, make=True)
    pid = os.getpid()
    draft = f"{folder}/.{pid}-{secrets.token_hex(4)}"
    fd = open_own(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        entry = {"url": url, "outside": outside, "pid": pid, "started_at": time.time()}
        os.write(fd, json.dumps(entry).encode())
        lock(fd)
        return _name(draft, folder, pid), fd
    except BaseException:
        os.close(fd)
        raise
    finally:
        os.unlink(draft)


def _name(draft: str, folder: str, pid: int) -> str:
    """Link the file under its name; in two containers that share a store, two servers may have one pid."""
    servers(os.path.dirname(folder))  # takes away what another process with this pid left behind
    path, number = f"{folder}/{pid}.json", 1
    while True:
        try:
            os.link(draft, path)
            return path
        except FileExistsError:
            number += 1
            path = f"{folder}/{pid}-{number}.json"

"""What a command was given beside its arguments: on its stdin (`input`), or as a file (`payload`).

Owns the file `payload` in the folder of a run, and what another start needs of both. Of a masked run
neither is on a disk.
"""

from __future__ import annotations

import os

from runcast.store.run_files import RunFiles
from runcast.sysio.files import open_own
from runcast.sysio.writes import write_new

__all__ = ["given_to", "payload_path", "read_payload", "write_payload"]


def payload_path(files: RunFiles) -> str:
    """Return where a command finds what it is given as a file."""
    return f"{files.path}/payload"


def write_payload(files: RunFiles, data: bytes) -> None:
    """Keep what a command is given as a file."""
    write_new(payload_path(files), data)


def read_payload(files: RunFiles) -> bytes | None:
    """Return what a command was given as a file; None where it was given none."""
    if not os.path.lexists(payload_path(files)):
        return None
    with open(open_own(payload_path(files), os.O_RDONLY), "rb") as file:
        return file.read()


def given_to(files: RunFiles) -> tuple[bytes, bool]:
    """Return what a command was given, and whether as a file.

    Raises:
        FileNotFoundError: it was given nothing.
    """
    if (payload := read_payload(files)) is not None:
        return payload, True
    with open(files.open_input(), "rb") as file:
        return file.read(), False

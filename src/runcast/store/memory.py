"""The folder of a store in memory: private, and gone with its process.

Owns its name and its lock. The place is one that all users share: what is theirs there, whatever
its name, is left alone and waited for by nobody.
"""

from __future__ import annotations

import contextlib
import os

from runcast.sysio.files import is_folder, open_own
from runcast.sysio.locks import lock

__all__ = ["make_memory_folder"]

_SHARED = "/dev/shm"


def make_memory_folder() -> str:
    """Return a new folder, whose lock this process holds until it ends; remove those of dead processes."""
    import tempfile

    # Not a moment without its owner's lock: another process may sweep just now.
    parent = _SHARED if os.access(_SHARED, os.W_OK) else tempfile.gettempdir()
    prefix = f"runcast-{os.geteuid()}-"
    for name in os.listdir(parent):
        if name.startswith(prefix):
            _sweep(f"{parent}/{name}")
    made = tempfile.mkdtemp(prefix=f".{prefix}", dir=parent)
    lock(open_own(f"{made}/.owner", os.O_RDWR | os.O_CREAT))
    folder = made.replace(f"/.{prefix}", f"/{prefix}")
    os.rename(made, folder)
    return folder


def _sweep(folder: str) -> None:
    """Remove what the store of a process that was killed left behind."""
    if not is_folder(folder):  # somebody else's, or no folder at all
        return
    with contextlib.suppress(OSError):
        owner = open_own(f"{folder}/.owner", os.O_RDONLY)
        try:
            if lock(owner, wait=False):
                import shutil

                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(owner)

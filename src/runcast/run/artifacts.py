"""The files that are kept with runs of this machine.

Owns the way from a name to the file. Must not know where files are saved (sysio/saved.py).
"""

from __future__ import annotations

import os

from runcast.errors import ArtifactNotFound, FileDamaged
from runcast.run.base import RunBase, files_of

__all__ = ["PART_BYTES", "open_artifact", "read_artifact"]

PART_BYTES = 4 * 1024 * 1024  # of a file, read at once


def open_artifact(run: RunBase, name: str) -> tuple[int, int]:
    """Return a descriptor of a kept file, and its size.

    Raises:
        ArtifactNotFound: there is none of this name.
        RunNotFound: the run was removed.
        FileDamaged: the file is not whole.
    """
    for number, one in enumerate(run.artifacts):
        if one.name == name:
            try:
                return files_of(run).artifact_files.open(number, one.bytes), one.bytes
            except FileNotFoundError:
                raise FileDamaged(f"run {run.id}: expected its file {name!r:.200}, it is missing") from None
    known = ", ".join(one.name for one in run.artifacts[:5]) or "none"
    raise ArtifactNotFound(f"run {run.id} has no file {name!r:.200}; there are: {known}")


def read_artifact(run: RunBase, name: str, offset: int, most: int) -> bytes:
    """Return so many bytes of a kept file, fewer at its end. Raises what `open_artifact` does."""
    fd, size = open_artifact(run, name)
    try:
        return os.pread(fd, min(most, max(size - offset, 0)), offset)
    finally:
        os.close(fd)

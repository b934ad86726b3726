"""Whether files can be made, locked and synced in a folder, found out by doing so.

Owns the attempt, which leaves nothing behind. Does not judge what it finds.
"""

from __future__ import annotations

import os
import tempfile

from runcast.sysio.locks import lock

__all__ = ["probe"]


def probe(path: str) -> tuple[str, str]:
    """Return why no file can be written in a folder, and why none can be locked; empty texts where one can.

    Args:
        path: of the folder. Where it is not there, the nearest above it that is, in which it would be made.
    """
    while not os.path.lexists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    try:
        with tempfile.TemporaryFile(
            dir=path
        ) as file:  # without a name, where the file system can (O_TMPFILE)
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            try:
                lock(file.fileno(), wait=False)
            except OSError as error:
                return "", (error.strerror or str(error)).lower()
    except OSError as error:
        return (error.strerror or str(error)).lower(), ""
    return "", ""

"""What keeps output today: `command | cat > file`."""

from __future__ import annotations

import os
import shlex
import subprocess

__all__ = ["pipe_to_file"]


def pipe_to_file(command: list[str], path: str, *, both: bool) -> int:
    """Have `cat` write what a command prints (with `both`, on stderr too); return how much that was."""
    script = f"{shlex.join(command)} {'2>&1 ' if both else ''}| cat > {shlex.quote(path)}"
    subprocess.run(["/bin/sh", "-c", script], check=True)
    return os.path.getsize(path)

"""What a run has used so far, as /proc has it of the processes that there are.

Owns the sums. Every process of a run is below its supervisor, whose own account has what those used that it
has reaped. Looked up by a reader when it wants to know: a run that nobody looks at pays nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

from runcast.errors import RuncastError
from runcast.model import Usage
from runcast.store.origin import Relation, relation_to
from runcast.store.run_files import RunFiles
from runcast.sysio.files import read_kernel
from runcast.sysio.processes import below

__all__ = ["used_so_far"]

_TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds
_CPU = slice(11, 15)  # of a stat behind the name: user and system time, own and of reaped children


def used_so_far(files: RunFiles, state: Mapping[str, Any], origin: Mapping[str, Any]) -> Usage | None:
    """Return what a run without an outcome has used; None where its processes are not to be seen.

    Of a process of another user, what it read and wrote is left out.

    Args:
        files: of the run.
        state: what its supervisor wrote last.
        origin: where it was started.
    """
    supervisor = state.get("supervisor")
    if supervisor is None or state.get("pid") is None:
        return None
    with contextlib.suppress(OSError, RuncastError):
        if relation_to(files.path, origin) is Relation.OWN and files.held:
            return _sum(supervisor)
    return None


def _sum(supervisor: int) -> Usage:
    ticks = sum(_cpu(supervisor)[2:])  # its own work is not the run's
    peak = read = written = 0
    for pid in below(supervisor):
        with contextlib.suppress(OSError, ValueError):
            ticks += sum(_cpu(pid))
            peak = max(peak, _number(read_kernel(f"/proc/{pid}/status"), b"VmHWM:") * 1024)
            moved = read_kernel(f"/proc/{pid}/io")
            read, written = (
                read + _number(moved, b"\nread_bytes:"),
                written + _number(moved, b"\nwrite_bytes:"),
            )
    return Usage(round(ticks * _TICK, 2), peak or None, read, written)


def _cpu(pid: int) -> list[int]:
    fields = read_kernel(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return [int(field) for field in fields[_CPU]]


def _number(text: bytes, name: bytes) -> int:
    """Return the number behind a name; 0 where there is none: a zombie has no memory."""
    fields = text.partition(name)[2].split(maxsplit=1)
    return int(fields[0]) if fields else 0

"""System calls, counted by strace: what a regression costs on any machine."""

import contextlib
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.helpers.wait import MS, wait_until

__all__ = ["system_calls"]


@contextlib.contextmanager
def system_calls(pid: int, *, threads: bool = True) -> Iterator[Counter[str]]:
    """Count the calls of a process, of all threads or its first; it is filled when the block ends."""
    calls: Counter[str] = Counter()
    with tempfile.NamedTemporaryFile() as trace:
        words = ["strace", *["-f"] * threads, "-qq", "-c", "-U", "calls,name", "-o", trace.name]
        with subprocess.Popen([*words, "-p", str(pid)], stderr=subprocess.PIPE) as strace:
            wait_until(lambda: _is_traced(pid), timeout=15000 * MS)
            yield calls
            strace.send_signal(2)
            strace.wait(15000 * MS)
        text = Path(trace.name).read_text()
    calls.update({name: int(number) for number, name in re.findall(r"^\s*(\d+) (\w+)$", text, re.M)})
    del calls["total"]


def _is_traced(pid: int) -> bool:
    return "TracerPid:\t0" not in Path(f"/proc/{pid}/status").read_text()

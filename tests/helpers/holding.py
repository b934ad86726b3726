"""Whether a program writes a line at once or holds it back, found without a clock.

It gets some lines. Once it has read them and sleeps because it wants more, what it has not written by
then it holds back.
"""

import array
import contextlib
import fcntl
import os
import pty
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

from runcast.hints.table import AT_END, AT_ONCE, NO_START
from tests.helpers.wait import MS, wait_until

LINES = 3 * b"a line of text\n"
_AT_ONCE_LINES = 2  # of them: musl writes the first line at once and then no other; busybox is one behind
_MARK = b"so far"
_LONG = 20000 * MS


def measure(command: Sequence[str], env: Mapping[str, str], *, terminal: bool = False) -> str:
    """Start a command that gives each line of its stdin back; return when a line comes, as the table has it.

    With `terminal` its stdout and stderr are one.
    """
    near, far = pty.openpty() if terminal else os.pipe()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, near)
        stack.callback(os.close, far)
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=far,
            stderr=far if terminal else subprocess.PIPE,
            env=dict(env),
            start_new_session=True,
        )
        stack.callback(process.communicate)
        stack.callback(process.kill)
        assert process.stdin is not None
        stdin = process.stdin.fileno()
        with contextlib.suppress(BrokenPipeError):  # it has not even started
            os.write(stdin, LINES)
        wait_until(lambda: process.poll() is not None or _wants_more(process.pid, stdin), _LONG)
        if process.poll() is not None:
            return NO_START
        early = _before_mark(near, far)
        process.stdin.close()
        process.stdin = None
        assert process.wait(_LONG) == 0
        assert b"lin" in early + _before_mark(near, far)
        return AT_ONCE if early.count(b"lin") >= _AT_ONCE_LINES else AT_END


def _before_mark(near: int, far: int) -> bytes:
    """Return what has been written to a pipe or a terminal so far: all that is before a mark of ours."""
    os.write(far, _MARK)
    data = b""
    while not data.endswith(_MARK):
        data += os.read(near, 4096)
    return data


def _unread(fd: int) -> int:
    """Return how many bytes of a pipe can be read."""
    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]


def _wants_more(pid: int, stdin: int) -> bool:
    """Whether a process has read its stdin and sleeps: all that it is to do with a line is done.

    Its main thread sleeps in a system call on that pipe, or waits for several descriptors.
    """
    if _unread(stdin):
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    waits = Path(f"/proc/{pid}/wchan").read_text()
    return state == "S" and any(part in waits for part in ("pipe_read", "poll", "select", "ep_"))

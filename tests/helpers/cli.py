"""The command line as its users have it: the installed `runcast`, in a process or at a terminal."""

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import sysconfig
import termios
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.helpers.wait import MS

RUNCAST = f"{sysconfig.get_path('scripts')}/runcast"
LONG = 20000 * MS  # no command that a test waits for may take so long
_AT_TERMINAL = "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"


class Done(NamedTuple):
    """How a command line ended: its exit code and what it wrote."""

    code: int
    out: bytes
    err: str


Call = Callable[..., Done]
"""Runs a command line and returns how it ended."""


def cli(*arguments: object, **options: Any) -> Done:
    """Run `runcast` with these arguments to its end; `options` are those of `subprocess.run`."""
    __tracebackhide__ = True
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    done = subprocess.run([RUNCAST, *map(str, arguments)], timeout=LONG, check=False, **pipes)
    return Done(done.returncode, done.stdout or b"", (done.stderr or b"").decode())


@contextlib.contextmanager
def cli_begun(*arguments: object, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Begin `runcast` with these arguments; it is gone at the end of the block."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    process = subprocess.Popen([RUNCAST, *map(str, arguments)], bufsize=0, **pipes)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


class Terminal:
    """A terminal with one program in its foreground, and a person at it.

    Attributes:
        before: its modes before the program began.
        seen: what it has shown, with line feeds as line ends.
    """

    def __init__(self, process: subprocess.Popen[bytes], fd: int, before: list[Any]) -> None:
        self.process = process
        self.fd = fd
        self.before = before
        self.seen = ""

    @property
    def modes(self) -> list[Any]:
        """Its modes now."""
        return termios.tcgetattr(self.fd)

    def resize(self, columns: int, rows: int) -> None:
        """Give it another size."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Type; `\\x03` is Ctrl-C and `\\x04` the end of the input."""
        os.write(self.fd, text.encode())

    def until(self, shows: str | Callable[[str], bool]) -> str:
        """Look until the screen shows a text, or what a predicate says; return all that was seen."""
        __tracebackhide__ = True
        wanted = shows if callable(shows) else lambda seen: shows in seen
        deadline = time.monotonic() + LONG
        while not wanted(self.seen):
            ready = select.select([self.fd], [], [], max(deadline - time.monotonic(), 0))[0]
            assert ready, f"waited for {shows!r}, saw {self.seen!r}"
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # EIO: the program has gone
                data = b""
            assert data or wanted(self.seen), f"expected {shows!r} before the end, saw {self.seen!r}"
            self.seen += data.decode(errors="replace").replace("\r\n", "\n")
        return self.seen

    def end(self) -> int:
        """Look until the program has ended; return its exit code."""
        deadline = time.monotonic() + LONG
        while select.select([self.fd], [], [], max(deadline - time.monotonic(), 0))[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            self.seen += data.decode(errors="replace").replace("\r\n", "\n")
        return self.process.wait(LONG)


@contextlib.contextmanager
def terminal(*arguments: object, columns: int = 200) -> Iterator[Terminal]:
    """Begin `runcast` in the foreground of a terminal of its own; both are gone at the end of the block."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-I", "-S", "-c", _AT_TERMINAL, RUNCAST, *map(str, arguments)]
    before = termios.tcgetattr(ours)
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    try:
        yield Terminal(process, ours, before)
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(OSError):  # a test may have hung up
            os.close(ours)

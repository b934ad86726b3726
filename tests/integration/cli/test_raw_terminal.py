"""The terminal of the caller is as it was, however the process that made it raw ends."""

import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.helpers.cli import LONG
from tests.helpers.wait import wait_until

HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"
PROGRAM = f"""
import os, sys, termios, time
from runcast.cli.raw_terminal import RawTerminal
with RawTerminal() as terminal:
    terminal.take()
    terminal.note({SHOW!r})
    os.write(1, {HIDE!r} + b"raw")
    exec(sys.argv[1])
os.write(1, b"over")
"""


class Shown:
    """A terminal with a program that makes it raw.

    Attributes:
        seen: what it showed.
    """

    def __init__(self, then: str) -> None:
        self.fd, theirs = pty.openpty()
        self.before = termios.tcgetattr(self.fd)
        self.seen = b""
        command = [sys.executable, "-c", PROGRAM, then]
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, start_new_session=True
        )
        os.close(theirs)
        os.set_blocking(self.fd, False)

    def shows(self, text: bytes) -> bool:
        """Return whether it has shown a text."""
        try:
            self.seen += os.read(self.fd, 65536)
        except OSError:  # nothing now, or for good
            pass
        return text in self.seen

    @property
    def modes(self) -> list[object]:
        """Its modes."""
        return termios.tcgetattr(self.fd)

    def close(self) -> None:
        """End the program and let go of the terminal."""
        self.process.kill()
        self.process.communicate()
        os.close(self.fd)


@contextmanager
def shown(then: str = "time.sleep(600)") -> Iterator[Shown]:
    """Give a terminal that is raw, and what the program does then."""
    terminal = Shown(then)
    try:
        wait_until(lambda: terminal.shows(b"raw"), timeout=LONG)
        yield terminal
    finally:
        terminal.close()


@pytest.mark.parametrize("then", ["pass", "sys.exit(3)", "raise ValueError", "os.kill(0, 15)"])
def test_ends(then: str):
    """At the end of the block, or without one, the modes are those of before, and the cursor is there."""
    with shown(then) as terminal:
        terminal.process.wait(LONG)
        wait_until(lambda: terminal.modes == terminal.before, timeout=LONG)
        wait_until(lambda: terminal.shows(HIDE + b"raw" + SHOW), timeout=LONG)
    assert terminal.seen.count(SHOW) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGHUP, signal.SIGTERM])
@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
def test_killed(number: signal.Signals, group: bool):
    """A signal that nothing can be done about leaves the terminal as it was, also one for the whole group."""
    with shown() as terminal:
        assert terminal.modes != terminal.before
        (os.killpg if group else os.kill)(terminal.process.pid, number)

        wait_until(lambda: terminal.modes == terminal.before, timeout=LONG)
        wait_until(lambda: terminal.shows(HIDE + b"raw" + SHOW), timeout=LONG)
    assert terminal.seen.count(SHOW) == 1


def test_modes_of_a_shell():
    """A shell that has the terminal back has modes of its own, and keeps them."""
    with shown() as terminal:
        modes = terminal.modes
        modes[3] |= termios.ISIG  # type: ignore[operator]
        termios.tcsetattr(terminal.fd, termios.TCSANOW, modes)  # type: ignore[arg-type]

        terminal.process.kill()

        wait_until(lambda: terminal.shows(SHOW), timeout=LONG)
        terminal.process.wait(LONG)
        wait_until(lambda: terminal.shows(b"never") or hung_up(terminal.fd), timeout=LONG)
        assert terminal.modes == modes


def hung_up(fd: int) -> bool:
    """Return whether nobody has the other end of a terminal any more: the watchdog has ended, too."""
    try:
        os.read(fd, 1)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return False


def test_no_trace():
    """When all is well, no process is left, and nobody waits for one that holds the output."""
    with shown("pass") as terminal:
        terminal.process.wait(LONG)
        assert terminal.process.returncode == 0
        wait_until(lambda: hung_up(terminal.fd), timeout=LONG)

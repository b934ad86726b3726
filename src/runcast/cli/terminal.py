"""Writing to stdout and stderr: the output of runs, and messages.

Owns descriptors 1 and 2. Output is written as it is, unbuffered. A message is one line on stderr, with
control codes as escapes, since names, commands and paths are untrusted.
"""

from __future__ import annotations

import contextlib
import os
import select
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from runcast.model import Channel, Chunk
from runcast.utf8 import Characters

if TYPE_CHECKING:
    from runcast.escapes.queries import Without
    from runcast.escapes.screen_modes import ScreenModes
    from runcast.escapes.strip import Stripper

__all__ = [
    "STDERR",
    "STDOUT",
    "OutputClosed",
    "OutputFailed",
    "TerminalOutput",
    "keep_standard_fds",
    "print_line",
    "printable",
    "report",
    "size_text",
]

STDOUT, STDERR = 1, 2


class OutputClosed(Exception):
    """The reader of stdout or stderr is gone."""


class OutputFailed(Exception):
    """Stdout or stderr cannot be written for another reason: a full disk, a lost terminal."""


def keep_standard_fds() -> None:
    """Open descriptors 0 to 2 where they are closed: the next file opened would get their number."""
    for fd in (0, STDOUT, STDERR):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of it, blocking as long as it takes, even if the descriptor does not block.

    Raises:
        OutputClosed: the reader of a pipe is gone.
        OutputFailed: it cannot be written for another reason.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()
        except BrokenPipeError:
            raise OutputClosed from None
        except OSError as error:
            where = "stderr" if fd == STDERR else "stdout"
            raise OutputFailed(f"cannot write to {where}: {(error.strerror or '').lower()}") from None


def printable(text: str) -> str:
    """Return a text with everything that is not printable as an escape, so on one line."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in text
    )


def print_line(line: str) -> None:
    """Print one line to stdout."""
    write_all(STDOUT, f"{line}\n".encode(errors="backslashreplace"))


def report(message: str, *, new_line: bool = False) -> None:
    """Print a message to stderr, if that can still be written; with `new_line` behind an unfinished one."""
    begin = "\n" if new_line else ""
    with contextlib.suppress(OutputClosed, OutputFailed):
        write_all(STDERR, f"{begin}runcast: {printable(message)}\n".encode(errors="backslashreplace"))


def _same_file(*fds: int) -> bool:
    with contextlib.suppress(OSError):
        return len({(status.st_dev, status.st_ino) for status in map(os.fstat, fds)}) == 1
    return False


class TerminalOutput:
    """Prints chunks: stderr to stderr, every other channel to stdout, gaps as messages.

    Where stdout and stderr are one file, such as a terminal, an incomplete character of one channel is
    held back: another channel's output would otherwise split it.

    Use as a context manager. The questions of a program to a terminal of its own are not put to the one
    here, which would reply into whatever reads its keys; what the program changed of it is undone at the end.

    Args:
        safe: remove control sequences.
        tty: whether the run has a terminal of its own.
    """

    def __init__(self, *, safe: bool = False, tty: bool | Literal["stdout"] = False) -> None:
        self._safe = safe
        self._queries: Without | None = None
        self._modes: ScreenModes | None = None
        if tty and os.isatty(STDOUT):
            from runcast.escapes.queries import without_queries
            from runcast.escapes.screen_modes import ScreenModes

            self._queries, self._modes = without_queries(), ScreenModes()
        self._strippers: dict[Channel, Stripper] = {}
        self._characters = Characters() if _same_file(STDOUT, STDERR) else None

    def __enter__(self) -> TerminalOutput:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end()
        if self._modes is not None and (undo := self._modes.undo):
            with contextlib.suppress(OutputClosed, OutputFailed):
                write_all(STDOUT, undo)

    def show(self, chunk: Chunk) -> None:
        """Print a chunk.

        Raises:
            OutputClosed, OutputFailed: it cannot be written any more.
        """
        if chunk.channel is Channel.GAP:
            self._end()
            report(f"the bytes from offset {chunk.offset} to {chunk.next} are no longer kept")
            return
        data = chunk.data
        if self._queries is not None and chunk.channel is Channel.STDOUT:
            data = self._queries.feed(data)
        if self._safe:
            data = self._stripper(chunk.channel).feed(data)
        if self._modes is not None:
            self._modes.feed(data)
        if self._characters is not None:
            data = self._characters.feed(chunk.channel, data)
        self._write(chunk.channel, data)

    def _end(self) -> None:
        """Print the characters that stay incomplete. Raises the errors of `show`."""
        for channel, data in self._characters.flush() if self._characters is not None else ():
            self._write(channel, data)

    @staticmethod
    def _write(channel: object, data: bytes) -> None:
        write_all(STDERR if channel is Channel.STDERR else STDOUT, data)

    def _stripper(self, channel: Channel) -> Stripper:
        """Return the stripper of a channel: each has its own incomplete sequences."""
        if channel not in self._strippers:
            from runcast.escapes.strip import Stripper

            self._strippers[channel] = Stripper()
        return self._strippers[channel]


def size_text(count: int) -> str:
    """Return bytes for people, such as `1.5 MiB`."""
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"

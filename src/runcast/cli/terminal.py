"""What we write, byte by byte: the output of runs, and what we have to say ourselves.

Owns descriptors 1 and 2. Output goes out as it is, unbuffered; what we say is one line on stderr
with control codes shown as escapes, since names, commands and paths come from anybody.
"""

from __future__ import annotations

import contextlib
import os
import select
from typing import TYPE_CHECKING

from runcast.model import Channel, Chunk
from runcast.utf8 import Characters

if TYPE_CHECKING:
    from runcast.cli.safe import Stripper

__all__ = [
    "STDERR",
    "STDOUT",
    "Output",
    "OutputClosed",
    "OutputFailed",
    "keep_standard_fds",
    "printable",
    "say",
    "tell",
]

STDOUT, STDERR = 1, 2


class OutputClosed(Exception):
    """Whoever read our stdout or stderr left."""


class OutputFailed(Exception):
    """Our stdout or stderr takes no more, but nobody left: a full disk, a terminal that is gone."""


def keep_standard_fds() -> None:
    """Fill descriptors 0 to 2 where they are closed: the next file opened would else be our output."""
    for fd in (0, STDOUT, STDERR):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of it, waiting as long as it takes, also where the descriptor does not block.

    Raises:
        OutputClosed: the reader of a pipe left.
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
    """Return a text with everything that is not printable as an escape: one line, and no tricks."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in text
    )


def say(line: str) -> None:
    """Write one line of ours to stdout."""
    write_all(STDOUT, f"{line}\n".encode(errors="backslashreplace"))


def tell(message: str) -> None:
    """Tell something on stderr, if anybody can still be told."""
    with contextlib.suppress(OutputClosed, OutputFailed):
        write_all(STDERR, f"runcast: {printable(message)}\n".encode(errors="backslashreplace"))


def _same_file(*fds: int) -> bool:
    with contextlib.suppress(OSError):
        return len({(status.st_dev, status.st_ino) for status in map(os.fstat, fds)}) == 1
    return False


class Output:
    """Shows chunks: stderr to stderr, every other channel to stdout, gaps in words.

    Where stdout and stderr are one file, such as a terminal, a character that one channel began is
    held back until it is whole: another channel's output would else stand in the middle of it.

    Args:
        safe: leave out what a terminal would obey.
    """

    def __init__(self, *, safe: bool = False) -> None:
        self._safe = safe
        self._strippers: dict[Channel, Stripper] = {}
        self._characters = Characters() if _same_file(STDOUT, STDERR) else None

    def show(self, chunk: Chunk) -> None:
        """Write a chunk where it belongs.

        Raises:
            OutputClosed, OutputFailed: it cannot be written there any more.
        """
        if chunk.channel is Channel.GAP:
            self.end()
            tell(f"the bytes from offset {chunk.offset} to {chunk.next} are no longer kept")
            return
        data = chunk.data
        if self._safe:
            data = self._stripper(chunk.channel).feed(data)
        if self._characters is not None:
            data = self._characters.feed(chunk.channel, data)
        self._write(chunk.channel, data)

    def end(self) -> None:
        """Write the characters of which no more comes, as far as they came. Raises what `show` does."""
        for channel, data in self._characters.flush() if self._characters is not None else ():
            self._write(channel, data)

    @staticmethod
    def _write(channel: object, data: bytes) -> None:
        write_all(STDERR if channel is Channel.STDERR else STDOUT, data)

    def _stripper(self, channel: Channel) -> Stripper:
        """Return the one of a channel: each has its own half sequences."""
        if channel not in self._strippers:
            from runcast.cli.safe import Stripper

            self._strippers[channel] = Stripper()
        return self._strippers[channel]

"""The terminal of a run: what comes out of it, its size, and what is typed into it.

Owns three rules of the kernel's terminals (docs/howto/terminals.md). A terminal has no end while
somebody has it open, and a new beginning if a program opens it again: so it is kept open here until
the run is over. A line of more than 4,095 bytes would be cut without a word, so it is refused.
Its input ends by a character, which means that at the beginning of a line only.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable

from runcast.model import CHUNK_BYTES, Channel
from runcast.supervisor.answers import Answers
from runcast.supervisor.pump import Pipe
from runcast.sysio.terminals import Modes, modes_of, open_pty, set_size

__all__ = ["LINE_BYTES", "Terminal", "Typist", "line_after"]

LINE_BYTES = 4095  # of one line, without its end (N_TTY_BUF_SIZE in termios(3))
_CONTROLLING = os.makedev(5, 0)  # /dev/tty, of whichever process
_READ_BYTES = 8192  # at once: more than the kernel ever gives
_FLOOD_BYTES = 2048  # at once, and again after each wait: a program writes as fast as it can …
_MORE_MS = 1  # … and then there is more within so long


class Terminal(Pipe):
    """A terminal, read as a pipe is.

    Args:
        columns: its width.
        rows: its height.

    Raises:
        NoTerminal: there is none to be had.
        OSError: there are too few descriptors.

    Attributes:
        path: by which a process opens it.
        size: columns and rows.
    """

    def __init__(self, columns: int, rows: int) -> None:
        pty = open_pty(columns, rows)
        super().__init__(pty.master, Channel.STDOUT)
        self.path = pty.path
        self.size = columns, rows
        self._kept: int | None = pty.slave
        self._poll = select.poll()
        self._poll.register(self.fd, select.POLLIN)
        self._device = os.fstat(pty.slave)

    def read(self) -> bytes | None:
        """Return what is there, of many reads; see `Pipe.read`.

        The kernel gives 4 KiB at most, and has more at once or a moment later where a program writes as
        fast as it can. Then that is waited for: each append to the log costs as much as several such reads.
        """
        parts: list[bytes] = []
        room = CHUNK_BYTES - len(self.carry)
        came = 0  # since the last wait
        self.full = False
        try:
            while room >= _READ_BYTES:
                try:
                    data = os.read(self.fd, _READ_BYTES)
                except BlockingIOError:
                    if came < _FLOOD_BYTES or not self._poll.poll(_MORE_MS):
                        break
                    came = 0
                else:
                    parts.append(data)
                    room -= len(data)
                    came += len(data)
            else:
                self.full = True
        except OSError:  # EIO: nobody has it open
            return b"".join(parts)
        return b"".join(parts) if parts or self.full else None

    def let_go(self) -> None:
        """Have it end when nobody else has it open."""
        if self._kept is not None:
            os.close(self._kept)
            self._kept = None

    def is_at(self, found: os.stat_result, terminal: int) -> bool:
        """Return whether a descriptor is this terminal, by its own name or as `/dev/tty`; see `Input`."""
        own = self._device
        if found.st_rdev == _CONTROLLING:
            return terminal == own.st_rdev
        return found.st_rdev == own.st_rdev and found.st_dev == own.st_dev

    def hidden(self) -> bool:
        """Return whether a line that is typed is not shown; editors, which show keys, take no lines."""
        modes = modes_of(self.fd)
        return modes.canonical and not modes.echo

    def answered(self, reply: Callable[[bytes], object]) -> Callable[[bytes], object]:
        """Return what is called with its output, so that what a program asks it has a reply.

        Args:
            reply: types it.
        """
        return Answers(reply, lambda: self.size[1], lambda: modes_of(self.fd).canonical).watch

    def resize(self, columns: int, rows: int) -> None:
        """Give it another size."""
        set_size(self.fd, columns, rows)
        self.size = columns, rows


class Typist:
    """Types into a terminal.

    Args:
        fd: of the terminal.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._line = 0  # bytes since the last end of a line

    def type(self, data: bytes, eof: bool) -> bytes:
        """Return what to write for some data, and the end of the input behind it.

        Raises:
            ValueError: the terminal would cut one of its lines.
        """
        modes = modes_of(self._fd)
        if not modes.canonical:  # nothing is cut, and the end is a key like others
            self._line = 0
            return data + modes.eof * eof
        self._line = line_after(self._line, data, modes)
        if eof:
            data += modes.eof * (2 if self._line else 1)
            self._line = 0
        return data


def line_after(before: int, data: bytes, modes: Modes) -> int:
    """Return how many bytes the last line has, of which there are some `before` the data already.

    Raises:
        ValueError: one of the lines is too long.
    """
    one_end = data.translate(bytes.maketrans(modes.ends, b"\n" * len(modes.ends)))
    first, *others = map(len, one_end.split(b"\n"))
    lines = [before + first, *others]
    if (longest := max(lines)) > LINE_BYTES:
        raise ValueError(
            f"expected lines of up to {LINE_BYTES} bytes, as a terminal takes them, got one of {longest} or "
            "more: send shorter ones, or start the program without tty and with stdin"
        )
    return lines[-1]

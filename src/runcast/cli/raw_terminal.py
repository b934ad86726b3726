"""The terminal of the caller in raw mode, and back again whatever happens.

Owns the modes of the terminal at stdin: they are saved, changed and restored here. A watchdog restores
them where this process cannot, when it is killed with SIGKILL: a child that holds the saved modes, waits
for its pipe to close, and does nothing if it learns that all is well. It has a session of its own, so
that no signal of the terminal or to the process group reaches it, and may change the modes from there.

It restores the modes only while they are still those that were set here: a shell that has its terminal
back already has set its own.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
from types import TracebackType
from typing import Any, Final

from runcast.model import CELLS_MOST

__all__ = ["RawTerminal"]

_STDIN, _STDOUT, _PIPE = 0, 1, 2  # of the watchdog
_IFLAG, _OFLAG, _CFLAG, _LFLAG, _CC = 0, 1, 2, 3, 6
_INPUT: Final = (
    termios.IGNBRK
    | termios.BRKINT
    | termios.PARMRK
    | termios.ISTRIP
    | termios.INLCR
    | termios.IGNCR
    | termios.ICRNL
    | termios.IXON
)
_LOCAL: Final = termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN
_WELL: Final = b"."  # to the watchdog: the terminal is as it was
_UNDO_BYTES: Final = 2048  # of one note, which is written at once: no more than PIPE_BUF
_WRITABLE_MS: Final = 1000

_Modes = list[Any]  # as of `termios`


class RawTerminal:
    """The terminal at stdin, while a run has it.

    Use as a context manager: at the end the terminal is as it was. It is raw from `take` on.

    Attributes:
        undo: what must be written to the terminal when it is given back.
    """

    def __init__(self) -> None:
        self.undo = b""
        self._saved: _Modes = termios.tcgetattr(_STDIN)
        self._raw = _raw(self._saved)
        self._watchdog: int | None = None
        self._pipe = -1

    def __enter__(self) -> RawTerminal:
        self._watch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_back()
        if self._watchdog is not None:
            with contextlib.suppress(OSError):
                os.write(self._pipe, _WELL)
            os.close(self._pipe)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._watchdog, 0)
            self._watchdog = None

    @property
    def size(self) -> tuple[int, int]:
        """Its columns and rows."""
        size = os.get_terminal_size(_STDIN)
        columns, rows = size.columns or 80, size.lines or 24  # 0 is unknown, as over a serial line
        return min(columns, CELLS_MOST), min(rows, CELLS_MOST)

    def take(self) -> None:
        """Make it raw."""
        with contextlib.suppress(termios.error):  # hung up
            termios.tcsetattr(_STDIN, termios.TCSANOW, self._raw)

    def give_back(self) -> None:
        """Restore the modes, and what was changed of the screen."""
        _write(self.undo)
        # Not TCSADRAIN: it waits for a terminal that was stopped with Ctrl-S.
        with contextlib.suppress(termios.error):
            termios.tcsetattr(_STDIN, termios.TCSANOW, self._saved)

    def note(self, undo: bytes) -> None:
        """Note what must be written when the terminal is given back, by whomever."""
        if undo == self.undo or not os.isatty(_STDOUT):  # else nothing of it was shown here
            return
        self.undo = undo
        if self._watchdog is not None and len(undo) <= _UNDO_BYTES:
            with contextlib.suppress(OSError):  # the watchdog is gone, or was stopped
                os.write(self._pipe, b"%d:%b" % (len(undo), undo))

    def _watch(self) -> None:
        """Start the watchdog, if there can be another process."""
        reading, self._pipe = os.pipe()
        begun, begins = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            os.close(self._pipe)
        else:
            if pid == 0:
                try:
                    _watchdog(reading, begins, self._saved, self._raw)
                finally:
                    os._exit(0)
            self._watchdog = pid
            os.set_blocking(self._pipe, False)
        os.close(reading)
        os.close(begins)
        os.read(begun, 1)  # until it has a session of its own: before, one signal could end both
        os.close(begun)


def _raw(modes: _Modes) -> _Modes:
    """Return modes in which bytes pass as they are: those of cfmakeraw(3)."""
    iflag, oflag, cflag, lflag, ispeed, ospeed, keys = modes
    keys = list(keys)
    keys[termios.VMIN], keys[termios.VTIME] = 1, 0
    cflag = cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    return [iflag & ~_INPUT, oflag & ~termios.OPOST, cflag, lflag & ~_LOCAL, ispeed, ospeed, keys]


def _watchdog(pipe: int, begins: int, saved: _Modes, raw: _Modes) -> None:
    """Wait until the parent ends; then restore the terminal, unless the parent did."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    os.write(begins, _WELL)
    if not os.isatty(_STDOUT):
        os.dup2(_STDIN, _STDOUT)
    os.dup2(pipe, _PIPE)
    os.closerange(_PIPE + 1, os.sysconf("SC_OPEN_MAX"))
    notes = b""
    undo = b""
    while data := os.read(_PIPE, 65536):
        undo, notes = _last(notes + data, undo)
        if notes == _WELL:
            return
    _write(undo)
    modes = termios.tcgetattr(_STDIN)
    if all(modes[at] == raw[at] for at in (_IFLAG, _OFLAG, _LFLAG)):
        termios.tcsetattr(_STDIN, termios.TCSANOW, saved)


def _last(notes: bytes, undo: bytes) -> tuple[bytes, bytes]:
    """Return the last of some notes, and what follows it; the one before where there is none."""
    while b":" in notes:
        size, _, rest = notes.partition(b":")
        if len(rest) < int(size):
            break
        undo, notes = rest[: int(size)], rest[int(size) :]
    return undo, notes


def _write(data: bytes) -> None:
    """Write to the terminal, unless it takes nothing."""
    poll = select.poll()
    poll.register(_STDOUT, select.POLLOUT)
    with contextlib.suppress(OSError):
        if data and poll.poll(_WRITABLE_MS):
            os.write(_STDOUT, data)

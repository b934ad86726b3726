"""What a run shows on the terminal that is at it: its output as it comes, behind some of what was before.

Owns the order of what is written: nothing after `stop`, so that the terminal is not changed again once
it was given back. Queries of the program to its terminal are left out: its supervisor answers them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from runcast.cli.raw_terminal import RawTerminal
from runcast.cli.terminal import STDOUT, printable, write_all
from runcast.escapes.queries import without_queries
from runcast.escapes.screen_modes import ScreenModes
from runcast.model import Channel, Chunk

if TYPE_CHECKING:
    from runcast.cli.any_runs import AnyRun
    from runcast.run.arguments import Place

__all__ = ["Screen"]

_HISTORY_BYTES: Final = 1024 * 1024  # before the present that are read for the modes of the screen …
_SHOWN_BYTES: Final = 256 * 1024  # … and how many of them are shown
_STOP_SECONDS: Final = 1.0  # for a terminal that takes no output


class Screen:
    """Writes the output of a run to the terminal."""

    def __init__(self, terminal: RawTerminal) -> None:
        self._terminal = terminal
        self._modes = ScreenModes()
        self._queries = without_queries()
        self._writing = threading.Lock()
        self._stopped = False

    def show(self, run: AnyRun, present: Callable[[bool], object] | None = None) -> None:
        """Show the output until it ends, or `stop`.

        Args:
            run: the run.
            present: for a terminal that attaches: only the last of the output is shown, and this is called
                at the present, with whether a program has the whole screen and must draw it anew.

        Raises:
            OutputClosed, OutputFailed: the terminal is gone.
            RuncastError: see `Run.follow`.
        """
        tail = 0 if present is None else run.tail_offset
        place: Place = {} if present is None else {"tail_bytes": _HISTORY_BYTES}
        begun = False
        if present is not None and not tail:
            present(False)
            present = None
        for chunk in run.follow(**place):
            if chunk is None:
                continue
            if chunk.next <= tail - _SHOWN_BYTES:
                self._modes.feed(chunk.data)
                continue
            if not begun:
                begun = True
                self._write(self._modes.redo)
            if not self._show(chunk):
                return
            if present is not None and chunk.next >= tail:
                present(self._modes.full)
                present = None

    def _show(self, chunk: Chunk) -> bool:
        """Show a chunk; return whether more may be shown."""
        if chunk.channel is Channel.GAP:
            return self.say(f"the bytes from offset {chunk.offset} to {chunk.next} are no longer kept")
        data = self._queries.feed(chunk.data)
        self._modes.feed(data)
        self._terminal.note(self._modes.undo)  # before it is written: this process may be killed then
        return self._write(data)

    def say(self, text: str) -> bool:
        """Show a message of runcast; return whether more may be shown."""
        return self._write(f"\r\nruncast: {printable(text)}\r\n".encode(errors="backslashreplace"))

    def redo(self) -> None:
        """Have the terminal again as the program had it."""
        self._write(self._modes.redo)

    def _write(self, data: bytes) -> bool:
        with self._writing:
            if not self._stopped:
                write_all(STDOUT, data)
            return not self._stopped

    def stop(self) -> None:
        """Write nothing more."""
        whole = self._writing.acquire(timeout=_STOP_SECONDS)
        self._stopped = True
        if whole:
            self._writing.release()

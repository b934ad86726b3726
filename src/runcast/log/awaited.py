"""The end of a mirror's log that is not here yet: bytes that the log has, and this disk has not.

Owns what a reader finds there: how many they are, and that they must be brought. When some have come, the
log is to be listed again. Must not know who brings them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from runcast.errors import SegmentAway
from runcast.log.extent import Dropped, Extent, WaitFor
from runcast.log.segments import segment_name, segment_starts
from runcast.log.spans import Span
from runcast.store.contents import AGENT
from runcast.store.run_files import RunFiles
from runcast.sysio.files import own_size

__all__ = ["with_awaited"]


def with_awaited(directory: RunFiles, spans: list[Span], wait_for: WaitFor | None) -> tuple[bool, list[Span]]:
    """Return whether a mirror's log is not all here, and its extents with what is known beyond these."""
    state = directory.state()
    if state.get("owner") != AGENT:
        return False, spans
    here, end = spans[-1].end if spans else 0, state.get("tail", 0)
    if here >= end:
        return True, spans
    lines = state.get("lines")
    awaited = _AwaitedEnd(directory.path, here, end, lines, lambda: _tail(directory.log_path), wait_for)
    return True, [*spans, Span(here, end, awaited)]


def _tail(folder: str) -> int:
    """Return where a log ends on this disk, whose segments are in a folder."""
    with contextlib.suppress(OSError):
        if starts := segment_starts(folder):
            return starts[-1] + own_size(f"{folder}/{segment_name(starts[-1])}")
    return 0


class _AwaitedEnd(Extent):
    """Bytes from where the log ends on this disk to where it is known to end.

    Args:
        path: the folder of the run.
        start: where it ends on this disk.
        end: where it is known to end.
        lines: line feeds before that; None where nobody knows.
        tail: returns where it ends on this disk now.
        wait_for: called where bytes are read, in place of the error.
    """

    def __init__(
        self,
        path: str,
        start: int,
        end: int,
        lines: int | None,
        tail: Callable[[], int],
        wait_for: WaitFor | None,
    ) -> None:
        super().__init__(start)
        self._path, self._end, self._lines, self._tail, self._wait_for = path, end, lines, tail, wait_for

    def size(self) -> int:
        return self._end - self.start

    def missing(self) -> SegmentAway:
        return SegmentAway(self._path, self.start, self._end)

    def lines_to_end(self) -> int | None:
        return self._lines

    def pread(self, offset: int, count: int) -> bytes:
        if self._wait_for is None:
            raise self.missing()
        self._wait_for(self.missing(), lambda: self._tail() > self.start)
        raise Dropped

    def record_count(self) -> int:
        return 0

    def packed(self, first: int, count: int) -> bytes:
        return b""

    def torn(self) -> bool:
        return False

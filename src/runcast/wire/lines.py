"""One event a line: what a five-line page with `onmessage` reads.

**Lines.** LF, CRLF and a lone CR end one, for each of them would end a field of the event stream
anyway. So every state of a progress bar that is redrawn with CR is an event, and is seen while it
goes on. CRs before a LF belong to it, however many; a lone CR with nothing before it on its line
ends nothing. Whether a CR is alone is known when the next byte of its channel comes: until then
its line is held back. A line longer than `LINE_BYTES` is given out in parts, cut between
characters. Bytes that are no UTF-8 become U+FFFD here: an event stream is UTF-8 by definition.

**Order and ids.** An event goes out when its line ends, in the order of the log. Its id names the
offset behind the line, which says that all lines which ended before it are out, and where the
lines of other channels begin that had not ended there (place.py). Coming back with an id reads on
from the earliest such beginning: up to the id's offset only the unfinished lines are collected,
nothing is said. That way a cut after any event, and even one inside, loses and repeats nothing,
however the channels interleave, and needs no memory of the viewer.

**Bounds.** A line that its channel does not end while `REACH` bytes of others pass is given out in
parts too, so that coming back never reads more than that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from runcast import utf8
from runcast.model import OFFSET_DIGITS, Channel, Chunk, Reading, format_offset
from runcast.wire.jsons import compact
from runcast.wire.place import REACH, START, Place, event_id, suffix
from runcast.wire.sse import EVENT_BYTES, EventStream, event

__all__ = ["LINE_BYTES", "LineEvents"]

LINE_BYTES: Final = EVENT_BYTES - 512  # leaves room for the id and the event's name

_HEAD: Final = b"data: "
_LINE: Final = re.compile(rb"([^\r\n]*)(\r*)(\n?)")  # matches at every place in linear time, whatever comes


class _Rest:
    """The unfinished line of one channel: its bytes, and where in the log they lie."""

    def __init__(self, begin: int) -> None:
        self.begin = begin
        self.size = 0
        self._pieces: list[tuple[int, bytearray]] = []

    def add(self, offset: int, data: bytes | bytearray) -> None:
        self.size += len(data)
        if self._pieces:
            last, piece = self._pieces[-1]
            if last + len(piece) == offset:
                piece += data
                return
        if data:
            self._pieces.append((offset, bytearray(data)))

    def join(self) -> bytes:
        return b"".join([piece for _, piece in self._pieces])

    @property
    def ends_with_cr(self) -> bool:
        return bool(self._pieces) and self._pieces[-1][1].endswith(b"\r")

    def after(self, count: int) -> _Rest:
        """Return what is left without the first `count` bytes; there must be something."""
        for index, (offset, piece) in enumerate(self._pieces):
            if count < len(piece):
                rest = _Rest(offset + count)
                rest.add(offset + count, bytes(piece[count:]))
                for following in self._pieces[index + 1 :]:
                    rest.add(*following)
                return rest
            count -= len(piece)
        raise AssertionError("nothing is left")


class LineEvents(EventStream):
    """Says each line as an event.

    Args:
        run: the id of the run.
        place: where to begin.
        named: give the lines of stderr and data event names of their own.
        line_bytes: where a line is cut.
        reach: how many bytes may pass while a line is unfinished.
    """

    def __init__(
        self,
        run: str,
        place: Place = START,
        *,
        named: bool = False,
        line_bytes: int = LINE_BYTES,
        reach: int = REACH,
    ) -> None:
        super().__init__(run, place)
        self._offset = place.offset  # all lines that end before are out
        self._rests = {channel: _Rest(begin) for channel, begin in place.begins}
        self._returning = bool(self._rests)  # before `place`: lines are collected, not said
        self._heads = {
            channel: b"event: %b\ndata: " % channel.value.encode()
            for channel in (Channel.STDERR, Channel.DATA)
            if named
        }
        self._bare = self._make_foot(())
        self._most = line_bytes
        self._reach = reach

    @property
    def place(self) -> Place:
        """The offset read up to, and where unfinished lines begin."""
        return Place(self._offset, self._begins())

    def _begins(self) -> tuple[tuple[Channel, int], ...]:
        return tuple((channel, self._rests[channel].begin) for channel in sorted(self._rests))

    def feed(self, reading: Reading, *, final: bool = False) -> bytes:
        """Say the lines that a reading ends."""
        said: list[bytes | memoryview] = []
        for chunk in reading.chunks:
            if chunk.channel is Channel.GAP:
                self._gap(chunk, said)
            elif not self._returning:
                self._chunk(chunk, said)
            elif rest := self._collect(chunk):
                self._arrive()
                self._chunk(rest, said)
        self.next = reading.next
        if self.next >= self._offset:
            self._offset = self.next
            self._arrive()
            self._expire(said, final)
        return b"".join(said)

    def _collect(self, chunk: Chunk) -> Chunk | None:
        """Before the place of a viewer who came back: keep unfinished lines; return what lies behind it."""
        if chunk.offset >= self._offset:
            return chunk
        end = min(chunk.next, self._offset)
        rest = self._rests.get(chunk.channel)
        if rest and rest.begin < end:
            start = max(chunk.offset, rest.begin)
            rest.add(start, chunk.data[start - chunk.offset : end - chunk.offset])
        if end == chunk.next:
            return None
        return chunk._replace(offset=end, data=chunk.data[end - chunk.offset :])

    def _arrive(self) -> None:
        """Forget the beginnings that an id named where there is nothing."""
        if self._returning:
            self._returning = False
            self._rests = {channel: rest for channel, rest in self._rests.items() if rest.size}

    def _chunk(self, chunk: Chunk, said: list[bytes | memoryview]) -> None:
        channel, offset, data = chunk.channel, chunk.offset, chunk.data
        self._offset = chunk.next
        whole = data.rfind(b"\n") + 1
        head = data.find(b"\n") + 1 if channel in self._rests else 0
        if head:
            self._split(channel, offset, data[:head], said)
        if whole > head:
            self._many(channel, offset + head, data[head:whole] if whole - head < len(data) else data, said)
        if whole < len(data):
            self._keep(channel, offset + whole, data[whole:], said)

    def _keep(self, channel: Channel, offset: int, data: bytes, said: list[bytes | memoryview]) -> None:
        """Hold back bytes that end no line, unless a CR or their number says otherwise."""
        rest = self._rests.get(channel)
        if b"\r" in data or (rest and rest.ends_with_cr):
            self._split(channel, offset, data, said)
            return
        rest = rest or self._rests.setdefault(channel, _Rest(offset))
        rest.add(offset, data)
        if rest.size > self._most:
            self._split(channel, offset + len(data), b"", said)

    def _many(self, channel: Channel, offset: int, data: bytes, said: list[bytes | memoryview]) -> None:
        """Say whole lines at once: their bytes become one format string with a hole for each offset.

        That takes two thirds of the time of a loop. An id at the end of a burst only would take a
        tenth of it, but then a cut inside the burst would repeat lines.
        """
        text = utf8.mend(data)
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        # A line over the limit covers the middle, whichever it is: look for a line end there.
        long = len(text) > self._most and text.find(b"\n", len(text) - self._most, self._most) < 0
        if long or b"\r" in text:
            self._split(channel, offset, data, said)
            return
        ends = tuple(accumulate(map(len, data.splitlines(keepends=True)), initial=offset))[1:]
        head = self._heads.get(channel, _HEAD)
        form = head + text.replace(b"%", b"%%").replace(b"\n", self._foot() + head)
        said.append(memoryview(form % ends)[: -len(head)])

    def _split(
        self,
        channel: Channel,
        offset: int,
        data: bytes,
        said: list[bytes | memoryview],
        *,
        final: bool = False,
    ) -> None:
        """Say the lines that bytes at `offset` end, together with what was held back; any bytes at all."""
        rest = self._rests.pop(channel, None) or _Rest(offset)
        before = rest.size
        rest.add(offset, data)
        text = rest.join()
        lines, left = _lines(text, self._most, final)
        head = self._heads.get(channel, _HEAD)
        foot = self._foot()
        for start, stop, end in lines:
            said += (head, utf8.mend(text[start:stop]))
            if end >= before:
                said.append(foot % (offset + end - before))
            else:  # a part of what was held back: the rest of it is still to be said
                self._rests[channel] = rest.after(end)
                said.append(self._foot() % offset)
                del self._rests[channel]
        if left < len(text):
            self._rests[channel] = rest.after(left)

    def _foot(self) -> bytes:
        """Return what ends an event as things are, with a hole for the offset."""
        return self._make_foot(self._begins()) if self._rests else self._bare

    def _make_foot(self, begins: tuple[tuple[Channel, int], ...]) -> bytes:
        run = self.run.replace("%", "%%")
        return f"\nid: {run}:%0{OFFSET_DIGITS}d{suffix(begins)}\n\n".encode()

    def _gap(self, chunk: Chunk, said: list[bytes | memoryview]) -> None:
        """Say what is left of unfinished lines, whose ends are gone, and then the gap."""
        if chunk.next >= self._offset:
            self._arrive()
        for channel in self._by_begin():
            rest = self._rests.pop(channel)
            text = rest.join()
            if self._returning:
                self._rests[channel] = _Rest(max(rest.begin, chunk.next))
            for start, stop, _ in _lines(text, self._most, final=True)[0]:
                line = utf8.mend(text[start:stop])
                said += (self._heads.get(channel, _HEAD), line, self._foot() % self._offset)
        self._offset = max(self._offset, chunk.next)
        value = {"offset": format_offset(chunk.offset), "next": format_offset(chunk.next)}
        said.append(event(compact(value), name="gap", id=event_id(self.run, self.place)))

    def _by_begin(self) -> list[Channel]:
        return sorted(self._rests, key=lambda channel: self._rests[channel].begin)

    def _expire(self, said: list[bytes | memoryview], final: bool) -> None:
        """Say what was held back too long, or all of it at the end."""
        if not self._rests:
            return
        for channel in self._by_begin():
            if final or self._rests[channel].begin < self._offset - self._reach:
                self._split(channel, self._offset, b"", said, final=True)


def _lines(text: bytes, most: int, final: bool) -> tuple[list[tuple[int, int, int]], int]:
    """Return the lines of a text as (start, stop, where it goes on), and where what is left begins.

    With `final`, nothing is left.
    """
    lines: list[tuple[int, int, int]] = []
    at, size = 0, len(text)
    while at < size:
        match = _LINE.match(text, at)
        assert match is not None  # it matches the empty text, too
        stop, end = match.end(1), match.end()
        ended = bool(match[3])
        if end == size and not ended and not final:
            if stop == at:
                return lines, size  # CRs alone: whatever follows, the line is the same without them
            if size - at <= most:
                return lines, at
            for part in _parts(text, at, stop, most, whole=False):
                lines.append((at, part, part))
                at = part
            if stop > at and size - at <= most:
                return lines, at
        for part in _parts(text, at, stop, most, whole=True):
            lines.append((at, part, part))
            at = part
        if ended or stop > at:
            lines.append((at, stop, end))
        at = end
    return lines, size


def _parts(text: bytes, start: int, stop: int, most: int, *, whole: bool) -> Iterator[int]:
    """Yield where to cut a long line, into parts of at most `most` bytes; U+FFFD counts as what it is."""
    if stop - start <= most // 3:
        return
    checked = text[start:stop] if whole else text[start : utf8.cut(text, stop)]
    if utf8.mend(checked) is not checked:
        most //= 3
    while stop - start > most:
        start = utf8.cut(text, start + most)
        yield start

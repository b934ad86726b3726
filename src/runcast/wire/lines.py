"""One event per line: the form for a small page with `onmessage`.

**Lines.** LF, CRLF and a lone CR end a line, since each of them would end a field of the event
stream anyway. So each state of a progress bar that is redrawn with CR is an event, sent at once. Any
number of CRs before a LF belong to it; a lone CR at the beginning of a line ends nothing. Whether a
CR is alone is known when the next byte of its channel arrives; until then its line is held back. A
line longer than `LINE_BYTES` is sent in parts, cut between characters. `partial_lines` sends the
beginning of an unfinished line, such as a prompt. The id of a part ends in `+`, and the rest of the
line is the next event of its channel. Bytes that are not UTF-8 become U+FFFD: an event stream is
UTF-8 by definition.

**Order and ids.** An event is sent when its line ends, in the order of the log. Its id is a resume
point (resume_point.py): the offset behind the line, and where the unfinished lines of other channels
begin. Resuming reads from the earliest such beginning. Up to the offset of the id it only collects
the unfinished lines and sends nothing. So a connection that breaks after or within any event loses
and repeats nothing, however the channels interleave, and the server keeps no state per viewer.

**Bounds.** A line that is still unfinished after `REACH` bytes of other channels is sent in parts
too, so resuming never reads further back than that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import accumulate
from typing import Final

from runcast import utf8
from runcast.model import Channel, Chunk, Reading
from runcast.offsets import OFFSET_DIGITS, format_offset
from runcast.wire.jsons import compact
from runcast.wire.resume_point import REACH, START, ResumePoint, event_id, suffix
from runcast.wire.sse import EVENT_BYTES, EventStream, event

__all__ = ["LINE_BYTES", "LineEvents"]

LINE_BYTES: Final = EVENT_BYTES - 512  # leaves room for the id and the event's name

_HEAD: Final = b"data: "
_CRS = 64  # held back behind a line of maximum length, since they may belong to its end
_LINE: Final = re.compile(rb"([^\r\n]*)(\r*)(\n?)")  # matches at every position, in linear time


class _Unfinished:
    """The unfinished line of one channel: its bytes, and where in the log they lie.

    If a part of the line was sent (`parted`), only the bytes behind that part.
    """

    def __init__(self, begin: int, *, parted: bool = False) -> None:
        self.begin = begin
        self.parted = parted
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

    def after(self, count: int, *, parted: bool) -> _Unfinished:
        """Return what is left without the first `count` bytes."""
        end = self.begin
        for index, (offset, piece) in enumerate(self._pieces):
            end = offset + len(piece)
            if count < len(piece):
                rest = _Unfinished(offset + count, parted=parted)
                rest.add(offset + count, bytes(piece[count:]))
                for following in self._pieces[index + 1 :]:
                    rest.add(*following)
                return rest
            count -= len(piece)
        return _Unfinished(end, parted=parted)


class LineEvents(EventStream):
    """Encodes each line as an event.

    Args:
        run: the id of the run.
        start: where to begin.
        named: give the lines of stderr and data event names of their own.
        line_bytes: the maximum length of a line in one event.
        reach: how many bytes of the log an unfinished line may span.
    """

    line_overhead = 64

    def __init__(
        self,
        run: str,
        start: ResumePoint = START,
        *,
        named: bool = False,
        line_bytes: int = LINE_BYTES,
        reach: int = REACH,
    ) -> None:
        super().__init__(run, start)
        self._offset = start.offset  # all lines that end before it were sent
        self._rests = {
            channel: _Unfinished(begin, parted=channel in start.parted) for channel, begin in start.begins
        }
        self._resuming = bool(self._rests)  # before `start`: lines are collected, not sent
        self._heads = {
            channel: b"event: %b\ndata: " % channel.value.encode()
            for channel in (Channel.STDERR, Channel.DATA)
            if named
        }
        self._bare = self._make_foot(ResumePoint(0))
        self.has_sizes = named
        self._most = line_bytes
        self._reach = reach

    @property
    def resume_point(self) -> ResumePoint:
        """The offset read up to, and where unfinished lines begin."""
        channels = sorted(self._rests)
        return ResumePoint(
            self._offset,
            tuple((channel, self._rests[channel].begin) for channel in channels),
            tuple(channel for channel in channels if self._rests[channel].parted),
        )

    def feed(self, reading: Reading, *, final: bool = False) -> bytes:
        """Encode the lines that a reading ends."""
        parts: list[bytes | memoryview] = []
        for chunk in reading.chunks:
            if chunk.channel is Channel.GAP:
                self._gap(chunk, parts)
            elif not self._resuming:
                self._chunk(chunk, parts)
            elif rest := self._collect(chunk):
                self._arrive()
                self._chunk(rest, parts)
        self.next = reading.next
        if self.next >= self._offset:
            self._offset = self.next
            self._arrive()
            self._expire(parts, final)
        return b"".join(parts)

    def _collect(self, chunk: Chunk) -> Chunk | None:
        """Collect unfinished lines before the resume point; return the part of the chunk behind it."""
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
        """End collecting: drop the beginnings in the id at which the log has no bytes."""
        if self._resuming:
            self._resuming = False
            self._rests = {channel: rest for channel, rest in self._rests.items() if rest.size or rest.parted}

    def _chunk(self, chunk: Chunk, parts: list[bytes | memoryview]) -> None:
        channel, offset, data = chunk.channel, chunk.offset, chunk.data
        self._offset = chunk.next
        whole = data.rfind(b"\n") + 1
        head = data.find(b"\n") + 1 if channel in self._rests else 0
        if head:
            self._split(channel, offset, data[:head], parts)
        if whole > head:
            self._many(channel, offset + head, data[head:whole] if whole - head < len(data) else data, parts)
        if whole < len(data):
            self._keep(channel, offset + whole, data[whole:], parts)

    def _keep(self, channel: Channel, offset: int, data: bytes, parts: list[bytes | memoryview]) -> None:
        """Hold back the bytes of an unfinished line, unless they contain a CR or are too many."""
        rest = self._rests.get(channel)
        if b"\r" in data or (rest and rest.ends_with_cr):
            self._split(channel, offset, data, parts)
            return
        rest = rest or self._rests.setdefault(channel, _Unfinished(offset))
        rest.add(offset, data)
        if rest.size > self._most:
            self._split(channel, offset + len(data), b"", parts)

    def _many(self, channel: Channel, offset: int, data: bytes, parts: list[bytes | memoryview]) -> None:
        """Encode whole lines at once, as one format string with a placeholder for each offset.

        That takes two thirds of the time of a loop. One id at the end of a burst would take a tenth
        of it, but then a connection that breaks inside the burst would repeat lines.
        """
        text = utf8.mend(data)
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        # Any line over the limit covers the middle: look for a line end there.
        long = len(text) > self._most and text.find(b"\n", len(text) - self._most, self._most) < 0
        if long or b"\r" in text:
            self._split(channel, offset, data, parts)
            return
        ends = tuple(accumulate(map(len, data.splitlines(keepends=True)), initial=offset))[1:]
        head = self._heads.get(channel, _HEAD)
        form = head + text.replace(b"%", b"%%").replace(b"\n", self._foot() + head)
        parts.append(memoryview(form % ends)[: -len(head)])

    def _split(
        self,
        channel: Channel,
        offset: int,
        data: bytes,
        parts: list[bytes | memoryview],
        *,
        final: bool = False,
        goes_on: bool = False,
    ) -> None:
        """Encode the lines that any bytes at `offset` end, together with those held back.

        With `final` nothing is held back, even if the last line `goes_on`.
        """
        rest = self._rests.pop(channel, None) or _Unfinished(offset)
        before = rest.size
        rest.add(offset, data)
        text = rest.join()
        lines, left = _lines(text, self._most, final, rest.parted)
        head = self._heads.get(channel, _HEAD)
        part = rest.parted
        for start, stop, end, part in lines:
            parts += (head, utf8.mend(text[start:stop]))
            part = part or (goes_on and end == len(text) and not text.endswith(b"\r"))
            if part or end < before:  # the rest of it is still to be sent
                self._rests[channel] = rest.after(end, parted=part)
            parts.append(self._foot(part) % max(offset + end - before, offset))
            self._rests.pop(channel, None)
        if left < len(text) or (part and (goes_on or not final)):
            self._rests[channel] = rest.after(left, parted=part)

    def _foot(self, part: bool = False) -> bytes:
        """Return the end of an event in the present state, with a placeholder for the offset."""
        return self._make_foot(self.resume_point, part=part) if self._rests else self._bare

    def _make_foot(self, point: ResumePoint, *, part: bool = False) -> bytes:
        run = self.run.replace("%", "%%")
        unfinished = suffix(point.begins, point.parted)
        return f"\nid: {run}:%0{OFFSET_DIGITS}d{unfinished}{'+' * part}\n\n".encode()

    def _gap(self, chunk: Chunk, parts: list[bytes | memoryview]) -> None:
        """Encode the unfinished lines, whose ends are gone, and then the gap."""
        if chunk.next >= self._offset:
            self._arrive()
        for channel in self._by_begin():
            rest = self._rests.pop(channel)
            text = rest.join()
            if self._resuming:
                self._rests[channel] = _Unfinished(max(rest.begin, chunk.next))
            for start, stop, _, part in _lines(text, self._most, True, rest.parted)[0]:
                line = utf8.mend(text[start:stop])
                parts += (self._heads.get(channel, _HEAD), line, self._foot(part) % self._offset)
        self._offset = max(self._offset, chunk.next)
        value = {"offset": format_offset(chunk.offset), "next": format_offset(chunk.next)}
        parts.append(event(compact(value), name="gap", id=event_id(self.run, self.resume_point)))

    def _by_begin(self) -> list[Channel]:
        return sorted(self._rests, key=lambda channel: self._rests[channel].begin)

    def _expire(self, parts: list[bytes | memoryview], final: bool) -> None:
        """Encode the lines that were held back too long, or all of them at the end."""
        if not self._rests:
            return
        for channel in self._by_begin():
            if final or self._rests[channel].begin < self._offset - self._reach:
                self._split(channel, self._offset, b"", parts, final=True, goes_on=not final)
                if (rest := self._rests.get(channel)) and not rest.size:
                    rest.begin = self._offset  # all its bytes before were sent

    @property
    def unfinished_lines(self) -> Mapping[Channel, int]:
        """The offset behind the unfinished line of each channel; empty while resuming."""
        if self._resuming or not self._rests:
            return {}
        return {channel: rest.begin + rest.size for channel, rest in self._rests.items() if rest.size}

    def partial_lines(self, channels: Collection[Channel]) -> bytes:
        """Encode the unfinished lines of some channels so far, as parts.

        An incomplete character, and a CR that may belong to the line's end, are held back.
        """
        parts: list[bytes | memoryview] = []
        for channel in self._by_begin():
            rest = self._rests[channel]
            text = rest.join()
            end = len(text[: utf8.cut(text)].rstrip(b"\r"))
            if channel not in channels or not end:
                continue
            self._rests[channel] = rest.after(end, parted=True)
            parts += (self._heads.get(channel, _HEAD), utf8.mend(text[:end]), self._foot(True) % self._offset)
        return b"".join(parts)


_Lines = list[tuple[int, int, int, bool]]


def _lines(text: bytes, most: int, final: bool, parted: bool) -> tuple[_Lines, int]:
    """Return the lines of a text, and where the remainder begins. With `final`, there is none.

    A CR at the beginning of a line ends nothing, unless a part of the line was sent (`parted`).

    A line is (start, stop, start of the next bytes, whether they continue this line).
    """
    lines: _Lines = []
    at, size = 0, len(text)
    while at < size:
        match = _LINE.match(text, at)
        assert match is not None  # it matches the empty text, too
        stop, end = match.end(1), match.end()
        ended = bool(match[3])
        if end == size and not ended and not final:
            if stop == at:  # only CRs: whatever follows, they do not change the line
                return lines, size - 1 if parted else size
            if stop - at > most:
                for part in _parts(text, at, stop, most, whole=False):
                    lines.append((at, part, part, True))
                    at = part
            if size - at <= most or size - stop <= _CRS:
                return lines, at
            lines.append((at, stop, stop, True))
            return lines, size - 1
        for part in _parts(text, at, stop, most, whole=True):
            lines.append((at, part, part, True))
            at = part
        if ended or stop > at or parted:
            lines.append((at, stop, end, False))
        at, parted = end, False
    return lines, size


def _parts(text: bytes, start: int, stop: int, most: int, *, whole: bool) -> Iterator[int]:
    """Yield where to cut a long line into parts of at most `most` bytes, counting U+FFFD as encoded."""
    if stop - start <= most // 3:
        return
    checked = text[start:stop] if whole else text[start : utf8.cut(text, stop)]
    if utf8.mend(checked) is not checked:
        most //= 3
    while stop - start > most:
        start = utf8.cut(text, start + most)
        yield start

"""A live reply: one run in one form, as steps that yield a `Wait` where they would block.

Owns the order of what a viewer gets: the preamble, bursts of output, changes of state, heartbeats,
the end. Steps never wait: a thread drives them by pull.py, an event loop by feeds.py, and either has
one set of steps for all viewers at the same position.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Hashable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import NamedTuple

from runcast.errors import FileDamaged, RunElsewhere, RunNotFound, SegmentAway, StreamNotFound
from runcast.log.fetch import Fetch
from runcast.model import CHUNK_BYTES, Channel, Chunk, Note, Reading, State, TerminalSize
from runcast.readers import Steps, Wait, hub
from runcast.run import Run
from runcast.run.base import files_of
from runcast.web.http.response_stream import ResponseStream
from runcast.web.live.line_timers import LineTimers
from runcast.web.live.until import Line, Until
from runcast.web.live.watched import unwatched_seconds
from runcast.wire.encoder import Encoder
from runcast.wire.jsons import note_json
from runcast.wire.negotiation import outcome_fields
from runcast.wire.resume_point import START, ResumePoint

__all__ = ["CUT_SHORT", "KEEPALIVE_SECONDS", "LogStream", "LogView", "before_offset"]

# What ends a reply that has begun: the log was removed, damaged, belongs to another host, or is not here.
CUT_SHORT = (FileDamaged, RunElsewhere, RunNotFound, SegmentAway, StreamNotFound)
KEEPALIVE_SECONDS = 15.0  # the longest silence of a reply; proxies cut after 60 s
_CHECK_SECONDS = 1.0  # between checks that the supervisor is alive
_FIRST_CHECK_SECONDS = 0.005  # before the first, of a run that has begun just now
_STEP_BYTES = 1024 * 1024  # a viewer that stops reading holds the bytes of its last step: no more than this …
_SURE_BYTES = 4096  # … which so little output never exceeds by much, with 200 bytes around each of its lines


@dataclass(frozen=True)
class LogView:
    """The parameters of a viewer's reply.

    Attributes:
        run: the run.
        form: all that decides the bytes of the reply: format, channels and the like.
        encoder: makes an encoder for a resume point.
        resume_point: where to begin.
        channels: the channels to read; None for all.
        follow: whether to wait for more at the tail.
        status: returns the run as JSON values.
        until: the offset at which to end, for a part of a log.
        keepalive: seconds of silence after which a heartbeat is sent; None for never.
        interval: seconds of silence after which a visible line is sent; None for never.
        kind: the name of such viewers in the metrics.
        partial: whether an unfinished line is sent once it has not grown for a while.
        last_line: makes the search for the line with which the reply ends, from a resume point on; or None.
        trailers: whether the outcome goes into the trailers of the reply, where there can be some.
        new: whether the run has begun just now: then output comes before a look at its state.
    """

    run: Run
    form: Hashable
    encoder: Callable[[ResumePoint], Encoder]
    status: Callable[[], Mapping[str, object]]
    resume_point: ResumePoint = START
    channels: frozenset[Channel] | None = None
    follow: bool = True
    until: int | None = None
    keepalive: float | None = KEEPALIVE_SECONDS
    interval: float | None = None
    interval_text: str = field(default="*** Interval")
    kind: str = "text"
    trailers: bool = False
    partial: bool = False
    last_line: Callable[[ResumePoint], Until] | None = None
    new: bool = False


class _Snapshot(NamedTuple):
    key: tuple[ResumePoint, int]
    state: object
    progress: dict[str, object] | None
    notes: list[Note]
    size: TerminalSize | None


class LogStream(ResponseStream):
    """The reply of one viewer of a run's log."""

    def __init__(self, view: LogView) -> None:
        self.view = view
        self.kind = view.kind
        self.form = (files_of(view.run).path, view.form, view.until)
        self._until: Until | None = None
        self._line: Line | None = None  # with which the reply ends
        if view.last_line is not None:
            self._until, self.form = view.last_line(view.resume_point), id(self)
        self.log = view.run.log()
        self.encoder = view.encoder(view.resume_point)
        self._state: object = None
        self._progress: dict[str, object] | None = None
        self._notes: list[Note] = []
        self._size: TerminalSize | None = None  # that was sent last
        self._has_sizes = self.encoder.has_sizes and bool(view.run.tty)
        self._noted = time.monotonic() if view.new else 0.0  # a run that begins has not been without one
        self._away: SegmentAway | None = None  # what the last reading lacked on this disk
        self._limit = CHUNK_BYTES  # of one reading
        self._line_timers = LineTimers()
        self._note_every = unwatched_seconds(view.run) / 4

    def _note(self, now: float) -> None:
        """Note that there is a viewer, where the run ends without one."""
        if self._note_every and now - self._noted >= self._note_every:
            self._noted = now
            files_of(self.view.run).touch_watched()

    @property
    def offset(self) -> int:  # type: ignore[override]
        """How far it has read."""
        return self.encoder.next

    @property
    def position(self) -> Hashable:
        """The resume point and the offset: unfinished lines count, and the size of a terminal."""
        return self.encoder.key, self._size

    @property
    def trailers(self) -> Mapping[str, str] | None:
        """The outcome, if it was requested; empty while there is none."""
        if not self.view.trailers:
            return None
        return outcome_fields(self.view.run.outcome)

    def copy(self) -> LogStream:
        """Return the stream of another viewer at the same position."""
        other = copy(self)
        other.log = self.view.run.log()
        other.encoder = self.view.encoder(self.encoder.resume_point)
        other._line_timers = LineTimers()
        if self._until is not None:
            other._until, other.form = self._until.begun_at(self.encoder.resume_point.offset), id(other)
        return other

    @property
    def snapshot(self) -> _Snapshot | None:
        """The position, and the state, progress and size that were sent last."""
        if self._until is not None:  # it has one viewer
            return None
        return _Snapshot(self.encoder.key, self._state, self._progress, self._notes, self._size)

    def resumed_at(self, snapshot: object) -> LogStream:
        """Return the stream of another viewer, at a snapshot that this one has passed."""
        assert isinstance(snapshot, _Snapshot)
        other = copy(self)
        other.log = self.view.run.log()
        other.encoder = self.view.encoder(snapshot.key[0])
        other._state, other._progress = snapshot.state, snapshot.progress
        other._notes, other._size = snapshot.notes, snapshot.size
        other._line_timers = LineTimers()
        other.finished = other.cut = False  # this one may have ended meanwhile
        return other

    def _read(self) -> Reading:
        offset, until = self.encoder.next, self._line.next if self._line else self.view.until
        limit = self._limit if until is None else min(self._limit, until - offset)
        if limit <= 0:
            return Reading([], offset)
        self._away = None
        try:
            reading = self.log.read(offset, limit, self.view.channels, labelled=self.encoder.labelled)
        except SegmentAway as away:
            self._away = away
            return Reading([], offset)
        return self._up_to_resize(reading)

    def _searched(self, reading: Reading) -> Generator[Wait, None, Reading]:
        """Return what of a reading may be sent, once it was searched: up to the last line."""
        if self._until is None or self._line is not None or reading.next == self.encoder.next:
            return reading
        self._line = yield from self._until.up_to(reading.next)
        return reading if self._line is None else before_offset(reading, self._line.next)

    def _up_to_resize(self, reading: Reading) -> Reading:
        """Return the part of a reading that was written for one size of the terminal."""
        if self._has_sizes:  # those behind it were recorded before it was written, so they are known by now
            for size in self.view.run.sizes:
                if self.encoder.next < size.offset < reading.next:
                    return before_offset(reading, size.offset)
        return reading

    def _resized(self) -> bytes:
        """Return the encoded size of the terminal from here on, where that was not sent."""
        if not self._has_sizes or (size := self._size_here()) == self._size:
            return b""
        self._size = size
        return self.encoder.resize(size)

    def _size_here(self) -> TerminalSize:
        sizes = self.view.run.sizes
        return [size for size in sizes if size.offset <= self.encoder.next][-1]

    def _preamble(self) -> bytes:
        """Return the description of the run, with the size that its terminal has where the reply begins."""
        status = self.view.status()
        if self._has_sizes:
            self._size = self._size_here()
            status = {**status, "columns": self._size.columns, "rows": self._size.rows}
        return self.encoder.preamble(status)

    def _encode(self, reading: Reading) -> bytes:
        """Encode a reading, or the beginning of it where the whole would exceed `_STEP_BYTES`.

        Lines of one byte are 30 times as long as events: 64 KiB of them take 9 ms, in which no viewer is
        served. So lines are counted first. What was still too much is encoded again, as for a viewer that
        reconnects.
        """
        encoder, before = self.encoder, self.encoder.next
        size = reading.next - before
        if size < _SURE_BYTES or not encoder.has_updates:
            return encoder.feed(reading)
        if encoder.line_overhead:
            expected = size + encoder.line_overhead * sum(chunk.data.count(b"\n") for chunk in reading.chunks)
            if expected > _STEP_BYTES:
                self._limit = max(size * _STEP_BYTES // (2 * expected), _SURE_BYTES)
                reading = self._up_to_resize(self.log.read(before, self._limit, self.view.channels))
                size = reading.next - before
        resume_point = encoder.resume_point
        data = encoder.feed(reading)
        while len(data) > _STEP_BYTES and size > _SURE_BYTES:
            size //= 4
            self.encoder = encoder = self.view.encoder(resume_point)
            data = b""
            while encoder.next <= before:
                limit = before + size - encoder.next
                data += encoder.feed(self.log.read(encoder.next, limit, self.view.channels))
            self._limit = size
        if self._limit < CHUNK_BYTES and len(data) < _STEP_BYTES // 8:
            self._limit *= 2
        return data

    def _updates(self) -> bytes:
        """Return the encoded changes of state and progress since the last call."""
        directory = files_of(self.view.run)
        written = directory.state()
        state = written.get("state") or State.STARTING.value, written.get("waiting"), written.get("place")
        progress, notes = directory.progress(), directory.notes()
        data = b""
        if self._state is not None:  # the preamble has the first of both
            if state != self._state:
                data += self.encoder.update("state", self.view.status())
            if progress is not None and progress != self._progress:
                data += self.encoder.update("progress", progress)
            if notes != self._notes and state == self._state:  # else they came with it
                known = self._notes[-1].time if self._notes else 0.0
                news = [note for note in notes if note not in self._notes and note.time >= known]
                data += b"".join(self.encoder.update("note", note_json(note)) for note in news)
        self._state, self._progress, self._notes = state, progress, notes
        return data

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        """Yield the bytes of the reply until it ends; without `begin`, those after the preamble."""
        view = self.view
        if begin and self.encoder.has_updates:
            self._updates()
            yield self._preamble()
        watch = hub().watch(self.log) if view.follow else None
        sent_at = output_at = time.monotonic()
        ending = woken = False
        fetch = Fetch(self.log, follows=view.follow)
        # Whether to read the run's state: not at each append of a fast one, nor before its first.
        check, folder_changes = not view.new, 0
        unchecked = view.new
        try:
            while not self.stopping and not self.finished:
                self._note(time.monotonic())
                seen = [(watch, watch.version)] if watch else []
                before = self.encoder.next
                reading = yield from self._searched(self._read())
                resized = self._resized()  # after the read, before its bytes
                if reading.next != before:
                    data = resized + self._encode(reading)
                    woken = False
                    if view.partial:  # also while another channel keeps growing
                        data += self._line_timers.take(self.encoder, time.monotonic())
                    yield data  # empty where a filter left all of it out: others have their turn
                    if data:  # … which is silence for the viewer with the filter
                        sent_at = output_at = time.monotonic()
                    check, unchecked = check or unchecked, False
                    if check or resized or self._until is not None or not self.log.had_all(self.encoder.next):
                        continue
                if self._away is not None:
                    if watch is None:
                        watch = hub().watch(self.log)
                        continue
                    wait = fetch.ask(self._away)
                    if view.keepalive is not None and time.monotonic() - sent_at >= view.keepalive:
                        yield self.encoder.heartbeat()
                        sent_at = time.monotonic()
                    yield Wait(seen, wait, away=True)
                    continue
                if self._line is not None or (self._until is not None and self._until.stopped):
                    self.finished = True
                    yield resized + self._end_of_search()
                    return
                if resized:
                    yield resized
                    sent_at = time.monotonic()
                    continue
                if watch and (changes := watch.folder_changes()) != folder_changes:
                    check, folder_changes = True, changes
                if check and woken and not ending:
                    view.run.settle()
                if check and not ending and self.log.closed:
                    ending = True
                    continue  # output may have come between the read and the end
                if ending or not view.follow:
                    if self._until is not None:
                        self._line = yield from self._until.last()
                    self.finished = True
                    yield self._last(reading, ending)
                    return
                if self._until is not None and (line := (yield from self._until.rested())):
                    self._line = line
                    continue
                now = time.monotonic()
                if view.partial and (part := self._line_timers.take(self.encoder, now)):
                    yield part
                    sent_at = output_at = now
                    continue
                if check and self.encoder.has_updates and (changed := self._updates()):
                    yield changed
                    sent_at = now
                elif view.interval is not None and now - output_at >= view.interval:
                    yield self.encoder.notice(view.interval_text)
                    sent_at = output_at = now
                elif view.keepalive is not None and now - sent_at >= view.keepalive:
                    yield self.encoder.heartbeat()
                    sent_at = now
                wait = min(_CHECK_SECONDS, self._note_every or _CHECK_SECONDS)
                if unchecked:  # it may have ended before it was watched
                    wait, unchecked = _FIRST_CHECK_SECONDS, False
                if view.interval is not None:
                    wait = min(wait, max(view.interval - (now - output_at), 0.001))
                if view.partial:
                    wait = min(wait, self._line_timers.wait(now))
                view.run.want(self.encoder.next)
                yield Wait(seen, wait)
                woken = True
                check = watch is not None and seen == [(watch, watch.version)]  # a wake-up may be lost
            if not self.finished:
                self.finished = True
                data = self.encoder.restart()
                # A reader of plain text must not take this for the end.
                self.cut = not data and not self.encoder.restarts_silently
                yield data
        except CUT_SHORT:  # since it began: the next request gets the error
            self.finished = self.cut = True
        finally:
            if watch:
                watch.close()
            self.log.close()

    def _end_of_search(self) -> bytes:
        """Return the line that was found, as far as it was held back, and that it is the last; or why not."""
        assert self._until is not None
        if self._line is None:
            return self.encoder.until({"found": False, "stopped": self._until.stopped})
        rest = self.encoder.partial_lines([self._line.channel])
        return rest + self.encoder.until({"found": True, **self._line.value})

    def _last(self, reading: Reading, closed: bool) -> bytes:
        """Return what was held back, and how the run ended if it has."""
        rest = self.encoder.feed(reading, final=closed or self._line is not None)
        if self._until is not None:
            rest += self._end_of_search()
            if self._line is not None:
                return rest
        outcome = self.view.run.outcome
        if not closed or outcome is None or self.view.until is not None:
            return rest
        return rest + self.encoder.exit(self.view.run.state, outcome)


def before_offset(reading: Reading, offset: int) -> Reading:
    """Return the part of a reading before an offset; a gap around it stays whole."""
    chunks: list[Chunk] = []
    for chunk in reading.chunks:
        if chunk.offset >= offset:
            break
        if chunk.next > offset and chunk.channel is Channel.GAP:
            return Reading([*chunks, chunk], chunk.next)
        part = chunk.data[: offset - chunk.offset]
        chunks.append(chunk if chunk.next <= offset else chunk._replace(next=offset, data=part))
    return Reading(chunks, offset)

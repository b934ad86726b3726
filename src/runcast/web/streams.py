"""A live reply: one run in one form, as steps that say when they would wait.

Owns the order of what a viewer gets: how it begins, bursts of output, changes of state, signs of
life, how it ends. Steps never wait; a thread drives them by `pull`, an event loop by `feeds.py`.
In both, one set of steps serves everybody who is at the same place (for threads, shared.py knows
how). A `Viewing` is what those need to know, so that the list of runs (lists.py) is fed in the same way.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Generator, Hashable, Iterator, Mapping
from contextlib import closing
from copy import copy
from dataclasses import dataclass, field
from errno import ECONNRESET
from typing import NamedTuple

from runcast.errors import FileDamaged, RunElsewhere, RunNotFound, StreamNotFound
from runcast.model import CHUNK_BYTES, Channel, Reading, State
from runcast.readers import Steps, Wait, hub
from runcast.run import Run
from runcast.web.shared import Seat, patience, take_seat
from runcast.web.shutdown import end_with_server, stopping
from runcast.wire.encoder import Encoder
from runcast.wire.formats import outcome_fields
from runcast.wire.place import START, Place

__all__ = ["CUT_SHORT", "KEEPALIVE_SECONDS", "LogViewing", "Stream", "Viewing", "pull", "pull_async"]

# What ends a reply that has begun: the log was removed, damaged, or belongs to another host.
CUT_SHORT = (FileDamaged, RunElsewhere, RunNotFound, StreamNotFound)
KEEPALIVE_SECONDS = 15.0  # how long a viewer may hear nothing; proxies cut after 60 s
_LOOK_SECONDS = 1.0  # how often is asked whether the supervisor still lives
_STEP_BYTES = 1024 * 1024  # a viewer that stops reading keeps what its last step said: no more than this …
_SURE_BYTES = 4096  # … which so little output never exceeds by much, with 200 bytes around each of its lines


class Viewing(ABC):
    """One viewer's way through what it asked for.

    Attributes:
        kind: what the metrics call it.
        form: two viewings of equal form get the same bytes from the same place on.
        offset: how far it has read.
        stopping: set to have the steps end at the next chance, telling the viewer to come back.
        finished: whether the last bytes were given out.
        cut: whether it ended in the middle, without a word of it: then the connection must be cut, too.
        confirms: whether going on after bytes means that the viewer took them.
    """

    kind: str = "list"
    form: Hashable
    offset: int
    stopping: bool = False
    finished: bool = False
    cut: bool = False
    confirms: bool = False

    @property
    @abstractmethod
    def place(self) -> Hashable:
        """Where it is: equal places, equal bytes from here on."""

    @property
    def mark(self) -> object:
        """The place, and what was said beside the log: where `at` goes on. None: threads share nothing."""
        return None

    def at(self, mark: object) -> Viewing:
        """Return the viewing of another viewer, at a mark that this one has passed."""
        raise NotImplementedError("expected only viewings with a mark to be asked for one at it")

    @property
    def trailers(self) -> Mapping[str, str] | None:
        """The fields behind the reply; None where it has none, whatever happens."""
        return None

    @abstractmethod
    def copy(self) -> Viewing:
        """Return the viewing of another viewer at the same place."""

    @abstractmethod
    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        """Give the bytes of the reply until it ends; without `begin`, those after its beginning."""


@dataclass(frozen=True)
class Stream:
    """What a viewer of a run asked for.

    Attributes:
        run: the run.
        form: what decides how the log is said: format, channels and the like.
        encoder: makes an encoder for a place.
        place: where to begin.
        channels: the channels to read; None for all.
        follow: whether to wait for more at the tail.
        status: returns the run as JSON values.
        until: the offset at which to end, for a part of a log.
        keepalive: seconds of silence after which a sign of life is given; None for never.
        interval: seconds of silence after which a visible line is given; None for never.
        kind: what the metrics call the viewer.
        trailers: whether the outcome goes into the trailers of the reply, where there can be some.
    """

    run: Run
    form: Hashable
    encoder: Callable[[Place], Encoder]
    status: Callable[[], Mapping[str, object]]
    place: Place = START
    channels: frozenset[Channel] | None = None
    follow: bool = True
    until: int | None = None
    keepalive: float | None = KEEPALIVE_SECONDS
    interval: float | None = None
    interval_text: str = field(default="*** Interval")
    kind: str = "text"
    trailers: bool = False


class _Mark(NamedTuple):
    key: tuple[Place, int]
    state: object
    progress: dict[str, object] | None


class LogViewing(Viewing):
    """A viewer's way through the log of a run."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.kind = stream.kind
        self.form = (stream.run.directory.path, stream.form, stream.until)
        self.log = stream.run.open_log()
        self.encoder = stream.encoder(stream.place)
        self._state: object = None
        self._progress: dict[str, object] | None = None
        self._noted = 0.0
        self._limit = CHUNK_BYTES  # of one reading
        self._note_every = float(stream.run.request.get("stop_unwatched") or 0) / 4

    def _note(self, now: float) -> None:
        """Note that somebody watches, where the run ends if nobody does."""
        if self._note_every and now - self._noted >= self._note_every:
            self._noted = now
            self.stream.run.directory.touch_watched()

    @property
    def offset(self) -> int:  # type: ignore[override]
        """How far it has read."""
        return self.encoder.next

    @property
    def place(self) -> Hashable:
        """Where it is, unfinished lines included."""
        return self.encoder.key

    @property
    def trailers(self) -> Mapping[str, str] | None:
        """The outcome, for those who asked for it; empty while there is none."""
        if not self.stream.trailers:
            return None
        return outcome_fields(self.stream.run.outcome)

    def copy(self) -> LogViewing:
        """Return the viewing of another viewer at the same place."""
        other = copy(self)
        other.log = self.stream.run.open_log()
        other.encoder = self.stream.encoder(self.encoder.place)
        return other

    @property
    def mark(self) -> _Mark:
        """Where it is, and the state and progress that were told last."""
        return _Mark(self.encoder.key, self._state, self._progress)

    def at(self, mark: object) -> LogViewing:
        """Return the viewing of another viewer, at a mark that this one has passed."""
        assert isinstance(mark, _Mark)
        other = copy(self)
        other.log = self.stream.run.open_log()
        other.encoder = self.stream.encoder(mark.key[0])
        other._state, other._progress = mark.state, mark.progress
        other.finished = other.cut = False  # this one may have ended meanwhile
        return other

    def _read(self) -> Reading:
        offset, until = self.encoder.next, self.stream.until
        limit = self._limit if until is None else min(self._limit, until - offset)
        if limit <= 0:
            return Reading([], offset)
        return self.log.read(offset, limit, self.stream.channels, labelled=self.encoder.labelled)

    def _say(self, reading: Reading) -> bytes:
        """Say a reading, or the beginning of it where the whole would be more than a step may say.

        Lines of one byte are 60 times as long as events. What was said too much is said again from
        the place before it, as to a viewer that comes back.
        """
        encoder, before = self.encoder, self.encoder.next
        size = reading.next - before
        if size < _SURE_BYTES or not encoder.tells:
            return encoder.feed(reading)
        place = encoder.place
        said = encoder.feed(reading)
        while len(said) > _STEP_BYTES and size > _SURE_BYTES:
            size //= 4
            self.encoder = encoder = self.stream.encoder(place)
            said = b""
            while encoder.next <= before:
                limit = before + size - encoder.next
                said += encoder.feed(self.log.read(encoder.next, limit, self.stream.channels))
            self._limit = size
        if self._limit < CHUNK_BYTES and len(said) < _STEP_BYTES // 8:
            self._limit *= 2
        return said

    def _news(self) -> bytes:
        """Say a change of state or progress since the last call."""
        directory = self.stream.run.directory
        state = directory.state().get("state") or State.STARTING.value
        progress = directory.progress()
        said = b""
        if self._state is not None:  # the first of both is in what is said of the run at the beginning
            if state != self._state:
                said += self.encoder.tell("state", self.stream.status())
            if progress is not None and progress != self._progress:
                said += self.encoder.tell("progress", progress)
        self._state, self._progress = state, progress
        return said

    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        """Give the bytes of the reply until it ends; without `begin`, those after its beginning."""
        stream = self.stream
        if begin and self.encoder.tells:
            self._news()
            yield self.encoder.hello(stream.status())
        watch = hub().watch(self.log) if stream.follow else None
        told = heard = time.monotonic()
        ending = woken = False
        look, looked = True, 0  # whether to ask how the run stands: not at each append of a fast one
        try:
            while not self.stopping and not self.finished:
                self._note(time.monotonic())
                seen = [(watch, watch.version)] if watch else []
                before = self.encoder.next
                reading = self._read()
                if reading.next != before:
                    data = self._say(reading)
                    woken = False
                    yield data  # empty where a filter left all of it out: so that others have their turn
                    if data:  # … and silence to who asked for the filter
                        told = heard = time.monotonic()
                    continue
                if watch and (now_told := watch.told) != looked:
                    look, looked = True, now_told
                if look and woken and not ending:
                    stream.run.settle()
                if look and not ending and self.log.closed:
                    ending = True
                    continue  # its last words may have come between the read and the end
                if ending or not stream.follow:
                    self.finished = True
                    yield self._last(reading, ending)
                    return
                now = time.monotonic()
                if look and self.encoder.tells and (changed := self._news()):
                    yield changed
                    told = now
                elif stream.interval is not None and now - heard >= stream.interval:
                    yield self.encoder.remark(stream.interval_text)
                    told = heard = now
                elif stream.keepalive is not None and now - told >= stream.keepalive:
                    yield self.encoder.beat()
                    told = now
                wait = min(_LOOK_SECONDS, self._note_every or _LOOK_SECONDS)
                if stream.interval is not None:
                    wait = min(wait, max(stream.interval - (now - heard), 0.001))
                stream.run.want(self.encoder.next)
                yield Wait(seen, wait)
                woken = True
                look = watch is not None and seen == [(watch, watch.version)]  # silence: news may be lost
            if not self.finished:
                self.finished = True
                said = self.encoder.restart()
                self.cut = not said  # plain text: who reads it must not take this for the end
                yield said
        except CUT_SHORT:  # since it began: whoever comes again is told
            self.finished = self.cut = True
        finally:
            if watch:
                watch.close()
            self.log.close()

    def _last(self, reading: Reading, closed: bool) -> bytes:
        """Say what was held back, and how the run ended if it has."""
        rest = self.encoder.feed(reading, final=closed)
        outcome = self.stream.run.outcome
        if not closed or outcome is None or self.stream.until is not None:
            return rest
        return rest + self.encoder.exit(self.stream.run.state, outcome)


def pull(viewing: Viewing, gone: Callable[[], bool] = lambda: False) -> Iterator[bytes]:
    """Yield the bytes of a live reply, blocking this thread while there are none.

    Args:
        viewing: the viewer's.
        gone: says whether the viewer has left; asked while there is nothing to say.
    """
    own: Viewing | None = viewing
    begin = True
    while own is not None:
        last = own
        seat = yield from _alone(own, gone, begin=begin)
        if seat is None:
            break
        with closing(seat):
            for data in seat:
                if data:
                    yield data
                elif gone():
                    return
            last, own, begin = seat.viewing, seat.rest(), False
    viewing.stopping = viewing.stopping or last.stopping
    _cut_off(last)


def _alone(viewing: Viewing, gone: Callable[[], bool], *, begin: bool) -> Generator[bytes, None, Seat | None]:
    """Yield what a viewer's own steps say, until it can go on with others; None where it ends by itself."""
    steps = viewing.steps(begin=begin)
    seat = None
    try:
        for step in steps:
            if not isinstance(step, Wait):
                if step:
                    yield step
                if viewing.confirms and gone():
                    return None
                continue
            if seat := take_seat(viewing, steps, step):
                return seat
            hub().wait(step.seen, patience(viewing, step))
            if gone():
                return None
            viewing.stopping = viewing.stopping or stopping()
        return None
    finally:
        if seat is None:
            steps.close()


async def pull_async(viewing: Viewing) -> AsyncIterator[bytes]:
    """Yield the bytes of a live reply, for a framework that wants them from an asynchronous iterator.

    It has no word for a viewer who left: the framework cancels. Nor for a reply that ends in the
    middle: then it is as if the viewer had left.
    """
    end_with_server()
    with closing(viewing.steps()) as steps:
        for step in steps:
            if not isinstance(step, Wait):
                if step:
                    yield step
                continue
            await hub().wait_async(step.seen, step.timeout)
            viewing.stopping = viewing.stopping or stopping()
    if viewing.cut:
        import asyncio

        raise asyncio.CancelledError


def _cut_off(viewing: Viewing) -> None:
    """End the connection, too, where the reply ends in the middle; servers say nothing of this error."""
    if viewing.cut:
        raise ConnectionResetError(ECONNRESET, "the server ends, and this reply with it")

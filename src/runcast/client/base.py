"""A remote run: everything but the waiting.

Owns what is asked of the server and what is made of its answers, as steps (acts.py). What a run
is known to be is what the server told last: looking at it asks nothing; `refresh` does, and so
do `follow` and `wait` on their way.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from signal import valid_signals
from typing import TYPE_CHECKING, Any, TypeVar, cast

from runcast.client.acts import Asking, Call, Query, Steps
from runcast.client.following import Event, Following, parse_time, to_chunk
from runcast.client.server import OF_A_RUN, Server
from runcast.errors import (
    RunFailed,
    StartFailed,
    UsageError,
    WaitTimeout,
)
from runcast.model import Channel, Chunk, Outcome, Reason, State
from runcast.readers.lines import Lines

if TYPE_CHECKING:
    from runcast.run_base import Channels

__all__ = ["PATIENCE", "RemoteRunBase"]

PATIENCE = 60.0  # seconds without a word of the server
_STDIN_BYTES = 512 * 1024  # in one request
_NEWS = ("run", "state", "progress", "exit")
_PLACES = ("offset", "tail", "tail_bytes", "line", "since")


Value = TypeVar("Value")


def _channel_query(asked: Channels) -> Query:
    if asked is None:
        return ()
    try:
        channels = sorted(map(Channel, [asked] if isinstance(asked, str) else asked))
    except ValueError:
        raise UsageError(f"expected channels among stdout, stderr and data, got {asked!r}") from None
    return (("channel", ",".join(channels)),) if channels else ()


class RemoteRunBase:
    """What is known of a run on a server. Use `RemoteRun` or `AsyncRemoteRun`."""

    def __init__(self, server: Server, told: dict[str, Any], *, patience: float, check: bool = False) -> None:
        self._server = server
        self._told = told
        self._patience = patience
        self._check = check

    @property
    def id(self) -> str:
        """The id: sortable by time, unguessable."""
        return str(self._told["id"])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.outcome or self.state}>"

    @property
    def url(self) -> str:
        """Its page on the server."""
        return f"{self._server}runs/{self.id}"

    @property
    def name(self) -> str:
        """The name it was given; else that of its program."""
        return str(self._told["name"])

    @property
    def command(self) -> list[str]:
        """The arguments, program first."""
        return list(self._told["command"])

    @property
    def created_at(self) -> float:
        """When it was asked for, in seconds since the epoch."""
        return parse_time(self._told["created_at"]) or 0.0

    @property
    def started_at(self) -> float | None:
        """When the command started, in seconds since the epoch."""
        return parse_time(self._told.get("started_at"))

    @property
    def pid(self) -> int | None:
        """The process id of the command, there; None if it has not started, or could not be."""
        return cast("int | None", self._told.get("pid"))

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it went on when the server told last."""
        told = self._told.get("outcome")
        if told is None:
            return None
        return Outcome.from_json(told | {"ended_at": parse_time(told.get("ended_at")) or 0.0})

    @property
    def state(self) -> State:
        """Where it was in its life when the server told last."""
        return State(self._told["state"])

    @property
    def elsewhere(self) -> str | None:
        """The name of the host that it belongs to, where that is another one than the server's."""
        return cast("str | None", self._told.get("elsewhere"))

    @property
    def progress(self) -> dict[str, Any] | None:
        """What a function last told of its progress: `done`, `total`, `text`, `time`."""
        return cast("dict[str, Any] | None", self._told.get("progress"))

    @property
    def damaged(self) -> str | None:
        """What is wrong with its files there, in one sentence; None if nothing is."""
        return cast("str | None", self._told.get("damaged"))

    @property
    def closed(self) -> bool:
        """Whether no more output will ever come."""
        return bool(self._told["closed"])

    @property
    def tail_offset(self) -> int:
        """How many bytes of output there were when the server told last."""
        return int(self._told["tail_offset"])

    def to_json(self) -> dict[str, Any]:
        """Return what the server told last, as JSON values; times are RFC 3339, in UTC."""
        return dict(self._told)

    def _take(self, told: Mapping[str, Any]) -> None:
        """Note what the server told: of the whole run, or of its progress or end."""
        news = {key: value for key, value in told.items() if key not in ("event", "offset")}
        if told.get("event") == "progress":
            news = {"progress": news}
        elif told.get("event") == "exit":
            ended = told["outcome"] and told["outcome"].get("ended_at")
            news |= {"closed": True, "tail_offset": told["offset"], "ended_at": ended}
        self._told = self._told | news

    # What is asked of the server

    def _refresh_asking(self) -> Asking[None]:
        answer = yield Call("GET", f"/runs/{self.id}")
        self._take(self._server.value(answer, self.id, having=OF_A_RUN))

    def _verb_asking(self, verb: str, asked: Mapping[str, Any]) -> Asking[None]:
        answer = yield Call("POST", f"/runs/{self.id}/{verb}", body=json.dumps(asked).encode(), json=True)
        if told := self._server.value(answer, self.id, 200, 202, 204):
            self._take(told)

    def _stop_asking(self, grace: float, number: int) -> Asking[None]:
        if not 0 <= grace < math.inf:
            raise UsageError(f"expected a grace of 0 seconds or more, got {grace}")
        return self._verb_asking("stop", {"signal": _signal(number), "grace": grace})

    def _signal_asking(self, number: int) -> Asking[None]:
        return self._verb_asking("signal", {"signal": _signal(number)})

    def _send_asking(self, data: bytes | str, eof: bool) -> Asking[None]:
        payload = data.encode() if isinstance(data, str) else data
        starts = range(0, len(payload), _STDIN_BYTES) or (0,)
        for start in starts:
            last = start == starts[-1]
            query: Query = (("eof", "1"),) if eof and last else ()
            piece = payload[start : start + _STDIN_BYTES]
            answer = yield Call("POST", f"/runs/{self.id}/stdin", query, piece, timeout=None)
            self._server.value(answer, self.id, 204)

    def _until_asking(self, ready: Callable[[], Value | None], timeout: float | None) -> Asking[Value | None]:
        """Return what `ready` returns as soon as that is not None; None when the time is over first."""
        if (now := ready()) is not None:
            return now
        deadline = None if timeout is None else time.monotonic() + timeout
        found: list[Value | None] = []

        def hear(event: Event) -> tuple[()]:
            if event.get("event") in _NEWS:
                self._take(event)
                found[:] = [ready()]
            late = deadline is not None and time.monotonic() >= deadline
            following.done = late or (found != [] and found[0] is not None)
            return ()

        # The end is told whatever the channel, and a command writes nothing to this one.
        following: Following[Any] = Following(
            self._server,
            self.id,
            hear,
            query=(("channel", Channel.DATA.value),),
            place=(("offset", "now"),),
            tick=timeout,
            patience=self._patience,
        )
        yield from following.steps()
        return found[0] if found else None

    def _wait_asking(self, timeout: float | None) -> Asking[Outcome | None]:
        return self._until_asking(lambda: self.outcome, timeout)

    def _started_asking(self, timeout: float | None) -> Asking[bool | None]:
        return self._until_asking(lambda: self.pid is not None or self.outcome is not None or None, timeout)

    def _follow_steps(
        self,
        hear: Callable[[Chunk | None], Iterable[Value]],
        timeout: float | None,
        channel: Channels,
        place: Mapping[str, Any],
        *,
        follow: bool = True,
    ) -> Steps[Value]:
        """Look at the arguments now, and return the steps that give what `hear` makes of the chunks.

        `hear` also gets None after each `timeout` of silence.
        """
        query, given = _channel_query(channel), _one_place(place)
        return self._steps_from(hear, timeout, query, given, follow)

    def _steps_from(
        self,
        hear: Callable[[Chunk | None], Iterable[Value]],
        timeout: float | None,
        query: Query,
        given: tuple[str, float] | None,
        follow: bool,
    ) -> Steps[Value]:
        begin = yield from self._place_asking(given)
        heard = time.monotonic()

        def hear_event(event: Event) -> Iterable[Value]:
            nonlocal heard
            name = event.get("event")
            if name is None:
                heard = time.monotonic()
                return hear(to_chunk(event))
            if name in _NEWS:
                self._take(event)
            elif timeout is not None and (name == "tick" or time.monotonic() - heard >= timeout):
                heard = time.monotonic()
                return hear(None)
            return ()

        following = Following(
            self._server,
            self.id,
            hear_event,
            query=query,
            place=begin,
            follow=follow,
            tick=timeout,
            patience=self._patience,
        )
        yield from following.steps()

    def _place_asking(self, given: tuple[str, float] | None) -> Asking[Query]:
        """Return the place as the wire has it; a number of bytes before the end needs the end first."""
        if given is None:
            return ()
        name, value = given
        if name == "tail_bytes":
            yield from self._refresh_asking()
            return (("offset", str(max(self.tail_offset - int(value), 0))),)
        if name == "since":
            return ((name, f"{value:.6f}"),)
        return ((name, str(max(int(value), 1) if name == "line" else int(value))),)

    def _line_steps(
        self, timeout: float | None, channel: Channels, place: Mapping[str, Any]
    ) -> Steps[str | None]:
        lines = Lines()

        def hear(chunk: Chunk | None) -> list[str | None]:
            return [None] if chunk is None else [line for _channel, line in lines.feed(chunk)]

        def with_last(steps: Steps[str | None]) -> Steps[str | None]:
            yield from steps
            for _channel, line in lines.flush():
                yield line

        return with_last(self._follow_steps(hear, timeout, channel, place))

    def _chunk_steps(
        self, timeout: float | None, channel: Channels, place: Mapping[str, Any]
    ) -> Steps[Chunk | None]:
        return self._follow_steps(lambda chunk: (chunk,), timeout, channel, place)

    def _so_far_steps(self, channel: Channels, place: Mapping[str, Any]) -> Steps[Chunk]:
        return self._follow_steps(lambda chunk: (chunk,) if chunk else (), None, channel, place, follow=False)

    def _judge(self, outcome: Outcome | None, timeout: float | None, check: bool | None) -> Outcome:
        if outcome is None:
            raise WaitTimeout(f"run {self.id} is still {self.state} after {timeout:g} s; it goes on")
        if (self._check if check is None else check) and not outcome.ok:
            raise (StartFailed if outcome.reason is Reason.FAILED_TO_START else RunFailed)(self.id, outcome)
        return outcome


def _signal(number: int) -> int:
    if number not in valid_signals():
        raise UsageError(f"expected the number of a signal, such as signal.SIGTERM, got {number!r}")
    return int(number)


def _one_place(place: Mapping[str, Any]) -> tuple[str, float] | None:
    if unknown := sorted(set(place) - set(_PLACES)):
        raise TypeError(f"got an unexpected keyword argument {unknown[0]!r}")
    given = [(name, float(place[name])) for name in _PLACES if place.get(name) is not None]
    if len(given) > 1:
        names = " and ".join(sorted(name for name, _ in given))
        raise UsageError(f"expected one place to begin, got {names}: choose one of them")
    for name, value in given:
        if value < 0:
            raise UsageError(f"expected {name} to be 0 or more, got {value:g}")
    return given[0] if given else None

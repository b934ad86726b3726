"""The steps of a run on a server: follow its log, wait for its end, have it stopped.

Owns which requests each verb makes and what their replies change. What is known of a run is what the
server sent last (base.py): looking at it sends nothing, following and waiting bring it up to date.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast
from urllib.parse import quote, urlsplit

from runcast.client.actions import Action, Call, Query, Response, Routine, Steps
from runcast.client.base import RemoteRunBase, ShareLink
from runcast.client.following import Event, Following, parse_time, to_chunk
from runcast.client.server import OF_A_RUN
from runcast.errors import UsageError
from runcast.model import Channel, Chunk, Outcome
from runcast.readers.lines import REST_SECONDS, Lines
from runcast.run.arguments import Channels, Place, channels_of, check_place
from runcast.run.steps import RunSteps, Value

__all__ = ["RemoteSteps"]

_STDIN_BYTES = 512 * 1024  # in one request
_NEWS = ("run", "state", "progress", "note", "resize", "exit")
_EARLY = 0.1  # seconds that the server's tick may come before our own clock has it


class RemoteSteps(RemoteRunBase, RunSteps[Action]):
    """A run on a server without a face. Use `RemoteRun` or `AsyncRemoteRun`."""

    def _refresh_steps(self) -> Routine[None]:
        reply = yield Call("GET", f"/runs/{self.id}")
        self._update(self._server.value(reply, self.id, having=OF_A_RUN))

    def _control_steps(self, verb: str, params: Mapping[str, Any]) -> Routine[None]:
        try:
            body = json.dumps(params, allow_nan=False).encode()
        except ValueError:  # JSON has no infinity
            raise UsageError(f"expected finite numbers for {verb}, got {params}") from None
        reply = yield Call("POST", f"/runs/{self.id}/{verb}", body=body, json=True)
        if facts := self._server.value(reply, self.id, 200, 202, 204):
            self._update(facts)

    def _send_steps(self, data: bytes, eof: bool) -> Routine[None]:
        starts = range(0, len(data), _STDIN_BYTES) or (0,)
        for start in starts:
            last = start == starts[-1]
            query: Query = (("eof", "1"),) if eof and last else ()
            piece = data[start : start + _STDIN_BYTES]
            reply = yield Call("POST", f"/runs/{self.id}/stdin", query, piece, timeout=None)
            self._server.value(reply, self.id, 204)

    def _artifact_steps(self, name: str, offset: int, most: int) -> Routine[bytes]:
        part = {"Range": f"bytes={offset}-{offset + most - 1}"}
        reply = yield Call("GET", f"/runs/{self.id}/artifacts/{quote(name)}", headers=part)
        assert isinstance(reply, Response), "the result of a call"
        if reply.status == 416:  # it ends there
            return b""
        if reply.status != 206:
            raise self._server.error(reply, self.id)
        return reply.body

    def _artifact_names_steps(self) -> Routine[list[str]]:
        reply = yield Call("GET", f"/runs/{self.id}/artifacts")
        listed = self._server.value(reply, self.id, having=("artifacts",))["artifacts"]
        return [str(one["name"]) for one in listed]

    def _pin_steps(self, pinned: bool) -> Routine[None]:
        return self._control_steps("pin" if pinned else "unpin", {})

    def _share_steps(self, expires: float | str) -> Routine[ShareLink]:
        if not self.url:
            raise UsageError(
                f"expected a server that a browser can reach for a link, got {self._server}: run "
                f"`runcast share {self.id}` there, beside `runcast serve`"
            )
        try:
            body = json.dumps({"expires": expires}, allow_nan=False).encode()
        except ValueError:
            raise UsageError(f"expected a finite number of seconds for expires, got {expires}") from None
        reply = yield Call("POST", f"/runs/{self.id}/share", body=body, json=True)
        made = self._server.value(reply, self.id, 201, having=("url", "expires_at"))
        # By the address that leads there from here: behind a proxy the server may know another of its own.
        return ShareLink(f"{self.url}?{urlsplit(made['url']).query}", parse_time(made["expires_at"]) or 0.0)

    def _until_steps(self, ready: Callable[[], Value | None], timeout: float | None) -> Routine[Value | None]:
        """Return what `ready` returns as soon as that is not None; None when the time is over first."""
        if (now := ready()) is not None:
            return now
        deadline = None if timeout is None else time.monotonic() + timeout
        found: Value | None = None

        def handle(event: Event) -> tuple[()]:
            nonlocal found
            if event.get("event") in _NEWS:
                self._update(event)
                found = ready()
            late = deadline is not None and time.monotonic() >= deadline
            following.done = late or found is not None
            return ()

        # The end of a run is sent whatever the channel, and a command writes nothing to this one.
        following: Following[Any] = Following(
            self._server,
            self.id,
            handle,
            query=(("channel", Channel.DATA.value),),
            place=(("offset", "now"),),
            tick=timeout,
            patience=self._patience,
        )
        yield from following.steps()
        return found

    def _wait_steps(self, timeout: float | None) -> Routine[Outcome | None]:
        outcome = yield from self._until_steps(lambda: self.outcome, timeout)
        failed = outcome is not None and not outcome.ok and not self.command
        if failed or (outcome is not None and self._facts.get("artifacts") == []):
            yield from self._refresh_steps()  # the log leaves out why a function failed, and its files
            return self.outcome
        return outcome

    def _started_steps(self, timeout: float | None) -> Routine[bool | None]:
        return self._until_steps(lambda: self.pid is not None or self.outcome is not None or None, timeout)

    def _chunk_steps(self, timeout: float | None, channel: Channels, place: Place) -> Steps[Chunk | None]:
        return self._follow_steps(lambda chunk: (chunk,), timeout, channel, place)

    def _so_far_steps(self, channel: Channels, place: Place) -> Steps[Chunk]:
        return self._follow_steps(lambda chunk: (chunk,) if chunk else (), None, channel, place, follow=False)

    def _line_steps(
        self, timeout: float | None, channel: Channels, partial: bool, progress: bool, place: Place
    ) -> Steps[str | None]:
        lines = Lines(partial=partial, progress=progress)

        def handle(chunk: Chunk | None) -> list[str | None]:
            return [None] if chunk is None else [line for _channel, line in lines.feed(chunk)]

        def with_last(steps: Steps[str | None]) -> Steps[str | None]:
            yield from steps
            for _channel, line in lines.flush():
                yield line

        rested = (lambda: [line for _channel, line in lines.rested(_EARLY)]) if partial else None
        return with_last(self._follow_steps(handle, timeout, channel, place, rested=rested))

    def _follow_steps(
        self,
        handle: Callable[[Chunk | None], Iterable[Value]],
        timeout: float | None,
        channel: Channels,
        place: Place,
        *,
        follow: bool = True,
        rested: Callable[[], Iterable[Value]] | None = None,
    ) -> Steps[Value]:
        """Check the arguments now, and return the steps that give what `handle` makes of the chunks.

        `handle` also gets None after each `timeout` of silence; `rested` is called after each event,
        and once a second.
        """
        query, begin = _channel_query(channel), _place_of(place)
        return self._steps_from(handle, timeout, query, begin, follow, rested)

    def _steps_from(
        self,
        handle: Callable[[Chunk | None], Iterable[Value]],
        timeout: float | None,
        query: Query,
        begin: tuple[str, float] | None,
        follow: bool,
        rested: Callable[[], Iterable[Value]] | None,
    ) -> Steps[Value]:
        place = yield from self._place_steps(begin)
        heard = time.monotonic()
        tick = timeout if rested is None else min(REST_SECONDS, REST_SECONDS if timeout is None else timeout)

        def handle_event(event: Event) -> Iterable[Value]:
            yield from handle_chunk(event)
            if rested is not None:
                yield from rested()

        def handle_chunk(event: Event) -> Iterable[Value]:
            nonlocal heard
            name = event.get("event")
            if name is None:
                heard = time.monotonic()
                return handle(to_chunk(event))
            if name in _NEWS:
                self._update(event)
            elif timeout is not None and (
                (name == "tick" and tick == timeout) or time.monotonic() - heard >= timeout
            ):
                heard = time.monotonic()
                return handle(None)
            return ()

        following = Following(
            self._server,
            self.id,
            handle_event,
            query=query,
            place=place,
            follow=follow,
            tick=tick,
            patience=self._patience,
        )
        yield from following.steps()

    def _place_steps(self, begin: tuple[str, float] | None) -> Routine[Query]:
        """Return the place as a query; a number of bytes before the end needs the end first."""
        if begin is None:
            return ()
        name, value = begin
        if name == "tail_bytes":
            yield from self._refresh_steps()
            return (("offset", str(max(self.tail_offset - int(value), 0))),)
        if name == "since":
            return ((name, f"{value:.6f}"),)
        return ((name, str(max(int(value), 1) if name == "line" else int(value))),)


def _channel_query(channel: Channels) -> Query:
    channels = sorted(channels_of(channel) or ())
    return (("channel", ",".join(channels)),) if channels else ()


def _place_of(place: Place) -> tuple[str, float] | None:
    check_place(place)
    places = cast("dict[str, float | None]", place)
    given = [(name, float(value)) for name, value in places.items() if value is not None]
    if len(given) > 1:
        names = " and ".join(sorted(name for name, _ in given))
        raise UsageError(f"expected one place to begin, got {names}: choose one of them")
    for name, value in given:
        if value < 0:
            raise UsageError(f"expected {name} to be 0 or more, got {value:g}")
    return given[0] if given else None

"""Server-sent events: their syntax, and the events that are not part of the log.

The rules under which twelve clients in five languages read the same: lines end with LF, there is no
byte order mark, an event has one `data:` line without line ends in it, and at most 64 KiB (several
clients refuse longer lines). Data comes first and the id last, so that a client which stores an id
before the event is complete is least likely to lose the event.

Only events that advance the resume point have ids: an event of progress with an id would make a
client that reconnects skip output.
"""

from __future__ import annotations

from collections.abc import Mapping

from runcast.model import Outcome, State, TerminalSize
from runcast.offsets import format_offset
from runcast.wire.encoder import Encoder
from runcast.wire.jsons import compact, outcome_json
from runcast.wire.resume_point import event_id
from runcast.wire.text import one_line

__all__ = ["EVENT_BYTES", "RESTART_MS", "RETRY_MS", "EventStream", "event"]

EVENT_BYTES = 64 * 1024
RETRY_MS = 2000  # how long a browser waits before it reconnects
RESTART_MS = 500  # … after `restart`; not 0, since all viewers reconnect at once


def event(data: bytes, *, name: str = "", id: str = "", retry: int = 0) -> bytes:
    """Return one event. `data` must be one line: callers escape or split it first."""
    head = f"retry: {retry}\n" if retry else ""
    if name:
        head += f"event: {name}\n"
    foot = f"\nid: {id}\n\n" if id else "\n\n"
    return b"%bdata: %b%b" % (head.encode(), data, foot.encode())


class EventStream(Encoder):
    """The events that both forms of event stream share: all except those of the log itself."""

    def preamble(self, run: Mapping[str, object]) -> bytes:
        """Describe the run and set the reconnection time; with an id, so that a silent run resumes too."""
        point = self.resume_point
        data = compact({**run, "offset": format_offset(point.offset)})
        return event(data, name="run", id=event_id(self.run, point), retry=RETRY_MS)

    def update(self, name: str, value: Mapping[str, object]) -> bytes:
        """Encode the latest value of `progress` or `state`, under its own event name, without an id."""
        return event(compact(value), name=name)

    def resize(self, size: TerminalSize) -> bytes:
        """Encode the new size, under its own event name, without an id."""
        return event(compact([size.columns, size.rows]), name="resize")

    def exit(self, state: State, outcome: Outcome) -> bytes:
        """Encode the outcome; a viewer that resumes with this id has received everything."""
        offset = format_offset(self.resume_point.offset)
        value = {"state": state.value, "outcome": outcome_json(outcome), "offset": offset}
        return event(compact(value), name="exit", id=event_id(self.run, None))

    def until(self, value: Mapping[str, object]) -> bytes:
        """Encode the line under its own event name; a viewer that resumes with its id has received all."""
        id = event_id(self.run, None) if value["found"] else ""
        return event(compact(value), name="until", id=id)

    def notice(self, text: str) -> bytes:
        """Return an event that looks like a line, but has no id."""
        return event(one_line(text))

    def heartbeat(self) -> bytes:
        """Return a comment."""
        return b": keep-alive\n\n"

    def restart(self) -> bytes:
        """Announce that the client should reconnect soon, by event name and by `retry`."""
        return event(compact({"retry": RESTART_MS}), name="restart", retry=RESTART_MS)

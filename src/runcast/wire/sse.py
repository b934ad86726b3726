"""Server-sent events: how one is written, and those that stand beside the log.

The rules under which twelve clients of five languages read the same: lines end at LF, no byte
order mark, one `data:` line an event, and nothing in it that ends a line; events of at most
64 KiB (several clients refuse a longer line); data first and the id last, so that a client which
takes an id before the event is whole has the least chance to lose it.

Ids stand on whatever moves a viewer on, and on nothing else: an event of progress with an id of
its own would make a client that comes back skip output.
"""

from __future__ import annotations

from collections.abc import Mapping

from runcast.model import Outcome, State, format_offset
from runcast.wire.encoder import Encoder
from runcast.wire.jsons import compact, outcome_json
from runcast.wire.place import event_id
from runcast.wire.text import one_line

__all__ = ["EVENT_BYTES", "RESTART_MS", "RETRY_MS", "EventStream", "event"]

EVENT_BYTES = 64 * 1024
RETRY_MS = 2000  # how long a browser waits before it comes back after a cut
RESTART_MS = 500  # … when we said so; not 0, for all viewers come at once


def event(data: bytes, *, name: str = "", id: str = "", retry: int = 0) -> bytes:
    """Return one event. `data` is one line: who may have more escapes or splits it first."""
    head = f"retry: {retry}\n" if retry else ""
    if name:
        head += f"event: {name}\n"
    foot = f"\nid: {id}\n\n" if id else "\n\n"
    return b"%bdata: %b%b" % (head.encode(), data, foot.encode())


class EventStream(Encoder):
    """What both forms of event stream have in common: everything but the log itself."""

    def hello(self, run: Mapping[str, object]) -> bytes:
        """Say the run and how soon to come back; with an id, so that a silent run resumes too."""
        place = self.place
        data = compact({**run, "offset": format_offset(place.offset)})
        return event(data, name="run", id=event_id(self.run, place), retry=RETRY_MS)

    def tell(self, name: str, value: Mapping[str, object]) -> bytes:
        """Say the latest value of something, under its own event name and without an id."""
        return event(compact(value), name=name)

    def exit(self, state: State, outcome: Outcome) -> bytes:
        """Say how it ended; whoever comes back with this id has seen everything."""
        offset = format_offset(self.place.offset)
        value = {"state": state.value, "outcome": outcome_json(outcome), "offset": offset}
        return event(compact(value), name="exit", id=event_id(self.run, None))

    def remark(self, text: str) -> bytes:
        """Say an event that looks like a line, but has no id."""
        return event(one_line(text))

    def beat(self) -> bytes:
        """Say a comment."""
        return b": keep-alive\n\n"

    def restart(self) -> bytes:
        """Say to come back soon, by name and by `retry`."""
        return event(compact({"retry": RESTART_MS}), name="restart", retry=RESTART_MS)

"""Resume points and event ids: the position from which a viewer that reconnects continues.

    <run>:<offset>                 everything before the offset was sent
    <run>:<offset>-o<begin>        … except an unfinished line of stdout, which begins at <begin>
    <run>:<offset>+                … and the event is a part of a line, which the next one continues
    <run>:end                      the outcome was sent too

Forms that send bytes at once need the offset only. The form of one event per line holds an
unfinished line back while other channels continue, so its ids also have the beginning of each such
line (`o` stdout, `e` stderr, `d` data, `u` unknown; a capital letter where a part of the line was
sent). That is the whole state: any server process can serve a viewer that resumes from its id and
the log alone. Knows nothing of any form.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from runcast.model import Channel
from runcast.offsets import format_offset

__all__ = ["REACH", "START", "EventId", "ResumePoint", "event_id", "parse_event_id"]

REACH: Final = 1024 * 1024  # bytes: how far before the offset an unfinished line may begin

_LETTERS = {Channel.STDOUT: "o", Channel.STDERR: "e", Channel.DATA: "d", Channel.UNKNOWN: "u"}
_CHANNELS = {letter: channel for channel, letter in _LETTERS.items()}
_ID = re.compile(
    r"([0-9A-Za-z_.-]{1,128}):(?:(end)|([0-9]{1,20})((?:-[oeduOEDU][0-9]{1,20}){0,4})\+?(?:~([0-9]{1,17}))?)"
)
_BEGIN = re.compile(r"-([oeduOEDU])([0-9]+)")


class ResumePoint(NamedTuple):
    """How much of a log a viewer has received.

    Attributes:
        offset: everything before it was sent, except unfinished lines.
        begins: where the unfinished line of a channel begins, by channel; mostly empty.
        parted: the channels in `begins` whose line was sent in part, up to where it begins there.
        fresh: for text: the last byte sent ended a line, so a notice needs no line feed before it.
        at: for a recording: the time of the last event sent, in seconds since its beginning.
        resumed: for a recording: the viewer has its header.
    """

    offset: int
    begins: tuple[tuple[Channel, int], ...] = ()
    parted: tuple[Channel, ...] = ()
    fresh: bool = True
    at: float = 0.0
    resumed: bool = False

    @property
    def read_from(self) -> int:
        """The offset to read from so that unfinished lines are complete."""
        return min([self.offset, *(begin for _, begin in self.begins)])


START: Final = ResumePoint(0)


class EventId(NamedTuple):
    """A parsed event id.

    Attributes:
        run: the id of the run.
        resume_point: where to continue; None for the id of the exit, behind which nothing follows.
        zero: for a recording: the time that is zero in it, in microseconds since the epoch.
    """

    run: str
    resume_point: ResumePoint | None
    zero: int | None = None


def suffix(begins: tuple[tuple[Channel, int], ...], parted: tuple[Channel, ...] = ()) -> str:
    """Return the part of an id behind the offset."""
    letters = {channel: _LETTERS[channel].upper() for channel in parted}
    return "".join(f"-{letters.get(channel) or _LETTERS[channel]}{begin}" for channel, begin in begins)


def event_id(run: str, point: ResumePoint | None, zero: int | None = None) -> str:
    """Return the id of an event, see `EventId`."""
    if point is None:
        return f"{run}:end"
    time = "" if zero is None else f"~{zero}"
    return f"{run}:{format_offset(point.offset)}{suffix(point.begins, point.parted)}{time}"


def parse_event_id(text: str) -> EventId | None:
    """Parse a `Last-Event-ID`; return None where it is not an id of runcast.

    An id of another run parses too: compare `run`. Never raises, because a browser that gets "bad
    request" does not reconnect.
    """
    match = _ID.fullmatch(text.strip())
    if match is None:
        return None
    run, end, offset, rests, zero = match.groups()
    if end:
        return EventId(run, None)
    found = _BEGIN.findall(rests)
    parted = tuple(_CHANNELS[letter.lower()] for letter, _ in found if letter.isupper())
    point = ResumePoint(int(offset), tuple((_CHANNELS[c.lower()], int(at)) for c, at in found), parted)
    # An id that reaches further back was not made here; serving it would read too much.
    least, most = point.offset - 4 * REACH, point.offset
    good = all(least <= begin < most + (channel in parted) for channel, begin in point.begins)
    if not good or len(dict(point.begins)) < len(point.begins):
        return None
    return EventId(run, point, None if zero is None else int(zero))

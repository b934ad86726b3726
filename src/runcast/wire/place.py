"""A place in a log and its text: what an event id says, and what a viewer comes back with.

    <run>:<offset>                 everything before the offset has been said
    <run>:<offset>-o<begin>        … but for an unfinished line of stdout, which begins at <begin>
    <run>:end                      the exit has been said too

Forms that say bytes as they come need the offset alone. The form of one event a line holds an
unfinished line back while other channels go on, so the offset alone does not tell what is still
to be said: for each channel with such a line the id also names its beginning (`o` stdout, `e`
stderr, `d` data, `u` unknown). That is all the state there is; whoever comes back with the id,
to whichever process, is served from the log alone. Knows nothing of any form.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from runcast.model import Channel, format_offset

__all__ = ["REACH", "START", "EventId", "Place", "event_id", "parse_event_id"]

REACH: Final = 1024 * 1024  # bytes: what came this far before is no longer held back, nor looked for again

_LETTERS = {Channel.STDOUT: "o", Channel.STDERR: "e", Channel.DATA: "d", Channel.UNKNOWN: "u"}
_CHANNELS = {letter: channel for channel, letter in _LETTERS.items()}
_ID = re.compile(r"([0-9A-Za-z_.-]{1,128}):(?:(end)|([0-9]{1,20})((?:-[oedu][0-9]{1,20}){0,4}))")
_BEGIN = re.compile(r"-([oedu])([0-9]+)")


class Place(NamedTuple):
    """How far a viewer has got.

    Attributes:
        offset: everything before it has been said, but for unfinished lines.
        begins: where the unfinished line of a channel begins, by channel; mostly empty.
        fresh: whether what was said ends a line, for text: a line of ours must not go on with another.
    """

    offset: int
    begins: tuple[tuple[Channel, int], ...] = ()
    fresh: bool = True

    @property
    def start(self) -> int:
        """Where to begin to read, so that unfinished lines are whole."""
        return min([self.offset, *(begin for _, begin in self.begins)])


START: Final = Place(0)


class EventId(NamedTuple):
    """A parsed event id. `place` is None for the id of the exit: there is nothing more to say."""

    run: str
    place: Place | None


def suffix(begins: tuple[tuple[Channel, int], ...]) -> str:
    """Return what an id says behind the offset."""
    return "".join(f"-{_LETTERS[channel]}{begin}" for channel, begin in begins)


def event_id(run: str, place: Place | None) -> str:
    """Return the id of an event; None for the place is the exit's."""
    if place is None:
        return f"{run}:end"
    return f"{run}:{format_offset(place.offset)}{suffix(place.begins)}"


def parse_event_id(text: str) -> EventId | None:
    """Return what a `Last-Event-ID` says; None where it is no id of ours.

    An id of another run parses too: compare `run`. Never raises, for a browser that is told
    "bad request" gives up for good.
    """
    match = _ID.fullmatch(text.strip())
    if match is None:
        return None
    run, end, offset, rests = match.groups()
    if end:
        return EventId(run, None)
    place = Place(int(offset), tuple((_CHANNELS[c], int(at)) for c, at in _BEGIN.findall(rests)))
    # An id that reaches too far back was not made here, and would have much read in vain.
    good = all(place.offset - 4 * REACH <= begin < place.offset for _, begin in place.begins)
    if not good or len(dict(place.begins)) < len(place.begins):
        return None
    return EventId(run, place)

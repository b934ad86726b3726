"""Waiting for bytes that are not on this disk: how often a reader requests them, and for how long it waits.

Owns the bounds, for readers that wait in steps and for those that block a thread. Must not know what
answers a request, or wake-ups.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from runcast.errors import MirrorBehind, SegmentAway
from runcast.log.base import Log

__all__ = ["Fetch", "patient"]

ASK_SECONDS: Final = 1.0  # between two requests for the same segment
_UNHEARD_SECONDS = 3.0  # without anybody who hears a request: an agent that died is back within one
_FOLLOWS_SECONDS = 10.0  # … for who follows, as long as a lease: a busy machine starts an agent in seconds
_FETCH_SECONDS = 30.0  # for one segment, while an agent hears
_BEHIND_SECONDS = 2.0  # for an offset of which the link may never hear: a mirror is milliseconds behind
_LOOK_SECONDS = 0.005  # between looks of a thread that waits, at first; a fetch takes milliseconds at least
_LOOK_MOST = 0.1

AnyLog = TypeVar("AnyLog", bound=Log)


class Fetch:
    """The segments that one reader waits for, and for how long.

    Args:
        log: the log.
        follows: wait as long as somebody hears, however long it takes.
    """

    def __init__(self, log: Log, *, follows: bool = False) -> None:
        self._log, self._follows = log, follows
        self._start = -1
        self._since = self._heard = self._asked = 0.0

    def ask(self, away: SegmentAway) -> float:
        """Ask for a segment, if that is due; return for how many seconds to wait before the next call.

        Raises:
            SegmentAway: nobody hears, or it takes too long.
        """
        now = time.monotonic()
        if away.start != self._start:
            self._start, self._since, self._heard, self._asked = away.start, now, now, now - ASK_SECONDS
        if now - self._asked >= ASK_SECONDS:
            self._asked = now
            if self._log.want(away.start):
                self._heard = now
        unheard = _FOLLOWS_SECONDS if self._follows else _UNHEARD_SECONDS
        left = min(self._heard + unheard, self._since + self._most(away)) - now
        if left <= 0:
            raise away
        return min(left, ASK_SECONDS)

    def _most(self, away: SegmentAway) -> float:
        """Return for how many seconds it is waited for, while an agent hears."""
        if isinstance(away, MirrorBehind):
            return _BEHIND_SECONDS
        return float("inf") if self._follows else _FETCH_SECONDS


def patient(log: AnyLog) -> AnyLog:
    """Have a log wait for what is away, in the thread that reads it, and return it.

    A call that needs a segment which nobody brings raises `SegmentAway`.
    """
    fetch = Fetch(log)

    def wait(away: SegmentAway, here: Callable[[], bool]) -> None:
        pause = _LOOK_SECONDS
        while not here():
            time.sleep(min(pause, fetch.ask(away)))
            pause = min(2 * pause, _LOOK_MOST)

    log.on_away(wait)
    return log

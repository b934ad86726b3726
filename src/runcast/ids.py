"""Run ids: sortable by time, unguessable, safe in a path and in a URL.

An id is a ULID (github.com/ulid/spec) in lower case: 48 bits of milliseconds and 80 unguessable bits,
as 26 letters of Crockford's base 32. Ids of one process always increase, even within a millisecond or
when the clock is set back, and the next one cannot be guessed from the last. The usual package takes
50 ms to import and guarantees only a part of that. Imports nothing of runcast.
"""

from __future__ import annotations

import _thread  # not `threading`: supervisors import this, and their forks would run its hooks
import os
import time

__all__ = ["is_run_id", "new_run_id", "time_of"]

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 26
_RANDOM_BITS = 80
_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}
_SHIFTS = range(5 * (LENGTH - 1), -1, -5)  # of each letter's bits

_lock = _thread.allocate_lock()
_last = 0


def new_run_id() -> str:
    """Return a new id, greater than all earlier ones of this process."""
    global _last
    entropy = int.from_bytes(os.urandom(_RANDOM_BITS // 8), "big")
    number = (time.time_ns() // 1_000_000 << _RANDOM_BITS) | entropy
    with _lock:
        if number <= _last:  # same millisecond, or the clock was set back: add an unguessable amount
            number = _last + 1 + (entropy >> 16)
        _last = number
    return "".join([ALPHABET[number >> shift & 31] for shift in _SHIFTS])


def is_run_id(text: str) -> bool:
    """Return whether a text has the form of an id (and so is safe as the name of a folder)."""
    return len(text) == LENGTH and text[0] <= "7" and not text.strip(ALPHABET)


def time_of(run_id: str) -> float:
    """Return when an id was created, in seconds since the epoch."""
    number = 0
    for letter in run_id[:10]:
        number = number << 5 | _VALUES[letter]
    return number / 1000

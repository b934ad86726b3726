"""Run ids: sortable by time, unguessable, safe in a path and in a URL.

An id is a ULID (github.com/ulid/spec) in lower case: 48 bits of milliseconds and 80 bits that
nobody can guess, as 26 letters of Crockford's base 32. Ids minted by one process never go back,
even within a millisecond or when the clock does, and the next one cannot be guessed from the
last. Written here because the usual package takes 50 ms to import and promises only a part of
that. Imports nothing of ours.
"""

from __future__ import annotations

import os
import threading
import time

__all__ = ["is_run_id", "new_run_id", "time_of"]

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 26
_RANDOM_BITS = 80
_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}

_lock = threading.Lock()
_last = 0


def new_run_id() -> str:
    """Return a new id, greater than every other that this process minted."""
    global _last
    entropy = int.from_bytes(os.urandom(_RANDOM_BITS // 8), "big")
    number = (time.time_ns() // 1_000_000 << _RANDOM_BITS) | entropy
    with _lock:
        if number <= _last:  # same millisecond, or the clock went back: step on by an unguessable amount
            number = _last + 1 + (entropy >> 16)
        _last = number
    return "".join(ALPHABET[number >> shift & 31] for shift in range(5 * (LENGTH - 1), -1, -5))


def is_run_id(text: str) -> bool:
    """Return whether a text has the shape of an id (and so is safe as the name of a folder)."""
    return len(text) == LENGTH and text[0] <= "7" and not text.strip(ALPHABET)


def time_of(run_id: str) -> float:
    """Return when an id was minted, in seconds since the epoch."""
    number = 0
    for letter in run_id[:10]:
        number = number << 5 | _VALUES[letter]
    return number / 1000

"""The output of one channel, masked: whichever way it is cut, and before it is written anywhere.

Owns what is held back: the end of what came, while it may be the beginning of a secret, for at most a
second. Then it is sent, and matching goes on: of a secret that completes later its rest is masked. All
bytes that belong to any occurrence are covered, and each covered stretch becomes three stars, in
a terminal as many as it has characters: there, programs count on where the cursor is. Line ends stay, so
lines keep their numbers. What follows `::add-mask::` at the beginning of a line is a secret from then on.
Times are monotonic seconds.
"""

from __future__ import annotations

import re

from runcast.masking.masks import Masks
from runcast.masking.matcher import Span, joined
from runcast.masking.values import ADD_MASK

__all__ = ["HOLD_SECONDS", "MaskedStream"]

HOLD_SECONDS = 1.0
_STARS = b"***"
_REFUSED = b" (runcast masks values of 4 bytes to 32 KiB)"
_MOST_VALUE = 96 * 1024  # bytes behind `::add-mask::`, escapes included; the rest is not kept
_ENDS = re.compile(rb"[\r\n]+|[^\r\n]+")
_WITHIN = bytes(range(0x80, 0xC0))  # bytes of a UTF-8 character but its first
_ESCAPES = ((b"%0D", b"\r"), (b"%0A", b"\n"), (b"%25", b"%"))  # the percent sign last, as in GitHub's runner


class MaskedStream:
    """Masks the output of one channel.

    Args:
        masks: of the run; shared by its channels.
        terminal: whether programs count on the width of what they write.

    Attributes:
        due: when `expire` has something to return; None while nothing waits.
    """

    def __init__(self, masks: Masks, *, terminal: bool = False) -> None:
        self.due: float | None = None
        self._masks, self._terminal = masks, terminal
        self._kept = b""  # the end of what came, which may be the beginning of a secret
        self._sent = 0  # bytes of that which were sent
        self._covered = 0  # bytes of that which belong to a secret that began before
        self._open = False  # whether the last byte sent belongs to a secret
        self._blank = True  # whether there is nothing but blanks in the line before what is kept
        self._value: bytearray | None = None  # behind `::add-mask::`

    def feed(self, data: bytes, now: float) -> bytes:
        """Take the next output; return what can be sent of all that came."""
        made: list[bytes] = []
        while True:
            if self._value is not None:
                end = data.find(b"\n")
                if len(self._value) < _MOST_VALUE:
                    self._value += data[: end if end >= 0 else len(data)]
                if end < 0:
                    return b"".join(made)
                made.append(self._learn())
                data = data[end:]
            before = len(self._kept)
            whole = self._kept + data if before else data
            found = self._add_mask(whole, max(before - len(ADD_MASK) + 1, 0))
            if found < 0:
                break
            self._take(whole[:found], found, made)
            self.due = None
            self._value, data = bytearray(), whole[found:]
        kept = self._masks.matcher.held(whole)
        if kept == len(whole):
            self.due = None
        elif kept >= before or self.due is None:  # what waits begins in what just came
            self.due = now + HOLD_SECONDS
        self._take(whole, kept, made)
        return b"".join(made)

    def expire(self, now: float) -> bytes:
        """Return what has waited for long enough."""
        if self.due is None or now < self.due:
            return b""
        return self._let_go()

    def end(self) -> bytes:
        """Return what waits still: no more will come."""
        if self._value is not None:
            return self._learn()
        return self._let_go()

    def _let_go(self) -> bytes:
        self.due = None
        made: list[bytes] = []
        self._send(self._kept, self._spans(self._kept), len(self._kept), made)
        self._sent = len(self._kept)
        return b"".join(made)

    def _take(self, whole: bytes, kept: int, made: list[bytes]) -> None:
        """Send all that came up to `kept`, and keep the rest."""
        spans = self._spans(whole)
        self._send(whole, spans, kept, made)
        if kept:
            line = whole.rfind(b"\n", 0, kept) + 1
            self._blank = (line > 0 or self._blank) and not whole[line:kept].strip()
        across = [end for start, end in spans if start <= kept < end]
        self._kept = whole[kept:]
        self._sent = max(self._sent - kept, 0)
        self._covered = across[0] - kept if across else 0

    def _spans(self, whole: bytes) -> list[Span]:
        spans = self._masks.matcher.covered(whole)
        return joined([(0, self._covered), *spans]) if self._covered else spans

    def _send(self, whole: bytes, spans: list[Span], end: int, made: list[bytes]) -> None:
        """Send what was not sent yet of some bytes, up to `end`."""
        at = self._sent
        if at >= end:
            return
        for start, stop in spans:
            start, stop = max(start, at), min(stop, end)
            if start >= stop:
                continue
            if at < start:
                made.append(whole[at:start])
                self._open = False
            self._cover(whole[start:stop], made)
            at = stop
        if at < end:
            made.append(whole[at:end] if at or end < len(whole) else whole)
            self._open = False

    def _cover(self, secret: bytes, made: list[bytes]) -> None:
        for piece in _ENDS.findall(secret):
            if piece[0] in b"\r\n":
                made.append(piece)
                self._open = False
                continue
            if self._terminal:
                made.append(b"*" * len(piece.translate(None, _WITHIN)))
            elif not self._open:
                made.append(_STARS)
            self._open = True

    def _add_mask(self, whole: bytes, at: int) -> int:
        """Return where the value behind `::add-mask::` begins, where that begins a line; or -1."""
        while (at := whole.find(ADD_MASK, at)) >= 0:
            line = whole.rfind(b"\n", 0, at) + 1
            if (line or self._blank) and not whole[line:at].strip():
                return at + len(ADD_MASK)
            at += 1
        return -1

    def _learn(self) -> bytes:
        """Mask the value behind `::add-mask::` from now on; return what stands for it."""
        assert self._value is not None
        data, self._value = bytes(self._value), None
        self._open = True
        end = data[len(data.rstrip(b"\r")) :]
        for escape, byte in _ESCAPES:
            data = data.replace(escape, byte)
        known = self._masks.add(data.decode("utf-8", "surrogateescape"))
        return _STARS + end if known else _STARS + _REFUSED + end

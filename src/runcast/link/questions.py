"""Questions to other hosts that are under way: who waits for which answer, and until when.

All links share this: an engine only carries tickets, requests and answers.
"""

from __future__ import annotations

import math
import time

from runcast.errors import Late, LinkError
from runcast.link.reply import Reply

__all__ = ["Questions"]


class Questions:
    """The questions of one link."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[Reply[bytes], str, float, float]] = {}

    def ask(self, ticket: str, host: str, seconds: float, sent: Reply[None]) -> Reply[bytes]:
        """Reply with the answer to a question, which is sent when `sent` has succeeded.

        Args:
            ticket: by which its answer is known.
            host: who is to answer.
            seconds: how long that may take, since it was sent: so it is too late here only when it is
                at the engine, too.
            sent: what puts it into the engine.
        """
        reply: Reply[bytes] = Reply()

        def settle(sent: Reply[None]) -> None:
            try:
                sent.result()
            except Exception as error:
                self._waiting.pop(ticket, None)
                reply.fail(error)
            else:
                if ticket in self._waiting:
                    self._waiting[ticket] = reply, host, seconds, time.monotonic() + seconds

        self._waiting[ticket] = reply, host, seconds, math.inf
        sent.then(settle)
        return reply

    def take(self, ticket: str) -> Reply[bytes] | None:
        """Return what waits for an answer that has come, for the caller to settle; None if nothing does."""
        waiting = self._waiting.pop(ticket, None)
        return None if waiting is None else waiting[0]

    def answered(self, ticket: str, answer: bytes) -> None:
        """Settle a question; that nobody waits for it any more is no error."""
        if (reply := self.take(ticket)) is not None:
            reply.succeed(answer)

    def step(self, down: LinkError | None) -> None:
        """Fail what came too late; or, where the link is down, all of them with that error."""
        now = time.monotonic()
        for ticket, (reply, host, seconds, deadline) in list(self._waiting.items()):
            if down is not None:
                del self._waiting[ticket]
                reply.fail(down)
            elif deadline <= now:
                del self._waiting[ticket]
                reply.fail(Late(host, seconds))

    def timeout(self, pause: float | None, down: LinkError | None) -> float | None:
        """Return the seconds until the next `step`, which others want after `pause`; None for ever."""
        if not self._waiting:
            return pause
        if down is not None:
            return 0.0
        left = max(0.0, min(deadline for *_, deadline in self._waiting.values()) - time.monotonic())
        left = min(left, math.inf if pause is None else pause)
        return None if left == math.inf else left

"""The interface of a live reply: the position of its viewer, and the steps from there on.

Event loops (web/live/feeds.py) and threads (web/live/thread_feeds.py, web/live/pull.py) drive replies
by this interface alone, so a log, a poll, a stream and the list of runs (web/live/run_list.py) are
driven in the same way. Must not know what is sent.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping

from runcast.readers import Steps

__all__ = ["DURABLE", "ResponseStream", "is_over"]

DURABLE = "durable "  # before what the metrics call readers of durable streams: the name of `?live=`


def is_over(expires: float | None, lapsed: Callable[[], bool] | None) -> bool:
    """Return whether a viewer may read no more; see `ResponseStream`."""
    return (expires is not None and time.time() >= expires) or (lapsed is not None and lapsed())


class ResponseStream(ABC):
    """One viewer's reply, which is produced step by step.

    Attributes:
        kind: what the metrics call it.
        form: two streams of equal form give the same bytes from the same position on.
        offset: how far it has read.
        stopping: set to end the steps at the next chance, with a message to reconnect.
        finished: whether the last bytes were given out.
        cut: whether it ended in the middle, in a form that cannot show it: the connection must be closed.
        expires: when its viewer may read no more, in seconds since the epoch: it is cut then; None for never.
        lapsed: returns whether its viewer may read no more already; looked at each second. None for never.
        confirms: whether a step after bytes means that the viewer took them.
    """

    kind: str = "list"
    form: Hashable
    offset: int
    stopping: bool = False
    finished: bool = False
    cut: bool = False
    expires: float | None = None
    lapsed: Callable[[], bool] | None = None
    confirms: bool = False

    @property
    def expired(self) -> bool:
        """Whether its viewer may read no more."""
        return is_over(self.expires, self.lapsed)

    @property
    @abstractmethod
    def position(self) -> Hashable:
        """Equal positions of one form give equal bytes from here on."""

    @property
    def snapshot(self) -> object:
        """The position and the state that was sent last, for `resumed_at`. None: threads share nothing."""
        return None

    def resumed_at(self, snapshot: object) -> ResponseStream:
        """Return the stream of another viewer, at a snapshot that this one has passed."""
        raise NotImplementedError("expected a stream that has snapshots")

    @property
    def trailers(self) -> Mapping[str, str] | None:
        """The fields behind the reply; None where it has none, whatever happens."""
        return None

    @abstractmethod
    def copy(self) -> ResponseStream:
        """Return the stream of another viewer at the same position."""

    @abstractmethod
    def steps(self, *, begin: bool = True) -> Steps[bytes]:
        """Give the bytes of the reply until it ends; without `begin`, those after its beginning."""

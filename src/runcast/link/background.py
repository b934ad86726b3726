"""What is opened in a thread of its own, since opening blocks: names, TLS, passwords."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from runcast.errors import LinkError

__all__ = ["Opening"]

T = TypeVar("T")


class Opening(Generic[T]):
    """Something that is being opened.

    Args:
        opens: called in the thread; returns it, or an error.
        closes: called with it when nobody wants it any more.
        wake: called from the thread when there is something to `take`.
    """

    def __init__(
        self, opens: Callable[[], T | LinkError], closes: Callable[[T], object], wake: Callable[[], None]
    ) -> None:
        self._opens, self._closes, self._wake = opens, closes, wake
        self._lock = threading.Lock()
        self._opened: T | LinkError | None = None
        self._closed = False
        threading.Thread(target=self._open, daemon=True).start()

    def _open(self) -> None:
        opened = self._opens()
        with self._lock:
            if self._closed and not isinstance(opened, LinkError):
                self._closes(opened)
            self._opened = opened
        self._wake()

    def take(self) -> T | None:
        """Return it; None while it is not open yet.

        Raises:
            LinkError: it could not be opened.
        """
        with self._lock:
            opened = self._opened
        if isinstance(opened, LinkError):
            raise opened
        return opened

    def close(self) -> None:
        """Close it, now or once it is open."""
        with self._lock:
            if not self._closed:
                self._closed = True
                if self._opened is not None and not isinstance(self._opened, LinkError):
                    self._closes(self._opened)

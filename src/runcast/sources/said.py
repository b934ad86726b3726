"""What is said of a run that this process records: its progress, and notes.

Owns the rate of the one and the place of the other. Made at the first word: most runs say nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from runcast.errors import UsageError
from runcast.store.run_files import RunFiles
from runcast.supervisor.masked import masked_progress
from runcast.supervisor.progress import PROGRESS_SECONDS
from runcast.supervisor.words import Notes, progress_of

if TYPE_CHECKING:
    from runcast.masking.masks import Masks

__all__ = ["Said"]


class Said:
    """The words of one run.

    Args:
        files: of the run.
        masks: what they must not show; None for nothing.
        call_at: has a method called at a time (monotonic seconds).
        place: returns the offset behind its output so far, and the number of the line there.
    """

    def __init__(
        self,
        files: RunFiles,
        masks: Masks | None,
        call_at: Callable[[float, Callable[[], object]], object],
        place: Callable[[], tuple[int, int]],
    ) -> None:
        self._files, self._masks, self._call_at = files, masks, call_at
        self._lock = threading.RLock()
        self._notes = Notes(files, masks, place)
        self._progress: dict[str, Any] | None = None
        self._at = 0.0
        self._late = False

    def progress(self, value: dict[str, Any]) -> None:
        """Publish progress. Readers may miss values, but always see the last one."""
        with self._lock:
            self._progress = value
            now = time.monotonic()
            if now - self._at >= PROGRESS_SECONDS:
                self.flush()
            elif not self._late:
                self._late = True
                self._call_at(self._at + PROGRESS_SECONDS, self.flush)

    def flush(self) -> None:
        """Write the last progress, if it has not been."""
        with self._lock:
            self._late = False
            value, self._progress = self._progress, None
            if value is not None:
                self._at = time.monotonic()
                self._files.write_progress(masked_progress(self._masks, value))

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take a word from the control socket; return the answer."""
        try:
            if request["op"] == "progress":
                self.progress(progress_of(request))
            else:
                with self._lock:
                    self._notes.add(request.get("text"))
        except UsageError as error:
            return {"error": str(error), "unusable": True}
        return {}

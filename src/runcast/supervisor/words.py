"""What the programs of a run say of it: how far it is (`runcast progress`), and notes (`runcast note`).

Owns their bounds and their checks, for both ends of the control socket, and the notes of a run while it
goes on. A note is no output: it has a place in the log, and no bytes there. Must not know the command line.
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from runcast.errors import UsageError

if TYPE_CHECKING:
    from runcast.masking.masks import Masks
    from runcast.store.run_files import RunFiles

__all__ = ["NOTES_MOST", "NOTE_CHARACTERS", "Notes", "note_text", "progress_of"]

NOTES_MOST = 100  # of a run: then the oldest go
NOTE_CHARACTERS = 500  # of one, and of the text of a progress
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")  # line ends among them: a note is one line


def note_text(text: object) -> str:
    """Return a note as it is kept: one line, a space in the place of control characters.

    Raises:
        UsageError: it is no text, empty or too long.
    """
    if not isinstance(text, str):
        raise UsageError(f"expected a note as a text, got {text!r:.80}")
    line = _CONTROLS.sub(" ", text).encode("utf-8", "replace").decode().strip()
    if not line:
        raise UsageError(f"expected a note with something in it, got {text!r:.80}")
    if len(line) > NOTE_CHARACTERS:
        raise UsageError(
            f"expected a note of at most {NOTE_CHARACTERS} characters, got {len(line)}: {line!r:.80}"
        )
    return line


def progress_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the progress in a request, to be published with its time (seconds since the epoch).

    Raises:
        UsageError: it has none.
    """
    text = request.get("text", "")
    if not isinstance(text, str):
        raise UsageError(f"expected the text of a progress as a text, got {text!r:.80}")
    numbers = {name: _number(name, request.get(name)) for name in ("done", "total")}
    said = _CONTROLS.sub(" ", text).strip()[:NOTE_CHARACTERS]
    return {**numbers, "text": said, "time": time.time()}


def _number(name: str, value: object) -> int | float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if value is None or good:
        return value  # type: ignore[return-value]  # it is one of them
    raise UsageError(f"expected {name} as a finite number, got {value!r:.80}")


class Notes:
    """The notes of one run, in the process that writes its log.

    Args:
        files: of the run.
        masks: what they must not show.
        place: returns the offset at which a note stands, and the number of its line.
    """

    def __init__(self, files: RunFiles, masks: Masks | None, place: Callable[[], tuple[int, int]]) -> None:
        self._files, self._masks, self._place = files, masks, place
        self._notes: deque[dict[str, Any]] = deque(maxlen=NOTES_MOST)

    def add(self, text: object) -> None:
        """Add a note behind all that was written so far.

        Raises:
            UsageError: it is none.
            OSError: it cannot be written.
        """
        line = note_text(text)
        if self._masks is not None:
            line = self._masks.text(line)
        offset, number = self._place()
        note = {"offset": offset, "line": number, "time": time.time(), "text": line}
        self._files.write_notes([*self._notes, note][-NOTES_MOST:])
        self._notes.append(note)

"""What the requests on the control socket of a run mean, and the answers to them.

Owns the names of the operations and the checks of what comes with them. What they do is that of the parts,
which are given. An error that is raised here is an answer (control_server.py).
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from runcast.errors import UsageError
from runcast.supervisor.control import ControlConnection
from runcast.supervisor.ending import STOP_GRACE, Cause
from runcast.supervisor.stdin import StdinWriter

__all__ = ["Requests"]

_QUEUED = "it is queued, so there is no process to signal: stop it instead"


class Requests:
    """Carries out the requests to one run.

    Args:
        stdin: takes input, and answers by itself.
        resize: gives the terminal another size (columns, rows, now); returns the answer.
        stop: begins to stop the run (signal, grace, now, and what is known of it).
        signal: sends a signal; returns False where there is no process.
        look: has the run look for a slot.
        word: takes a progress or a note.
    """

    def __init__(
        self,
        stdin: StdinWriter,
        *,
        resize: Callable[[int, int, float], dict[str, Any]],
        stop: Callable[[int, float, float, Cause], object],
        signal: Callable[[int], bool],
        look: Callable[[], object],
        word: Callable[[dict[str, Any], float], object],
    ) -> None:
        self._stdin, self._resize, self._look, self._word = stdin, resize, look, word
        self._stop, self._signal = stop, signal

    def handle(self, connection: ControlConnection, request: dict[str, Any], data: bytes, now: float) -> None:
        """Carry out a request, and answer it."""
        operation = request["op"]
        if operation == "stdin":
            self._stdin.take(connection, data, bool(request.get("eof")))
            return
        answer: dict[str, Any] = {}
        if operation == "resize":
            answer = self._resize(int(request["columns"]), int(request["rows"]), now)
        elif operation == "look":  # for a slot: one may be free
            self._look()
        elif operation in ("progress", "note"):
            try:
                self._word(request, now)
            except UsageError as error:
                answer = {"error": str(error), "unusable": True}
        else:
            answer = self._to_processes(operation, request, now)
        connection.answer(**answer)

    def _to_processes(self, operation: str, request: dict[str, Any], now: float) -> dict[str, Any]:
        number = int(request.get("signal", signal.SIGTERM))
        grace = float(request.get("grace", STOP_GRACE))
        if number not in signal.valid_signals() or not grace >= 0:
            return {"error": f"expected a signal and a grace of 0 seconds or more, got {request!r}"}
        if operation == "stop":
            self._stop(number, grace, now, Cause.of(request))
        elif operation != "signal":
            known = "stop, signal, resize, look, progress, note or stdin"
            return {"error": f"expected op {known}, got {operation!r}"}
        elif not self._signal(number):
            return {"error": _QUEUED, "queued": True}
        return {}

"""Places of polls where a store is shared: kept on the host of the run, for all hosts that answer polls.

Owns what is done where that host cannot be reached. Of a run that goes on nothing is said twice, so the poll
is refused, to be tried again. Of one that is over the last place that this host knows has to do: what comes
again is better than never.
"""

from __future__ import annotations

import time
from typing import Any

from runcast import loggers
from runcast.errors import HostUnreachable
from runcast.store.mirrors import agent_socket
from runcast.store.positions import Position
from runcast.store.run_files import RunFiles
from runcast.supervisor.agents import see_to_agent
from runcast.supervisor.control import ask

__all__ = ["SharedPosition", "position_of"]

_SECONDS = 5.0
_APART = 10**16  # above the numbers of all replies that the host of a run knows of


class SharedPosition:
    """How far the replies to the polls of a run of another host are; like `Position`, which is kept there."""

    def __init__(self, store: str, run_id: str, host: str) -> None:
        self._store, self._id, self._host = store, run_id, host
        self._known = Position(store, run_id)  # as far as this host answered

    def begin(self, seen: int | None) -> tuple[int, int]:
        """Return where a reply begins, and its number.

        Args:
            seen: the number of the last reply that the client got, if it says so.

        Raises:
            HostUnreachable: the host of the run, which goes on, cannot be reached.
        """
        try:
            answer = self._asked("begin", number=seen)
            return int(answer["offset"]), int(answer["number"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            if not RunFiles(f"{self._store}/{self._id}").ended:
                raise HostUnreachable(
                    f"run {self._id}: the place of its polls is kept on host {self._host}, which cannot be "
                    f"reached: {error}: poll again"
                ) from None
            return self._known.begin(seen)[0], _APART + time.time_ns() % _APART

    def end(self, number: int, offset: int) -> None:
        """Note that a reply was delivered, and where it ended."""
        self._known.end(number, offset)
        self._try("end", number=number, offset=offset)

    def forget(self) -> None:
        """Remove it: the next poll of the key begins anew."""
        self._known.forget()
        self._try("forget")

    def _try(self, what: str, **values: int) -> None:
        try:
            self._asked(what, **values)
        except OSError as error:  # the next reply says the same again
            loggers.warning_once("web", "a poll of run %s may repeat what it said: %s", self._id, str(error))

    def _asked(self, what: str, **values: int | None) -> dict[str, Any]:
        see_to_agent(self._store)
        request = {"op": "place", "run": self._id, "do": what, **values}
        answer = ask(agent_socket(self._store), request, timeout=_SECONDS)
        if (problem := answer.get("error", answer.get("alone"))) is not None:
            raise OSError(problem)
        return answer


def position_of(store: str, run_id: str) -> Position | SharedPosition:
    """Return how far the replies to the polls of a run are."""
    host = RunFiles(f"{store}/{run_id}").mirror_of
    return Position(store, run_id) if host is None else SharedPosition(store, run_id, host)

"""What comes over a WebSocket that was handed over, however much of it at once."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

from runcast.web.adapters.websocket import _PENDING, _Hearing
from runcast.web.http.handover import SocketConnection


class Answered(SocketConnection):
    """A connection that keeps what it is sent, and how many tasks there were."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.most_tasks = 0
        self.held = False
        self.say: Callable[[str | bytes], None] = lambda _: None

    @staticmethod
    def frame(data: bytes) -> bytes:
        """Return the data."""
        return data

    def send(self, framed: bytes) -> bool:
        """Keep it."""
        self.answers.append(framed)
        self.most_tasks = max(self.most_tasks, len(asyncio.all_tasks()))
        return True

    async def drain(self) -> None:
        """Return."""

    def end(self, *, whole: bool) -> None:
        """Do nothing."""

    def listen(self, hear: Callable[[str | bytes], None], *_: Any) -> None:
        """Take messages by `say`."""
        self.say = hear

    def hold(self, *, back: bool) -> None:
        """Note it."""
        self.held = back


def test_thousands_of_messages_at_once() -> None:
    """One read may have thousands of messages: a few are obeyed at a time, until all are."""

    async def main() -> None:
        connection = Answered()
        nobody = cast("Any", None)
        _Hearing(nobody, nobody, nobody, True).over(connection, lambda _: None)
        for _ in range(2000):
            connection.say('{"stop": {}}')
        assert connection.held

        while connection.held or len(connection.answers) < 2000:  # noqa: ASYNC110, it counts the tasks
            await asyncio.sleep(0)
        assert all(json.loads(answer)["error"] == "NotAllowed" for answer in connection.answers)
        assert connection.most_tasks <= _PENDING + 2  # this test and the one that takes what waits

    asyncio.run(main())

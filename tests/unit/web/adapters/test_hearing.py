"""What comes over a WebSocket that was handed over, however much of it at once."""

import asyncio
import json
import threading
from collections.abc import Callable
from types import SimpleNamespace
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


def test_sizes_come_before_what_is_typed_behind_them() -> None:
    """A program that is written to has the size that was sent before; sizes keep their order."""
    done: list[object] = []
    typed = threading.Event()

    class Terminal:
        def resize(self, columns: int, rows: int) -> None:
            typed.wait(0.1)  # what overtakes it does so in that time
            done.append((columns, rows))

    def send(run: object, data: bytes, *, eof: bool) -> None:
        done.append(data)
        typed.set()

    async def main() -> None:
        connection = Answered()
        request = cast("Any", SimpleNamespace(who=None, peer=""))
        responder: Any = SimpleNamespace(
            store=SimpleNamespace(get=lambda _: Terminal()),
            check=lambda *_: None,
            senders=SimpleNamespace(send=send),
        )
        hearing = _Hearing(responder, request, "run", False)
        hearing.over(connection, lambda _: None)
        for text in ('{"resize": [90, 20]}', '{"resize": [100, 30]}', '{"stdin": "x"}'):
            connection.say(text)
        while len(done) < 3:  # noqa: ASYNC110, threads add to it
            await asyncio.sleep(0)

    asyncio.run(main())
    assert done == [(90, 20), (100, 30), b"x"]

"""A viewer that goes to another server for each next event, in three ways in turn, and what it receives."""

import http.client
import json
from collections.abc import Callable, Sequence

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.helpers.servers import LONG, Server

__all__ = ["Hopper"]


class Hopper:
    """A viewer of one run.

    Attributes:
        text: what it has received.
        offset: where it goes on, as on the wire.
        hops: how many requests it has made.
        behind: how many of them were to be made again, since their host knew less than the one before.
        exits: how many ends of the run it has received.
        resumed: the id of the last event, as an `EventSource` sends it.
    """

    def __init__(self, servers: Sequence[Server], run: str) -> None:
        self._servers, self._run = servers, run
        self.text: list[str] = []
        self.offset = "0".zfill(20)
        self.hops = self.exits = self.behind = 0
        self.statuses: set[int] = set()

    @property
    def resumed(self) -> str:
        """The id of the last event."""
        return f"{self._run}:{'end' if self.exits else self.offset}"

    def hop(self) -> None:
        """Take what is next from the next server."""
        server = self._servers[self.hops % len(self._servers)]
        ways: Sequence[Callable[[Server], bool]] = (self._event, self._poll, self._message)
        way = ways[self.hops % len(ways)]
        while not way(server):  # this host does not know of the offset yet: again, as clients do
            self.behind += 1
        self.hops += 1

    def _event(self, server: Server) -> bool:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": self.resumed}
        with server.stream(f"/runs/{self._run}/log", **headers) as response:
            self.statuses.add(response.status)
            while not self._took(event := _event_of(response)):
                if event.get("event") == "restart":
                    return False
        return True

    def _took(self, event: dict[str, str]) -> bool:
        if event.get("event") == "exit":
            assert event["id"] == f"{self._run}:end"
            self.exits += 1
            return True
        if "event" in event or "id" not in event:
            return False
        self.text.append(event["data"] + "\n")
        self.offset = event["id"].partition(":")[2]
        return True

    def _poll(self, server: Server) -> bool:
        path = f"/runs/{self._run}/log?format=json&wait=5&offset={self.offset}"
        status, _, body = server.ask("GET", path)
        if _is_behind(status, body):
            return False
        self.statuses.add(status)
        reply = json.loads(body)
        if not reply["chunks"] and reply["next_url"] is not None:  # nothing came in this time
            return self._poll(server)
        self._take(reply)
        self.exits += reply["next_url"] is None
        return True

    def _message(self, server: Server) -> bool:
        address = f"ws{server.root[4:]}/runs/{self._run}/log?offset={self.offset}"
        try:
            # With the usual 16 for `max_queue`, `close` waits for all of its timeout where more are unread.
            socket = connect(address, open_timeout=LONG, close_timeout=LONG, max_queue=None)
        except InvalidStatus as error:
            if _is_behind(error.response.status_code, error.response.body or b""):
                return False
            raise
        with socket:
            while True:
                message = json.loads(socket.recv(LONG))
                if "chunks" in message:
                    self._take(message)
                    return True
                if message["event"] == "exit":
                    self.exits += 1
                    return True

    def _take(self, reply: dict[str, object]) -> None:
        self.text += [chunk["text"] for chunk in reply["chunks"]]  # type: ignore[attr-defined]
        self.offset = str(reply["next"])


def _is_behind(status: int, body: bytes) -> bool:
    """Return whether a reply says that its host knows less of the run than the one before."""
    return status == 503 and json.loads(body)["error"] == "MirrorBehind"


def _event_of(response: http.client.HTTPResponse) -> dict[str, str]:
    """Read one event."""
    event: dict[str, str] = {}
    while line := response.readline().decode().rstrip("\n"):
        name, _, value = line.partition(": ")
        event[name] = f"{event[name]}\n{value}" if name in event else value
    return event

"""Receivers of webhooks: real HTTP servers in this process, which answer as a test wants."""

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Received(NamedTuple):
    """One request: its path, its headers with small names, its body."""

    path: str
    headers: dict[str, str]
    body: bytes


Handler = http.server.BaseHTTPRequestHandler


class Receiver:
    """A receiver at `url`. `replies` are statuses in turn, the last one for ever, or write a reply."""

    def __init__(self, port: int, replies: tuple[int | Callable[[Handler], object], ...]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.received: list[Received] = []
        self._replies = list(replies)

    def take(self, handler: Handler) -> None:
        """Keep a request and answer it."""
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.received.append(Received(handler.path, headers, body))
        reply = self._replies[0] if len(self._replies) == 1 else self._replies.pop(0)
        if not isinstance(reply, int):
            reply(handler)
            return
        handler.send_response(reply)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


def redirect(status: int, url: str) -> Callable[[Handler], None]:
    """Return a reply that leads elsewhere."""

    def reply(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Location", url)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return reply


@contextmanager
def receiver(*replies: int | Callable[[Handler], object]) -> Iterator[Receiver]:
    """Serve at a port of its own, as long as the block lasts; 204 where no replies are given."""

    class Taking(Handler):
        def do_POST(self) -> None:
            made.take(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    server.daemon_threads = True
    made = Receiver(server.server_address[1], replies or (204,))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

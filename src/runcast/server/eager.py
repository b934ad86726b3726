"""Small appends answered at once: one after the other, they are all but the same request.

Owns two shortcuts in uvicorn's HTTP protocol. An append whose body is here takes fewer microseconds
than a task takes to be made and come to its turn, so its application is stepped by hand as soon as
the body is complete; one that suspends goes on as a task. And an application that has taken an
append may offer to take more of the kind (the extension of `again.py`): a request on the same
connection that differs in nothing but its body and its number is then handed to it as such. And a
client that has sent its request and closed its sending side still gets the reply. All else is as
uvicorn does it, and where another uvicorn does it otherwise, so is this.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from runcast.server.counted import CountedProtocol
from runcast.web.again import EXTENSION, Again
from runcast.web.durable.routes import is_stream
from runcast.web.http import Reply
from runcast.web.resumed import Resumed

__all__ = ["EagerProtocol"]

_MOST_BYTES = 64 * 1024  # uvicorn stops reading at so many that nobody has asked for
_LENGTH, _NUMBER = b"content-length", b"producer-seq"  # in what requests of a kind may differ

Headers = list[tuple[bytes, bytes]]


class EagerProtocol(CountedProtocol):
    """uvicorn's protocol, with the shortcuts."""

    _held: tuple[Any, Any] | None = None  # a request whose body is still coming, and its application
    _kind: tuple[bytes, Headers] | None = None  # what was taken last: its URL, and its headers without …
    _again: Again | None = None  # … what takes another of the kind
    _body: bytearray | None = None  # of one that is being taken
    _number: str | None = None
    _stepping = False

    def on_headers_complete(self) -> None:
        """Have the request begun, or wait for the body of one more of a kind."""
        if self._careful:
            self._check_head()
        self._begun = self.headers
        if self._again is not None and self._is_again():
            self._body = bytearray()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._payload += len(body)
        if self._body is not None:
            self._body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Have the request answered whose body is complete now."""
        if self._chunks:
            self._end_chunks()
        self._ended = self.headers
        if self._body is not None:
            body, self._body = bytes(self._body), None
            self._take_again(body)
            return
        super().on_message_complete()
        if self._held is not None:
            (cycle, app), self._held = self._held, None
            self._step(cycle, app)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Return whether the connection stays open for a reply; uvicorn closes it, and drops that.

        A reply to a GET may be endless, and then the end of what a client sends is all that tells that
        it has left. A body that was cut has nobody who waits for a reply.
        """
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body or self.scheme == "https":
            return False
        if cycle.scope["method"] in ("GET", "HEAD"):
            return False
        cycle.keep_alive = False
        return True

    def _is_again(self) -> bool:
        if not (self.cycle.response_complete and not self.flow.write_paused and self.cycle.keep_alive):
            return False
        kind, length, self._number = self._split()
        return kind == self._kind and length < _MOST_BYTES and self.parser.get_http_version() == "1.1"

    def _split(self) -> tuple[tuple[bytes, Headers], int, str | None]:
        """Return the kind of the request that comes in, the length of its body, and its number."""
        same: Headers = []
        length, number = _MOST_BYTES, None
        for header in self.headers:
            if header[0] == _LENGTH:
                length = int(header[1])
            elif header[0] == _NUMBER:
                number = header[1].decode("latin-1")
            else:
                same.append(header)
        return (self.parser.get_method() + b" " + self.url, same), length, number

    def _take_again(self, body: bytes) -> None:
        assert self._again is not None
        reply = self._again(self._number, body)
        if reply is not None:
            self.transport.write(_to_bytes(self.server_state.default_headers, reply))
            self.on_response_complete()
            return
        super().on_headers_complete()  # it must wait for others: as if it had just come
        super().on_body(body)
        self.on_message_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        # One that waited in line, and is begun as the one before it ends, is in the midst of that one's
        # step: a line of a hundred would be as many calls deep.
        if self._stepping or not self._is_small_append(cycle.scope):
            super()._start_asgi_task(cycle, app)
            return
        cycle.scope.setdefault("extensions", {})[EXTENSION] = self._note(self._split()[0])
        if cycle.more_body:
            self._held = cycle, app
        else:
            self._step(cycle, app)

    def _note(self, kind: tuple[bytes, Headers]) -> Any:
        def take_more(again: Again) -> None:
            self._kind, self._again = kind, again

        return take_more

    def _is_small_append(self, scope: Any) -> bool:
        if scope["method"] != "POST" or not is_stream(scope["path"]) or self.expect_100_continue:
            return False
        length = next((value for name, value in scope["headers"] if name == _LENGTH), b"")
        return length.isdigit() and int(length) < _MOST_BYTES

    def _step(self, cycle: Any, app: Any) -> None:
        coroutine = cycle.run_asgi(app)
        self._stepping = True
        try:
            future = coroutine.send(None)
        except StopIteration:
            return
        finally:
            self._stepping = False
        task: asyncio.Task[None] = self.loop.create_task(_go_on(Resumed(coroutine, future)))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)


async def _go_on(rest: Resumed) -> None:
    await rest


def _to_bytes(fixed: Headers, reply: Reply) -> bytes:
    """Return a whole reply as it is sent."""
    lines = [f"{name}: {value}\r\n" for name, value in reply.headers]
    if reply.status != HTTPStatus.NO_CONTENT:
        lines.append(f"content-length: {len(reply.body)}\r\n")
    said = b"".join([b"%b: %b\r\n" % header for header in fixed])
    return STATUS_LINE[reply.status] + said + "".join(lines).encode("latin-1") + b"\r\n" + reply.body

"""uvicorn's protocol for h11, where httptools is not installed: bounded in the same way.

h11 keeps what it cannot parse yet, and gives up beyond 64 KiB of that, at each piece: so a head has
at most that and a piece. Owns what such an error is answered with, and what a connection waits for.
"""

from __future__ import annotations

from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from runcast.server.bounded_protocol import HEAD_BYTES, Bounded, Stage, with_book

__all__ = ["BoundedH11Protocol"]

_PIECE = 16 * 1024


class BoundedH11Protocol(Bounded, H11Protocol):
    """uvicorn's protocol, bounded."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._book = with_book(options)
        options.pop("book", None)
        super().__init__(*arguments, **options)

    def stage(self) -> tuple[Stage, int]:
        """Return what it waits for, and of which request."""
        cycle, state = self.cycle, self.conn.their_state
        if state is h11.SEND_BODY:
            stage = Stage.BUSY if self.flow.read_paused else Stage.BODY
        elif cycle is not None and not cycle.response_complete:
            stage = Stage.BUSY
        elif self.conn.trailing_data[0]:
            stage = Stage.HEAD
        else:
            stage = Stage.FRESH if cycle is None else Stage.IDLE
        return stage, id(cycle)

    def data_received(self, data: bytes) -> None:
        """Parse the bytes received."""
        self._received += len(data)
        for at in range(0, len(data), _PIECE):
            if self._refused or self.transport.is_closing():
                return
            if self.transport.get_protocol() is not self:
                return  # a WebSocket by now, which takes nothing before its handshake
            super().data_received(data[at : at + _PIECE])

    def send_400_response(self, msg: str) -> None:
        """Answer what h11 cannot parse."""
        if len(self.conn.trailing_data[0]) > HEAD_BYTES:
            self.refuse_head()
        else:
            self.refuse_syntax()

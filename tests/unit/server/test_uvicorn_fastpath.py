"""What the fast path needs of uvicorn, and that it is noticed where that is gone."""

import asyncio
import logging
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from runcast.server.direct_socket import SocketProtocol
from runcast.server.uvicorn_fastpath import FastpathProtocol, missing
from runcast.server.uvicorn_server import http_protocol
from runcast.web.http.handover import EXTENSION
from tests.unit.server.test_bounded_protocol import Wire

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def test_locked_uvicorn(caplog: pytest.LogCaptureFixture):
    """The uvicorn that is tested has what the fast path overrides, and there is no warning."""
    assert missing() is None
    assert http_protocol() is FastpathProtocol
    assert caplog.messages == []


def test_another_uvicorn(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """Where another uvicorn lacks it the server says so, which would only be slower."""
    monkeypatch.delattr(HttpToolsProtocol, "_start_asgi_task")
    monkeypatch.delattr(FastpathProtocol, "_start_asgi_task")

    with caplog.at_level(logging.WARNING, "runcast.server"):
        http_protocol()

    assert missing() == "HttpToolsProtocol._start_asgi_task"
    assert "has no HttpToolsProtocol._start_asgi_task: appends are slower" in caplog.text


@pytest.mark.parametrize("lacks", [None, "disconnected", "read_paused"])
def test_another_uvicorn_for_sockets(lacks: str | None):
    """Where another uvicorn lacks what the handover of a WebSocket takes, none is offered."""

    async def main() -> Any:
        came: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            came.set_result(scope)
            await send({"type": "websocket.close"})

        config = uvicorn.Config(app, interface="asgi3", lifespan="off", log_config=None)
        one = SocketProtocol(config, ServerState(), {})
        if lacks is not None:
            delattr(one, lacks)
        one.connection_made(Wire())
        one.data_received(HANDSHAKE)
        return await came

    assert (EXTENSION in asyncio.run(main())["extensions"]) is (lacks is None)

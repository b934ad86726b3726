"""The Model Context Protocol, by the official SDK: on stdin and stdout, and over HTTP below `/mcp`.

Owns what a result looks like there, and the transports. Over HTTP each request stands for itself, in both
generations of the protocol: there are no sessions to lose, since a place in a log is an offset. Who may do
what is not decided here: a call makes requests as its client.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server as ProtocolServer
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError

from runcast._version import __version__
from runcast.client.server import Server
from runcast.client.transport_aio import AsyncTransport
from runcast.errors import RuncastError
from runcast.server.mcp.calls import Calls
from runcast.server.mcp.inner import InnerTransport
from runcast.server.mcp.tools import INSTRUCTIONS, Tool
from runcast.web.http.asgi_types import Receive, Scope, Send

__all__ = ["HttpEndpoint", "serve_stdio", "within"]

Connect = Callable[[Any], AbstractAsyncContextManager[Calls]]
"""Gives the tools for a request, which is None on stdin."""

_INNER = "http://localhost/"


def within(app: Any, marks: Mapping[str, Any]) -> AsyncTransport:
    """Return a transport to an application of this process; see `InnerTransport`."""
    return AsyncTransport(Server(_INNER, None), InnerTransport(app, marks))


async def serve_stdio(transport: AsyncTransport) -> None:
    """Speak the protocol on stdin and stdout until stdin ends. The runs go on.

    Args:
        transport: to the server whose runs these are.
    """
    calls = Calls(transport)
    server = _protocol(lambda _: contextlib.nullcontext(calls))
    try:
        async with stdio_server() as (source, target):
            await server.run(source, target, server.create_initialization_options())
    finally:
        await transport.close()


class HttpEndpoint:
    """The ASGI application at `/mcp`, behind the guard of a server.

    Args:
        app: the server's routes behind the guard, to which the calls go.
        marks: the keys of a scope that say what the guard found out, and where the request came from.
    """

    def __init__(self, app: Any, marks: tuple[str, ...]) -> None:
        self._app, self._marks = app, marks
        self._manager: asyncio.Future[StreamableHTTPSessionManager] | None = None
        self._running: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._manager is None:
            self._manager = asyncio.get_running_loop().create_future()
            self._running = asyncio.create_task(self._run(self._manager))
        await (await asyncio.shield(self._manager)).handle_request(scope, receive, send)

    def shutdown(self) -> None:
        """End all calls; call it in the event loop."""
        self._over.set()

    async def _run(self, started: asyncio.Future[StreamableHTTPSessionManager]) -> None:
        manager = StreamableHTTPSessionManager(_protocol(self._connect), stateless=True)
        async with manager.run():
            started.set_result(manager)
            await self._over.wait()

    @contextlib.asynccontextmanager
    async def _connect(self, request: Any) -> AsyncIterator[Calls]:
        scope = request.scope
        transport = within(self._app, {name: scope[name] for name in self._marks if name in scope})
        try:
            yield Calls(transport)
        finally:
            await transport.close()


def _protocol(connect: Connect) -> ProtocolServer[Any]:
    async def list_tools(context: Any, _: Any) -> types.ListToolsResult:
        async with connect(context.request) as calls:
            try:
                found = await calls.tools()
            except RuncastError as error:
                raise MCPError(types.INTERNAL_ERROR, str(error)) from None
        return types.ListToolsResult(tools=[_described(tool) for tool in found])

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        async def tell(offset: int, text: str) -> None:
            await context.session.report_progress(offset, None, text)

        async with connect(context.request) as calls:
            try:
                texts = await calls.call(params.name, params.arguments or {}, tell)
            except RuncastError as error:
                return _result([str(error)], failed=True)
        return _result(texts)

    return ProtocolServer(
        "runcast",
        version=__version__,
        title="runcast",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _result(texts: list[str], *, failed: bool = False) -> types.CallToolResult:
    content: list[Any] = [types.TextContent(type="text", text=text) for text in texts]
    return types.CallToolResult(content=content, is_error=failed)


def _described(tool: Tool) -> types.Tool:
    hints = types.ToolAnnotations(
        read_only_hint=tool.reads, destructive_hint=tool.destroys, open_world_hint=not tool.reads
    )
    return types.Tool(
        name=tool.name, description=tool.description, input_schema=tool.schema, annotations=hints
    )

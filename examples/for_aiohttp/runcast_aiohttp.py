"""An adapter for aiohttp: `stream` from a handler, and the API at `/runs` and `/v1/stream`.

cast = Runcast().mount(app)

async def build(request):
    return await cast.stream(request, ["make"])

Each method below is one of the five things that an adapter translates; docs/howto/adapters.md explains them.
"""

import asyncio
from dataclasses import replace
from urllib.parse import unquote

from aiohttp import ClientError, HttpVersion11, WSMsgType, web
from aiohttp.web_protocol import RequestPayloadError
from multidict import CIMultiDict

from runcast.errors import RuncastError
from runcast.web.adapters.runcast_app import RuncastApp, body_limit
from runcast.web.api.log_reply import problem_reply
from runcast.web.http.bodies import BodyIncomplete, BodyTooLarge, check_whole, parse_length
from runcast.web.http.messages import Reply, Request
from runcast.web.live.feeds import Feeds

LOOK_SECONDS = 1.0  # how often a silent reply looks whether its client is still connected


class Runcast(RuncastApp):
    """The runs of an aiohttp application.

    Args:
        options: `store`, `authorize`, `commands`, and the others that all adapters have.
    """

    sockets = True  # whose handshake without an Upgrade is answered by what cures the proxy

    def __init__(self, **options):
        super().__init__(**options)
        self.feeds = Feeds()

    def mount(self, app, prefix=""):
        """Mount `/runs` and `/v1/stream` below a prefix, and return this."""
        self.mounted = prefix.rstrip("/")
        for rule in self.rules:
            app.router.add_route("*", self.mounted + rule + "{rest:(?s:/.*)?}", self._api)
        app.on_shutdown.append(self._shutdown)
        return self

    async def stream(self, request, source, *args, **options):
        """Return the response of a handler: start a run and stream it, or go on with the viewer's own."""
        asked = to_request(request)
        reply = await self.view_async(asked, f"aiohttp:{asked.path}", source, args, **options)
        return await self._send(request, reply)

    def streamed(self, source, **options):
        """Return a handler that streams a function or a generator; it is called with the request."""

        async def handler(request):
            return await self.stream(request, source, request, **options)

        return handler

    async def _shutdown(self, app):
        self.feeds.shutdown()  # else aiohttp waits a minute for replies that have no end of their own

    async def _api(self, request):
        asked = self.below(to_request(request))
        if web.WebSocketResponse().can_prepare(request):
            socket = Socket(request)
            await self.serve_socket(asked, self.feeds, socket)
            return socket.response
        try:
            asked = replace(asked, body=await read_body(request, body_limit(asked.path)))
        except RuncastError as error:
            return await self._send(request, problem_reply(error))
        reply = await self.serve_async(asked, self.feeds, lambda: gone(request))
        return await self._send(request, reply)

    async def _send(self, request, reply):
        headers = CIMultiDict(reply.headers)
        if reply.stream is None and request.method != "HEAD":
            return web.Response(status=reply.status, headers=headers, body=reply.body)
        response = web.StreamResponse(status=reply.status, headers=headers)
        if reply.body:
            response.content_length = len(reply.body)  # of a HEAD: what a GET would send
        if request.version < HttpVersion11:
            response.force_close()  # the end of what has no length; aiohttp would keep it open
        await response.prepare(request)
        if request.method != "HEAD" and not await self.feeds.serve(
            reply.stream, response.write, gone(request)
        ):
            # The client has left, or the reply ends in the middle: it must not look like the end.
            if request.transport is not None:
                request.transport.abort()
        return response


def to_request(request):
    """Return aiohttp's request as runcast's, without its body."""
    path, _, query = request.raw_path.partition("?")
    headers = {
        name.lower(): value.encode("utf-8", "surrogateescape").decode("latin-1")
        for name, value in request.headers.items()
    }
    return Request(request.method, unquote(path), "", query, headers, scheme=request.scheme, original=request)


async def read_body(request, limit):
    """Return the whole body. What did not arrive whole is an error: it must not be acted upon."""
    if not request.can_read_body:
        return b""
    length, body = parse_length(request.headers.get("Content-Length"), limit), bytearray()
    try:
        async for part in request.content.iter_any():
            body += part
            if len(body) > limit:
                raise BodyTooLarge(limit)
    except (ClientError, RequestPayloadError, ConnectionError):
        raise BodyIncomplete(len(body), length) from None
    check_whole(len(body), length)
    return bytes(body)


async def gone(request):
    """Return when the client has left: aiohttp has no event for it."""
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
        await asyncio.sleep(LOOK_SECONDS)


class Socket:
    """aiohttp's WebSocket as runcast wants it."""

    def __init__(self, request):
        self._request = request
        self.response = self._socket = web.WebSocketResponse()

    async def accept(self, subprotocol=None):
        protocols = [subprotocol] if subprotocol else []
        self.response = self._socket = web.WebSocketResponse(protocols=protocols)
        await self._socket.prepare(self._request)

    async def refuse(self, reply: Reply, reason):
        self.response = web.Response(status=reply.status, headers=CIMultiDict(reply.headers), body=reply.body)

    async def receive(self):
        message = await self._socket.receive()
        return message.data if message.type in (WSMsgType.TEXT, WSMsgType.BINARY) else None

    async def send(self, text):
        await self._socket.send_str(text)

    async def close(self, code):
        if self._socket.prepared:
            await self._socket.close(code=code)
        else:
            self.response = web.Response(status=403)
